"""From a data set on disk to what the model gets, and training on it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch
from on_base import on_base
from safetensors.torch import load_file
from set_files import encoded, write_lines, write_picture, write_shard

from train.config import load_config
from train.data.json_lines import JsonLinesConfig
from train.data.loader import TrainingSet, training_batches
from train.data.mixture import open_mixture
from train.data.options import DataConfig
from train.data.pack import pack_set
from train.data.packed import PackedConfig
from train.data.plan import Draw, Plan, Share
from train.data.sets import open_set
from train.data.shards import ShardsConfig
from train.fit import training_data
from train.fit.loop import fit
from train.model.words import Words

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "tokens.json").read_text("utf-8"))
CASES = [case for case in GOLDEN if case["caption"]]
EOS, FIRST_BIN = 49407, 49408
PLAIN = DataConfig(crop="centre", flip=0.0)


def blocks(ids):
    """The caption's tokens, and the set of those of each region with its box."""
    starts = [i for i, x in enumerate(ids) if x >= FIRST_BIN and (i == 0 or ids[i - 1] < FIRST_BIN)]
    pieces = [tuple(ids[a:b]) for a, b in pairwise([*starts, len(ids)])]
    return ids[: starts[0]] if starts else ids, set(pieces)


@pytest.mark.parametrize("case", CASES, ids=[case["prompt"][:30] for case in CASES])
def test_golden_token_ids_come_out_of_the_training_set(case, tmp_path):
    write_picture(tmp_path / "a.png", size=(64, 64))
    regions = [
        {"text": r["text"], "box": [v / 1000 for v in r["box_per_mille"]]} for r in case["regions"]
    ]
    line = {"image": "a.png", "caption": case["caption"], "regions": regions}
    found = JsonLinesConfig(path=str(write_lines(tmp_path / "set.jsonl", line)))
    mixture = open_mixture([found], PLAIN, 64)
    rows = TrainingSet(mixture, PLAIN, Words(case["max_length"], 1000, 100), seed=0)
    ids = rows[Draw(0, 0)].ids.tolist()
    wanted = case["ids"] + [EOS] * (case["max_length"] - len(case["ids"]))
    if case["overflow"]:  # which region is cut depends on the order in which they are drawn
        assert len(ids) == len(wanted)
    elif any(r.box.is_empty for r in mixture.sample(0).regions):
        assert set(ids) <= set(wanted), "a region without area is not trained"
    else:
        assert blocks(ids + [EOS])[0][:5] == blocks(wanted + [EOS])[0][:5]
        assert {b[:4] for b in blocks(ids)[1]} == {b[:4] for b in blocks(wanted)[1]}
        assert sorted(ids) == sorted(wanted)
    if len(case["regions"]) < 2 and not case["overflow"]:
        assert ids == wanted


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures in two shapes, the last of them broken."""
    lines = []
    for i in range(12):
        size = (96, 64) if i % 2 else (64, 64)
        write_picture(tmp_path / f"{i}.png", size=size, box=(8, 8, 30 + i, 50))
        box = [8 / size[0], 8 / 64, (30 + i) / size[0], 50 / 64]
        region = {"text": "red thing left", "box": box}
        lines.append({"image": f"{i}.png", "caption": f"picture {i}", "regions": [region]})
    whole = (tmp_path / "11.png").read_bytes()
    (tmp_path / "11.png").write_bytes(whole[: len(whole) // 2])
    return JsonLinesConfig(path=str(write_lines(tmp_path / "set.jsonl", *lines)))


def batches(config, found, count=6, size=64, step=0):
    mixture = open_mixture([found], config, size)
    rows = TrainingSet(mixture, config, Words(96, 1000, 5), seed=0)
    plan = Plan(mixture.sizes, range(len(mixture)), 2, seed=0)
    return list(islice(training_batches(rows, plan, Share(0, 1, 1, 2), False, step), count))


def test_a_batch_has_pictures_of_one_size_in_buckets(pictures):
    config = DataConfig(buckets=True, bucket_step=8)
    shapes = {tuple(batch.pictures.shape[2:]) for batch in batches(config, pictures)}
    assert len(shapes) == 2 and (64, 64) in shapes


def test_boxes_follow_the_pixels(pictures):
    """The red rectangle of every picture fills the box that the batch has for it."""
    for batch in batches(DataConfig(), pictures):
        for i in (i for i in range(len(batch)) if batch.present[i] and batch.spans[i, 0, 1]):
            x0, y0, x1, y1 = (batch.boxes[i, 0] * 64).round().int().tolist()
            red = (batch.pictures[i, 1] < 0)[y0:y1, x0:x1]
            assert red.float().mean() > 0.85
            assert (batch.pictures[i, 1] < 0).sum() <= red.sum() + 3 * 64


@pytest.mark.parametrize("share", ["text_dropout", "layout_dropout", "region_dropout"])
def test_a_picture_keeps_its_boxes_where_their_words_are_left_out(pictures, share):
    untold = batches(DataConfig(**{share: 1.0}), pictures)
    for batch, without in zip(batches(DataConfig(), pictures), untold, strict=True):
        assert batch.spans.any() and not without.spans.any()
        assert batch.boxes.any() and torch.equal(batch.boxes, without.boxes)


def test_a_broken_picture_is_named_and_counts_nothing(pictures):
    found = [batch for batch in batches(PLAIN, pictures) if batch.problems]
    assert found and all(batch.present.tolist().count(0.0) == 1 for batch in found)
    assert {p.key for batch in found for p in batch.problems} == {"11.png"}


def test_reading_processes_change_nothing(pictures):
    alone = batches(DataConfig(), pictures, step=2)
    apart = batches(DataConfig(workers=2), pictures, step=2)
    for ours, theirs in zip(alone, apart, strict=True):
        assert torch.equal(ours.pictures, theirs.pictures) and torch.equal(ours.ids, theirs.ids)


@pytest.fixture
def train(config_file, base, tmp_path):
    """Train the small plain file on a set; its weights and its log."""

    def run(name, found, *words):
        folder = (tmp_path / name).as_posix()
        options = [
            *on_base(base), f'folder="{folder}"',
            f'output="{folder}.safetensors"', f'data.sets.0.path="{found.path}"',
            f"data.sets.0.kind={found.kind}", "data.sets.0.samples=0", "image_size=64",
            "model.num_bins=1000", "model.max_length=96", "data.use_regions=true",
            "optimizer.batch_size=4", "optimizer.micro_batch=2", "optimizer.steps=4",
            "optimizer.warmup_steps=0", "sample.every=0", "validation.every=0", "log.every=1",
            "save_every=2", "output_precision=fp32", *words,
        ]  # fmt: skip
        path = fit(load_config(config_file, options))
        lines = (tmp_path / name / "log.jsonl").read_text().splitlines()
        return load_file(path), [json.loads(line) for line in lines]

    return run


def notes(log):
    return [line["message"] for line in log if line["group"] == "note"]


@pytest.mark.parametrize("cached", ["true", "false"])
def test_training_goes_on_past_a_broken_picture_and_counts_it(train, pictures, cached):
    _, log = train("run", pictures, f"data.cache_latents={cached}")
    said = notes(log)
    assert len(said) == 2 and "skipped 11.png" in said[0] and said[1].startswith("1 samples")


@pytest.mark.parametrize("cached", ["true", "false"])
def test_training_goes_on_past_a_damaged_sample_of_a_packed_set(train, pictures, tmp_path, cached):
    pack_set(open_set(pictures), tmp_path / "packed", 10**9, "set", 1)
    shard = tmp_path / "packed" / "000000.tar"
    shard.write_bytes(shard.read_bytes().replace(b'"picture 3"', b'"picture ?"'))
    found = PackedConfig(path=(tmp_path / "packed").as_posix())
    _, log = train("run", found, f"data.cache_latents={cached}")
    said = notes(log)
    assert len(said) == 2 and "skipped sample 4" in said[0] and said[1].startswith("1 samples")


def test_cached_latents_give_the_losses_of_fresh_ones(train, pictures, tmp_path):
    whole = tmp_path / "whole.jsonl"
    whole.write_text("".join((tmp_path / "set.jsonl").open().readlines()[:8]))
    good = JsonLinesConfig(path=str(whole))
    _, fresh = train("fresh", good, "data.cache_latents=false", "data.flip=0.5")
    _, cached = train("cached", good, "data.cache_latents=true", "data.flip=0.5")
    ours, theirs = ([x["noise"] for x in log if x["group"] == "train"] for log in (cached, fresh))
    assert ours == pytest.approx(theirs, rel=2e-3)


def test_a_run_on_shards_continues_as_if_it_had_not_stopped(train, tmp_path):
    for shard in range(2):
        members = {}
        for i in range(5):
            box = (8, 8, 30 + 5 * i, 50)
            members[f"{i}.jpg"] = encoded(size=(64, 64), box=box)
            region = {"text": f"thing {i}", "box": [0.1, 0.1, 0.5 + 0.05 * i, 0.8]}
            members[f"{i}.json"] = json.dumps({"caption": "one", "regions": [region]}).encode()
        members["broken.jpg"] = b"not a picture"
        members["broken.json"] = json.dumps({"caption": "b", "width": 64, "height": 64}).encode()
        write_shard(tmp_path / f"set-{shard}.tar", members)
    found = ShardsConfig(path=f"{tmp_path.as_posix()}/set-{{0..1}}.tar")
    words = ("data.cache_latents=false", "data.flip=0.5", "optimizer.schedule=constant")
    whole, log = train("whole", found, *words)
    train("parts", found, *words, "optimizer.steps=2")
    parts, _ = train("parts", found, *words)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert any("broken" in message for message in notes(log))


def test_shards_go_on_in_as_many_processes_as_before(train, tmp_path):
    """Their number says which samples each of them has read."""
    members = {}
    for i in range(8):
        members[f"{i}.jpg"] = encoded(size=(64, 64), box=(8, 8, 30 + i, 50))
        members[f"{i}.json"] = json.dumps({"caption": "one"}).encode()
    write_shard(tmp_path / "set.tar", members)
    found = ShardsConfig(path=f"{tmp_path.as_posix()}/set.tar")
    words = ("data.cache_latents=false", "optimizer.steps=2")
    train("run", found, *words)
    [path] = (tmp_path / "run" / "states").iterdir()
    state = torch.load(path, weights_only=True)
    assert state["processes"] == 1
    torch.save(state | {"processes": 2}, path)
    with pytest.raises(ValueError, match=r"in 2 process.*now there are 1: shards.*data pack"):
        train("run", found, *words[:1])


def test_the_micro_batch_that_orders_pictures_of_several_sizes_stays(train, pictures):
    words = ("data.buckets=true", "data.bucket_step=8", "optimizer.micro_batch=0")
    train("run", pictures, *words, "optimizer.steps=1", "save_every=1")
    train("run", pictures, *words, "optimizer.steps=2")
    with pytest.raises(ValueError, match=r"optimizer.micro_batch was 4 and is 2"):
        train("run", pictures, *words[:2])


def test_repeats_show_a_set_more_often(pictures):
    mixture = open_mixture([pictures, replace(pictures, repeats=3)], PLAIN, 64)
    assert len(mixture) == 12 + 36


def test_held_out_samples_are_not_trained_on(pictures):
    mixture = open_mixture([replace(pictures, repeats=2)], PLAIN, 64)
    training, held_out = mixture.split(3)
    assert (len(training), len(held_out)) == (18, 3)
    assert not {training.sample(n).key for n in range(18)} & {
        held_out.sample(n).key for n in range(3)
    }


def test_a_set_that_a_process_does_not_find_is_refused(train, pictures, monkeypatch):
    """As on a machine that has the files elsewhere; here they are gone once they were looked at."""
    opened = training_data.open_pictures

    def elsewhere(config):
        found = opened(config)
        Path(pictures.path).unlink()
        return found

    monkeypatch.setattr(training_data, "open_pictures", elsewhere)
    with pytest.raises(ValueError, match="does not find what the main one read: all machines"):
        train("run", pictures, "data.cache_latents=false")


def rewrite(text):
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    "change",
    [
        Path.unlink,
        rewrite(""),
        rewrite('{"image": "0.png"'),
        rewrite("\n" * 10_000),
        rewrite('{"image": 5}\n' * 1000),
    ],
    ids=["gone", "empty", "cut", "blank", "other"],
)
def test_a_file_of_a_set_that_changes_under_a_run_is_named(change, pictures):
    mixture = open_mixture([pictures], PLAIN, 64)
    assert mixture.sample(0).key
    change(Path(pictures.path))
    with pytest.raises(ValueError, match=r"sample 7 of '.*set\.jsonl' can no longer be read"):
        mixture.sample(7)
