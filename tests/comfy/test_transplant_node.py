"""ReCo Transplant: its numbers, what it keeps of its inputs, what it refuses."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_checkpoint import Size, random_state_dict
from safetensors.torch import save_file

from reco_core.checkpoint_file import write_checkpoint
from train.checkpoints.transplant import TransplantOptions, transplant

RECO = Size(max_length=100, num_bins=64, text_width=32)
PLAIN = replace(RECO, num_bins=0, max_length=77)
HEADS = {"unet_heads": "8", "text_heads": "2"}
METADATA = HEADS | {
    "format": "reco",
    "image_size": "256",
    "licence": "CC0-1.0",
    "words": '["red", "circle"]',
}
ROUNDING = 1e-5
"""Of weights of about 1, in fp32."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A ReCo checkpoint, plain ones of its size, and others."""
    folder = tmp_path_factory.mktemp("transplant")
    sizes = {
        "base": PLAIN,
        "other": PLAIN,
        "wide": replace(PLAIN, text_width=64),
        "deep": replace(PLAIN, text_layers=3),
        "other blocks": replace(PLAIN, channel_mult=(1, 1)),
    }
    for seed, (name, size) in enumerate(sizes.items(), start=1):
        weights = random_state_dict(size, torch.float32, seed)
        write_checkpoint(folder / f"{name}.safetensors", weights, HEADS)
    base = folder / "base.safetensors"
    named = {
        "base": "sd-v1-4.ckpt",
        "base_sha256": hashlib.sha256(base.read_bytes()).hexdigest(),
        "base_bytes": str(base.stat().st_size),
    }
    weights = random_state_dict(RECO, torch.float32)
    write_checkpoint(folder / "reco.safetensors", weights, METADATA | named)
    write_checkpoint(folder / "nameless.safetensors", weights, METADATA)
    gone = named | {"base_sha256": "ab" * 32}
    write_checkpoint(folder / "gone.safetensors", weights, METADATA | gone)
    (folder / "loras").mkdir()
    save_file(lora(), folder / "loras" / "lora.safetensors")
    return folder


def lora() -> dict[str, torch.Tensor]:
    """On UNet and text encoder."""
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for name, rows, columns in (
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", 128, 32),
        ("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k", 64, 32),
    ):
        tensors[f"{name}.lora_up.weight"] = torch.randn(rows, 1, generator=generator)
        tensors[f"{name}.lora_down.weight"] = torch.randn(1, columns, generator=generator)
        tensors[f"{name}.alpha"] = torch.tensor(1.0)
    return tensors


@pytest.fixture
def check(inside, folder):
    return lambda name, **arguments: inside(
        f"transplant_checks.{name}", folder=str(folder), **arguments
    )


def test_all_weights_are_the_others_with_so_much_of_the_difference(check):
    strengths = [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0], [1.2, 1.2], [-0.3, 2.0], [1.0, 0.0]]
    *found, reco, other = check("differences", strengths=[*strengths, [1.0, 1.0]])
    assert max(found) < ROUNDING
    assert (reco, other) == (0, 0), "parts are as they were"


@pytest.mark.parametrize(
    "roles", [["other"], ["reco"], ["base"], ["reco", "base"], ["reco", "base", "other"]], ids=str
)
def test_a_lora_in_front_of_a_part_is_part_of_it(check, folder, roles):
    difference, moved = check(
        "patched", lora=str(folder / "loras" / "lora.safetensors"), roles=roles
    )
    assert difference < 10 * ROUNDING and (moved > 0.1 or roles == ["reco", "base"])


def test_a_merge_in_front_of_the_other_is_part_of_it(check):
    assert check("merged_first") < ROUNDING


def test_words_read_as_by_the_other_at_strength_0(check):
    found = check("states")
    assert found["length"] == 100
    assert found["at 0"] < 1e-4 < 0.1 < min(found["at 1"], found["boxes"])


def test_words_read_alike_where_memory_is_short(check):
    """Where ComfyUI's layers patch their weights themselves, past which CLIP reads places."""
    found = check("short_of_memory")
    assert found["in parts"] and found["far"] < 1e-4


@pytest.mark.parametrize("is_dynamic", [False, True], ids=["static", "dynamic"])
def test_what_is_saved_is_patched_once(check, is_dynamic):
    """Dynamic VRAM patches weights of small layers before they are written."""
    found = check("saved", is_dynamic=is_dynamic)
    assert found["far"] < 10 * ROUNDING and found["twice"] > 0.1
    assert not is_dynamic or min(found["patched before"]) > 10


