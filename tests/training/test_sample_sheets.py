"""Sample sheets: of which layouts, with which words, beside which pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from on_base import on_base
from PIL import Image
from set_files import write_picture

from reco_core.layout import Box, Layout, Region
from train.config import load_config
from train.data.plan import Share
from train.data.shards import ShardsConfig
from train.fit import gallery as gallery_module
from train.fit import run as run_module
from train.fit.gallery import open_gallery
from train.fit.loop import fit
from train.fit.options import FitConfig
from train.fit.sample_sheet import Card, sample_sheet
from train.fit.training_data import _open_stream, open_training_data
from train.model.words import Words
from train.options import build

PICTURES = 4
ONE = Share(0, 1, 1, 1)
MODEL = SimpleNamespace(words=lambda regions: Words(96, 1000, regions), codec=None)
ALONE = SimpleNamespace(device=torch.device("cpu"), num_processes=1, is_main_process=True)


@pytest.fixture
def pictures(tmp_path):
    """A folder of pictures with texts beside them."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(PICTURES):
        write_picture(folder / f"{i}.png", (80, 64), (8, 8, 48, 48))
        (folder / f"{i}.txt").write_text(f"caption {i}")
        (folder / f"{i}.bbox").write_text(
            json.dumps([{"label": "a red box", "bbox": [0.1, 0.1, 0.6, 0.7]}])
        )
    return folder


def opened(values, length=96):
    config = build(FitConfig, {"image_size": 64, "sample": {"layouts": 3}, **values})
    model = SimpleNamespace(words=lambda regions: Words(length, 1000, regions), codec=None)
    return open_gallery(config, model, open_training_data(config, model, ONE, ALONE))


def bbox(folder, **more):
    return {"sets": [{"kind": "bbox", "path": str(folder)}], **more}


SHAPES = {"sets": [{"kind": "shapeskills", "samples": 40}]}
OFF = {"every": 0}


@pytest.mark.parametrize(
    ("validation", "origin"),
    [
        (OFF, "samples that are trained on"),
        ({"samples": 0}, "samples that are trained on"),
        ({"set": {"kind": "bbox", "path": "HERE"}}, "samples kept out of training"),
    ],
)
def test_there_is_a_sheet_whether_or_not_samples_are_kept_apart(validation, origin, pictures):
    values = json.loads(json.dumps(validation).replace("HERE", pictures.as_posix()))
    found = opened({"data": bbox(pictures), "validation": values})
    assert found.origin == origin and len(found.shown) == 3
    assert [one.layout.caption for one in found.shown] == [f"caption {i}" for i in range(3)]
    assert [one.real.size for one in found.shown] == [(64, 64)] * 3
    assert found.shown[0].layout.regions[0].text == "a red box"


@pytest.mark.parametrize("validation", [OFF, {"samples": 0}, {}])
def test_sets_that_make_unseen_samples_show_them_with_what_is_known_of_them(validation):
    found = opened({"data": SHAPES, "validation": validation})
    assert found.origin == "unseen samples" and len(found.shown) == 3
    assert all(one.scene and one.real for one in found.shown)


def test_a_model_of_captions_is_shown_captions(pictures):
    found = opened({"data": bbox(pictures, use_regions=False), "validation": OFF})
    assert [len(one.layout.regions) for one in found.shown] == [0, 0, 0]


def test_none_are_drawn_where_none_are_asked_for(pictures):
    for sample in ({"every": 0}, {"layouts": 0}):
        assert opened({"data": bbox(pictures), "sample": sample}) is None


def test_a_picture_that_cannot_be_read_is_told_on_the_sheet(pictures):
    (pictures / "0.png").write_bytes((pictures / "0.png").read_bytes()[:60])
    first = opened({"data": bbox(pictures), "validation": OFF}).shown[0]
    assert first.real is None and "0.png cannot be read" in first.note


def layout(texts, caption="a"):
    regions = tuple(
        Region(text, Box(0.1 * i, 0.1, 0.1 * i + 0.2, 0.6)) for i, text in enumerate(texts)
    )
    return Layout(caption, regions, 64, 64)


