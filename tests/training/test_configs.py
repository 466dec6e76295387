"""Every file of train/configs, run for two steps with a small base and a small set in its place."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from random_checkpoint import HEADS, Size, random_state_dict
from safetensors.torch import save_file
from set_files import write_cutout, write_json, write_picture

from reco_core.adapter import read_adapter
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint
from train.config import load_config
from train.data.set_config import SetConfig
from train.fit.loop import fit
from train.fit.options import FitConfig

EMBEDDED = "models/reco-shapes.safetensors"
PLAIN = Size(
    channel_mult=(1, 2, 4, 4), res_blocks=2, attention_levels=3, max_length=77, num_bins=0, vae="kl"
)
PICTURES = 20
FOLDER = Path(__file__).parents[2] / "train" / "configs"
FILES = sorted(FOLDER.glob("*.toml"))
LOOKS = sorted((FOLDER / "looks").glob("*.toml"))
every_recipe = pytest.mark.parametrize("config_path", FILES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A small file of Stable Diffusion 1's architecture."""
    path = tmp_path_factory.mktemp("base") / "sd1.safetensors"
    save_file(random_state_dict(PLAIN), path, HEADS)
    return path


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """Pictures of a dog each, with captions, and what a describer said of the first."""
    folder = tmp_path_factory.mktemp("coco")
    images = [
        {"id": i, "file_name": f"{i}.png", "width": 80, "height": 64} for i in range(PICTURES)
    ]
    for number in range(8):
        write_cutout(folder / "cutouts" / f"thing {chr(97 + number)}.png")
    for image in images:
        write_picture(folder / image["file_name"], (80, 64), (8, 8, 48, 48))
    dogs = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [8, 8, 40, 40], "area": 1600}
        for i in range(PICTURES)
    ]
    instances = {"images": images, "annotations": dogs, "categories": [{"id": 1, "name": "dog"}]}
    captions = {"annotations": [{"image_id": i, "caption": "a dog"} for i in range(PICTURES)]}
    told = {"key": "0.png", "index": 0, "text": "a brown dog"}
    for name, content in (("instances", instances), ("captions", captions), ("regions", told)):
        write_json(folder / f"{name}.json", content)
    return folder


def brief(config: FitConfig, base, coco, folder) -> FitConfig:
    """The same options, but sizes, places, and what needs CUDA."""
    put, options = dataclasses.replace, config.optimizer
    accumulates = options.micro_batch and options.batch_size > options.micro_batch
    optimizer = put(
        options,
        kind="adamw" if options.kind == "adamw8bit" else options.kind,
        steps=2,
        batch_size=2,
        micro_batch=int(accumulates),
        warmup_steps=min(1, options.warmup_steps),
    )
    brief_autoencoder = put(
        config.autoencoder,
        base=EMBEDDED if config.autoencoder.base else "",
        steps=2,
        encoder_steps=1,
        batch_size=2,
    )
    model = config.model
    if model.base and not model.base.startswith("models/"):
        model = put(model, base=str(base))
    if model.autoencoder:
        model = put(model, autoencoder=EMBEDDED)
    cache = {"cache_folder": str(folder / "cache")} if config.data.cache_folder else {}
    sets = tuple(small(one, coco) for one in config.data.sets)
    return put(
        config,
        output=str(folder / "out.safetensors"),
        folder=str(folder / "run"),
        image_size=64,
        save_every=1,
        data=put(config.data, workers=0, sets=sets, **cache),
        autoencoder=brief_autoencoder if config.trains_autoencoder else config.autoencoder,
        model=model,
        optimizer=optimizer,
        sample=put(config.sample, every=2, layouts=1, steps=2),
        validation=put(config.validation, every=2, samples=2),
        log=put(config.log, every=1),
    )


def small(config: SetConfig, coco) -> SetConfig:
    if config.kind == "shapeskills":
        return dataclasses.replace(config, samples=8)
    if config.kind == "cutouts":
        cutouts = {"path": str(coco / "cutouts"), "things": ""}
        return dataclasses.replace(config, samples=4, sizes=config.sizes[:1], **cutouts)
    told = str(coco / "regions.json") if config.region_captions else ""
    return dataclasses.replace(
        config,
        path=str(coco),
        annotations=str(coco / "instances.json"),
        captions=str(coco / "captions.json"),
        region_captions=told,
    )


def parts_of_the_embedded_checkpoint() -> list[Path]:
    """The configurations that lead to it: the one that writes it, its base's, and so on."""
    writers = {load_config(path).output: path for path in FILES}
    parts, output = [], EMBEDDED
    while path := writers.get(output):
        parts.append(path)
        output = load_config(path).model.base
    return parts


@pytest.mark.parametrize("config_path", FILES + LOOKS, ids=lambda path: path.stem)
def test_every_option_of_a_config_runs(config_path, base, coco, tmp_path):
    config = brief(load_config(config_path), base, coco, tmp_path)
    AcceleratorState._reset_state(reset_partial_state=True)  # another precision in one process
    path = fit(config)
    if config.lora.rank:
        adapter, begun = read_adapter(path), Path(config.model.base)
        info = describe_checkpoint(*read_checkpoint(begun))
        length = info.max_length if info.is_reco else config.model.max_length or 616
        assert (adapter.info.base, adapter.info.max_length) == (begun.name, length)
    else:
        tensors, metadata = read_checkpoint(path)
        assert describe_checkpoint(tensors, metadata).is_reco == (config.model.num_bins != 0)
        assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["total"] for line in lines if '"group": "train"' in line]
    assert len(losses) == 2 and all(loss > 0 for loss in losses)
    assert (tmp_path / "run" / "samples" / "step_000002.png").exists()


@pytest.mark.parametrize(
    "name", ["lora-8gb", "full-24gb", "grounded-24gb", "tiny-cpu", "own-things"]
)
def test_recipes_allow_guidance_and_average_all_that_learns(name):
    config = load_config(FOLDER / f"{name}.toml")
    assert config.data.text_dropout == 0.1 and config.optimizer.ema_text
    assert config.optimizer.schedule != "constant"  # rates of new rows fall with the rest


def test_the_papers_recipe_stays_the_papers():
    config = load_config(FOLDER / "paper.toml")
    assert (config.data.text_dropout, config.optimizer.ema_text) == (0.0, False)
    assert config.loss == type(config.loss)() and config.optimizer.schedule == "constant"


@every_recipe
def test_a_config_says_what_it_is_for_and_what_it_needs(config_path):
    text = config_path.read_text(encoding="utf-8")
    comment = text[: text.index("\noutput")].replace("\n# ", " ")
    assert f"fit --config train/configs/{config_path.name}" in " ".join(comment.split())
    if config_path not in parts_of_the_embedded_checkpoint():
        assert "GiB" in comment and "tests/training/test_configs.py" in comment