def test_the_clip_says_what_it_is(check):
    found = check("description")
    assert (found["num_bins"], found["max_length"], found["size"]) == (64, 100, [256, 256])
    assert found["words"] == [] and found["recos_words"] == ["red", "circle"]
    assert found["metadata"]["licence"] == "CC0-1.0"
    assert not {"base", "base_sha256", "base_bytes", "words"} & found["metadata"].keys()
    assert json.loads(found["metadata"]["transplant"]) == {
        "strength_unet": 1.0,
        "strength_text": 1.0,
    }
    assert found["facts"]["num_bins"] == "64" and found["facts"]["image_size"] == "256"
    assert "words" not in found["facts"]
    assert (found["layer"], found["recos_layer"]) == (-2, None), "clip skip of the other"
    assert (found["kind"], found["is_others_model"]) == ("SD15", True), "its UNet is not copied"


def test_a_merge_behind_it_that_spoils_its_tables_is_found(check):
    assert "token_embedding is of another shape" in check("spoiled")


REFUSED = {
    "reco as other": "other_clip is of a ReCo checkpoint, with 64 position tokens",
    "reco as base": "base_clip is of a ReCo checkpoint, with 64 position tokens",
    "reco's unet as other": "other_model is the UNet of a ReCo checkpoint",
    "reco's unet as base": "base_model is the UNet of a ReCo checkpoint",
    "reco's text encoder as other": "other_clip is of a ReCo checkpoint",
    "other as reco": "reco_clip is of a plain checkpoint, without position tokens",
    "base as reco": "reco_clip is of a plain checkpoint, without position tokens",
    "wide as other": "of shape (32, 64) in other_model and (32, 32) in base_model",
    "wide as base": "of shape (32, 64) in base_model and (32, 32) in reco_model",
    "wide text encoder as other": "other_clip is 64 wide but other_model attends to texts of wid",
    "deep as other": "text encoder of reco_clip lacks 16 weights that other_clip has",
    "other blocks as base": "UNet of base_model lacks 2 weights that reco_model has",
    "inpainting as other": "other_model is a UNet of Stable Diffusion 1.x with 9 input channels",
    "editing as base": "base_model is a UNet of Stable Diffusion 1.x with 8 input channels",
    "v as other": "other_model predicts v",
    "x0 as other": "other_model predicts the picture",
    "SD20 as other": "other_model is of Stable Diffusion 2.x",
    "SDXL as base": "base_clip is of SDXL",
    "SD2 as other": "other_clip is of Stable Diffusion 2.x",
    "base as other": "other_model and base_model are the same checkpoint",
    "base read again as other": "other_model and base_model are the same checkpoint",
    "base's unet as reco": "reco_model and base_model are one and the same UNet",
    "other's unet as reco": "reco_model and other_model are one and the same UNet",
    "nothing as other": "other_model: there is no MODEL",
    "hooks as other": "other_clip has hooks, which are not weights",
    "hooks as base": "base_clip has hooks, which are not weights",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_transplanted_is_named(check, case):
    assert REFUSED[case] in check("refused", case=case)


def test_a_base_that_is_connected_is_taken(check):
    found = check("found_base", connected=["model", "clip"])
    assert found["name"] == "as connected" and found["far"] < ROUNDING


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"connected": ["model"]}, "base_clip is not connected"),
        ({"connected": ["clip"]}, "base_model is not connected"),
        # It is found, and ComfyUI's loader knows Stable Diffusion 1 by its full size alone.
        ({"connected": []}, "ComfyUI cannot load base.safetensors, which the ReCo checkpoint na"),
        ({"connected": [], "reco": "nameless"}, "does not say which plain checkpoint"),
        (
            {"connected": [], "reco": "gone"},
            "trained from 'sd-v1-4.ckpt' (SHA-256 ababababab...), and no file in ComfyUI's",
        ),
    ],
)
def test_a_base_that_is_not_there_is_asked_for(check, arguments, cause):
    assert cause in check("found_base", **arguments)["refused"]


def test_the_command_writes_the_weights_that_the_node_makes(inside, folder, tmp_path):
    reco, base, other = (folder / f"{name}.safetensors" for name in ("reco", "base", "other"))
    path = tmp_path / "out.safetensors"
    transplant(reco, base, other, path, TransplantOptions(0.5, 1.5, 0.5))
    arguments = {"folder": str(folder), "path": str(path), "strengths": [0.75, 0.25]}
    assert inside("transplant_checks.far_from_file", **arguments) < ROUNDING
