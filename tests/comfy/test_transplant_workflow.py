"""ReCo Transplant in ComfyUI's graph: the template as saved, and what is made, saved and opened."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from random_checkpoint import Size, random_state_dict
from test_save import draw, picture
from workflows import ask, node, pictures

from comfy_server import Failure
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint, write_checkpoint
from reco_core.keys import VAE_PREFIX
from train.checkpoints.convert import convert
from train.checkpoints.transplant import TransplantOptions, transplant

TEMPLATE = Path(__file__).parents[2] / "example_workflows" / "reco_transplant_512.json"
RECO, BASE, OTHER = "reco_sd14_coco/", "sd-v1-4.ckpt", "v1-5-pruned-emaonly.safetensors"
SIZE = Size(max_length=308, num_bins=1000)
PLAIN = replace(SIZE, num_bins=0, max_length=77)
HEADS = {"unet_heads": "8", "text_heads": "2"}
METADATA = HEADS | {"format": "reco", "image_size": "128", "licence": "CC0-1.0"}
STRENGTHS = {"strength": 0.8, "strength_model": 1.0, "strength_clip": 0.5}
MADE = (["made", 0], ["made", 1], ["other", 2])


@pytest.fixture(scope="module")
def checkpoints(base_dir: Path, server) -> Path:
    """Small checkpoints under other names than the template's, since a pickle says no heads."""
    folder = base_dir / "models" / "checkpoints"
    write_checkpoint(folder / "t-reco.safetensors", random_state_dict(SIZE), METADATA)
    for seed, name in ((1, "t-base"), (2, "t-other")):
        weights = random_state_dict(PLAIN, seed=seed)
        write_checkpoint(folder / f"{name}.safetensors", weights, HEADS)
    return folder


def nodes(**changes) -> dict[str, dict]:
    names = {"reco": "ReCoLoadCheckpoint", "base": "LoadSmallCheckpoint"}
    loaders = names | {"other": "LoadSmallCheckpoint"}
    inputs = {
        f"{role}_{part}": [role, index]
        for role in loaders
        for index, part in enumerate(("model", "clip"))
    }
    return {
        **{role: node(kind, ckpt_name=f"t-{role}.safetensors") for role, kind in loaders.items()},
        "made": node("ReCoTransplant", **{**inputs, **STRENGTHS, **changes}),
    }


def template() -> tuple[dict, dict, dict]:
    """The workflow, its editor and its sampler."""
    workflow = json.loads(TEMPLATE.read_text("utf-8"))
    by_kind = {one["type"]: one for one in workflow["nodes"]}
    return workflow, by_kind["ReCoLayoutEditor"], by_kind["KSampler"]


def test_the_template_is_for_pictures_of_512_as_the_authors_make_them(server):
    _, editor, sampler = template()
    width, height, drawing = editor["widgets_values"][:3]
    assert (width, height) == (512, 512)
    assert sampler["widgets_values"][2:4] == [50, 4.0]
    counted = ask(server, "count", {"layout": {**json.loads(drawing), "width": 512, "height": 512}})
    assert counted["remarks"] == [] and counted["used"] <= 616


def test_the_template_runs_as_saved_but_small(server, checkpoints, tmp_path):
    """ComfyUI's own loader knows full-size files alone, with which test_full_size runs it."""
    workflow, editor, sampler = template()
    editor["widgets_values"][:2] = [128, 128]
    sampler["widgets_values"][2] = 1
    saved = json.dumps(workflow)
    for old, new in (
        (RECO, "t-reco.safetensors"),
        (BASE, "t-base.safetensors"),
        (OTHER, "t-other.safetensors"),
        ("CheckpointLoaderSimple", "LoadSmallCheckpoint"),
    ):
        assert f'"{old}"' in saved
        saved = saved.replace(f'"{old}"', f'"{new}"')
    path = tmp_path / "transplant.json"
    path.write_text(saved, "utf-8")
    shapes = {name: [one.shape for one in some] for name, some in pictures(server, path).items()}
    assert shapes == dict.fromkeys(("transplant", "transplant_boxes"), [(128, 128, 3)])


@pytest.fixture(scope="module")
def saved(server, checkpoints) -> dict[str, np.ndarray]:
    """The picture of what is made, which is saved in all ways; and of the parts."""
    parts = dict(zip(("model", "clip", "vae"), MADE, strict=True))
    workflow = nodes() | picture("made-picture", *MADE)
    workflow |= picture("reco-picture", ["reco", 0], ["reco", 1], ["other", 2])
    workflow["stock"] = node("CheckpointSave", **parts, filename_prefix="checkpoints/t-stock")
    workflow["ours"] = node("ReCoSaveCheckpoint", **parts, filename_prefix="checkpoints/t-ours")
    unet, text = "diffusion_models/t-made", "clip/t-made"
    workflow["unet"] = node("ModelSave", model=parts["model"], filename_prefix=unet)
    workflow["text"] = node("CLIPSave", clip=parts["clip"], filename_prefix=text)
    return draw(server, workflow)[0]