@pytest.mark.parametrize(
    ("length", "texts", "kept"),
    [(96, 5, 5), (38, 5, 5), (37, 5, 4), (24, 5, 3), (12, 5, 1), (6, 3, 0)],
)
def test_regions_that_do_not_fit_are_left_out_not_an_end_of_the_run(length, texts, kept):
    whole = layout(["dog"] * texts)
    told, lost = Words(length, 1000, 9).told(whole)
    assert told.regions == whole.regions[:kept] and bool(lost) == (kept < texts)


def test_what_does_not_fit_is_told_on_the_sheet(pictures):
    (pictures / "0.txt").write_text("dog " * 50)
    cut, whole, _ = opened({"data": bbox(pictures), "validation": OFF}, length=40).shown
    assert "the end of its caption and 1 region of 1 cannot be told" in cut.note
    assert (cut.layout.regions, whole.note) == ((), "") and len(whole.layout.regions) == 1


def test_a_stream_shows_its_first_samples(tmp_path):
    from set_files import encoded, write_shard

    members = {}
    for i in range(3):
        members[f"{i}.jpg"] = encoded(size=(64, 64), box=(8, 8, 40, 50))
        members[f"{i}.json"] = json.dumps({"caption": f"caption {i}"}).encode()
    write_shard(tmp_path / "set-0.tar", members)
    config = replace(FitConfig(), image_size=64)
    shards = replace(config.data, sets=(ShardsConfig(path=f"{tmp_path}/set-0.tar"),))
    config = replace(config, data=shards, sample=replace(config.sample, layouts=2))
    data = _open_stream(config, MODEL.words(9), ONE, False)
    found = open_gallery(config, MODEL, data)
    assert len(found.shown) == 2 and found.shown[0].layout.caption.startswith("caption")


def test_texts_and_real_picture_stand_on_the_sheet():
    """Each changes pixels below or beside the drawn picture, and nothing of that picture."""
    drawn, real = Image.new("RGB", (64, 64), "black"), Image.new("RGB", (64, 64), "blue")
    plain = sample_sheet("", [Card(layout(["dog"]), drawn, real)])
    for other in (
        sample_sheet("", [Card(layout(["dog"], "another caption"), drawn, real)]),
        sample_sheet("", [Card(layout(["dog"]), drawn, Image.new("RGB", (64, 64), "red"))]),
        sample_sheet("", [Card(layout(["dog"]), drawn, real, note="a note")]),
        sample_sheet("", [Card(layout(["dog"]), drawn, real, right=True)]),
        sample_sheet("a title", [Card(layout(["dog"]), drawn, real)]),
    ):
        assert other.tobytes() != plain.tobytes()
    alone = sample_sheet("", [Card(layout(["dog"]), drawn)])
    assert alone.width < plain.width
    long = sample_sheet("", [Card(layout(["a dog in the garden " * 9]), drawn, real)])
    assert long.height > plain.height and long.width == plain.width


def test_step_0_shows_the_base_and_skipped_samples_are_counted_over_resumes(
    config_file, overrides, base, pictures, tmp_path, monkeypatch
):
    words = [
        *overrides, *on_base(base), "image_size=64", "data.cache_latents=false",
        f'data.sets=[{{kind="bbox", path="{pictures.as_posix()}"}}]', "validation.every=0",
        "sample.every=2", "sample.layouts=1", "save_every=1", "optimizer.batch_size=4",
    ]  # fmt: skip
    config, weights = load_config(config_file, words), []
    open_data = run_module.open_training_data

    def sampled(model, layouts, **options):
        weights.append(next(model.unet.parameters()).detach().clone())
        return [Image.new("RGB", (64, 64)) for _ in layouts]

    def lose_one(*arguments):
        write_picture(pictures / "0.png", (80, 64), (8, 8, 48, 48))
        data = open_data(*arguments)
        (pictures / "0.png").write_bytes(b"")
        return data

    def stop(step):
        if step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(gallery_module, "sample_layouts", sampled)
    monkeypatch.setattr(run_module, "open_training_data", lose_one)
    with pytest.raises(KeyboardInterrupt):
        fit(config, stop)
    fit(config)
    names = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert names == ["step_000000.png", "step_000002.png", "step_000004.png"]
    assert not torch.equal(weights[0], weights[1]) and len(weights) == 3
    lines = map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    said = [line["message"] for line in lines if line["group"] == "note"]
    assert [one for one in said if one.startswith("skipped 0.png")] == said[:1]
    assert said[-1].startswith("1 ") and "were skipped" in said[-1]