@pytest.fixture(scope="module")
def opened(server, saved, checkpoints, base_dir) -> dict[str, np.ndarray]:
    """Pictures of the saved files, of what the command makes, and of a conversion."""
    output = base_dir / "output" / "checkpoints"
    convert(output / "t-stock_00001_.safetensors", checkpoints / "t-converted.safetensors")
    paths = (checkpoints / f"t-{role}.safetensors" for role in ("reco", "base", "other"))
    strengths = TransplantOptions(0.8, strength_text=0.5)
    transplant(*paths, checkpoints / "t-command.safetensors", strengths)
    files = {
        "stock": "t-stock_00001_.safetensors",
        "ours": "t-ours_00001_.safetensors",
        "converted": "t-converted.safetensors",
        "command": "t-command.safetensors",
    }
    workflow = {}
    for name, file in files.items():
        loader = f"{name}-loader"
        workflow[loader] = node("ReCoLoadCheckpoint", ckpt_name=file)
        workflow |= picture(name, [loader, 0], [loader, 1], [loader, 2])
    text = "t-made_clip_l_00001_.safetensors"
    parts_of = node("ReCoLoadParts", unet_name="t-made_00001_.safetensors", clip_name=text)
    workflow["parts-loader"] = parts_of
    parts = (["parts-loader", 0], ["parts-loader", 1], ["stock-loader", 2])
    workflow |= picture("parts", *parts)
    return draw(server, workflow)[0]


def test_what_was_saved_draws_the_same_picture(saved, opened):
    made = saved["made-picture"].astype(int)
    change = np.abs(made - saved["reco-picture"]).mean()
    assert made.std() > 5 and change > 5
    for name, again in opened.items():
        assert np.abs(again - made).mean() < change / 20, name  # patches are rounded otherwise
    assert np.array_equal(opened["stock"], opened["ours"])
    assert np.array_equal(opened["stock"], opened["converted"])
    assert np.array_equal(opened["stock"], opened["parts"])


@pytest.mark.parametrize("way", ["stock", "ours"])
def test_a_saved_transplant_says_what_it_is(saved, base_dir, way):
    path = base_dir / "output" / "checkpoints" / f"t-{way}_00001_.safetensors"
    weights, metadata = read_checkpoint(path)
    info = describe_checkpoint(weights, metadata)
    assert (info.num_bins, info.max_length, info.unet_heads) == (1000, 308, 8)
    assert (info.encoders[0].heads, info.trained_size()) == (2, (128, 128))
    assert (info.words, metadata["licence"]) == ((), "CC0-1.0")
    kinds = {tensor.dtype for key, tensor in weights.items() if not key.startswith(VAE_PREFIX)}
    assert kinds == {torch.float16}, "the other's precision"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"base_model": None}, "base_model is not connected"),
        ({"base_model": None, "base_clip": None}, "does not say which plain checkpoint"),
        ({"other_clip": ["reco", 1]}, "other_clip is of a ReCo checkpoint"),
        ({"reco_clip": ["base", 1]}, "reco_clip is of a plain checkpoint"),
        ({"strength": 21.0}, "bigger than max of 20"),
        ({"strength_clip": float("nan")}, "strength_clip = nan is not a finite number"),
    ],
    ids=lambda value: "",
)
def test_bad_input_is_refused_in_words(server, checkpoints, changes, cause):
    workflow = nodes(**changes)
    given = workflow["made"]["inputs"]
    workflow["made"]["inputs"] = {key: what for key, what in given.items() if what is not None}
    workflow["shown"] = node("PreviewAny", source=["made", 2])
    with pytest.raises(Failure, match=cause) as failure:
        server.wait(server.post_prompt(workflow))
    assert "(node made)" in str(failure.value)


def test_the_node_says_which_base_it_took_and_gives_the_recos_size(server, checkpoints):
    workflow = nodes() | {f"side{i}": node("PreviewAny", source=["made", i]) for i in (2, 3)}
    outputs = server.wait(server.post_prompt(workflow))["outputs"]
    (shown,) = outputs["made"]["reco_remarks"]
    assert shown["report"] == "base: as connected; all three checkpoints stay in memory"
    assert [outputs[f"side{i}"]["text"][0] for i in (2, 3)] == ["128", "128"]
