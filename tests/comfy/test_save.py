"""What ComfyUI and this pack save opens again as what it was: the same heads, words and size, and
the same picture, alone, with a LoRA, merged, whole and in parts."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from random_checkpoint import Size, random_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from workflows import node

from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint, write_checkpoint
from train.checkpoints.convert import convert

SOURCE, OTHER, UNSIZED = "sized.safetensors", "other.safetensors", "reco-tiny.safetensors"
METADATA = {
    "format": "reco",
    "unet_heads": "4",
    "text_heads": "2",
    "words": '["a", "red", "circle"]',
    "image_size": "128",
    "licence": "CC0-1.0",
    "steps": "7",
}
MODELS = {
    "alone": (["loader", 0], ["loader", 1]),
    "lora": (["to lora", 0], ["to lora", 1]),
    "simple": (["to simple", 0], ["loader", 1]),
    "add": (["to add", 0], ["loader", 1]),
    "subtract": (["to subtract", 0], ["loader", 1]),
    "blocks": (["to blocks", 0], ["loader", 1]),
    "clips": (["loader", 0], ["to clips", 0]),
    "other unet": (["other", 0], ["loader", 1]),
}
"""Which nodes give MODEL and CLIP."""


def networks() -> dict[str, dict]:
    """Nodes of every way to change a checkpoint before it is saved."""
    models = {"model1": ["loader", 0], "model2": ["other", 0]}
    clips = {"clip1": ["loader", 1], "clip2": ["other", 1]}
    both = {"model": ["loader", 0], "clip": ["loader", 1]}
    strengths = {"strength_model": 1.0, "strength_clip": 1.0}
    return {
        "loader": node("ReCoLoadCheckpoint", ckpt_name=SOURCE),
        "other": node("ReCoLoadCheckpoint", ckpt_name=OTHER),
        "to lora": node("LoraLoader", **both, lora_name="both.safetensors", **strengths),
        "to simple": node("ModelMergeSimple", **models, ratio=0.7),
        "to add": node("ModelMergeAdd", **models),
        "to subtract": node("ModelMergeSubtract", **models, multiplier=0.4),
        "to blocks": node("ModelMergeBlocks", **models, input=0.9, middle=0.5, out=0.2),
        "to clips": node("CLIPMergeSimple", **clips, ratio=0.6),
    }


def picture(name: str, model: list, clip: list, vae: list, width=128, height=128) -> dict:
    """Nodes that draw one picture, saved by a node called name."""
    text = "a red circle <100> <100> <500> <500> blue square"
    layout = node("ReCoLayoutFromText", text=text, width=width, height=height)
    conditioning = node(
        "ReCoConditioning", clip=clip, layout=[f"{name}-layout", 0], negative="", batch_size=1
    )
    sampler = node(
        "KSampler",
        model=model,
        positive=[f"{name}-conditioning", 0],
        negative=[f"{name}-conditioning", 1],
        latent_image=[f"{name}-conditioning", 2],
        **{"seed": 7, "steps": 2, "cfg": 3.0, "denoise": 1.0},
        **{"sampler_name": "euler", "scheduler": "normal"},
    )
    decode = node("VAEDecode", samples=[f"{name}-sampler", 0], vae=vae)
    return {
        f"{name}-layout": layout,
        f"{name}-conditioning": conditioning,
        f"{name}-sampler": sampler,
        f"{name}-decode": decode,
        name: node("PreviewImage", images=[f"{name}-decode", 0]),
    }


def lora() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for name, rows, columns in (
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", 256, 64),
        ("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k", 64, 64),
    ):
        tensors[f"{name}.lora_up.weight"] = torch.randn(rows, 1, generator=generator)
        tensors[f"{name}.lora_down.weight"] = torch.randn(1, columns, generator=generator)
        tensors[f"{name}.alpha"] = torch.tensor(1.0)
    return tensors


@pytest.fixture(scope="module")
def files(base_dir: Path, server) -> Path:
    """Two ReCo checkpoints and a plain one of a size; the folder of what is saved."""
    checkpoints = base_dir / "models" / "checkpoints"
    source = random_state_dict(Size())
    write_checkpoint(checkpoints / SOURCE, source, METADATA)
    write_checkpoint(checkpoints / OTHER, random_state_dict(Size(), seed=1), METADATA)
    save_file(lora(), base_dir / "models" / "loras" / "both.safetensors")
    return base_dir / "output"


def draw(server, workflow: dict) -> tuple[dict[str, np.ndarray], dict]:
    entry = server.wait(server.post_prompt(workflow))
    shown = {
        name: np.asarray(Image.open(io.BytesIO(server.view(output["images"][0]))))
        for name, output in entry["outputs"].items()
        if "images" in output
    }
    return shown, entry


@pytest.fixture(scope="module")
def saved(server, files) -> dict[str, np.ndarray]:
    """Pictures before saving by name; every checkpoint of MODELS is saved in all ways."""
    workflow = networks()
    vae = ["loader", 2]
    for name, (model, clip) in MODELS.items():
        prefix = f"checkpoints/{name}"
        parts = {"model": model, "clip": clip, "vae": vae}
        workflow |= picture(name, model, clip, vae)
        workflow[f"{name}-stock"] = node("CheckpointSave", **parts, filename_prefix=prefix)
        ours = node("ReCoSaveCheckpoint", **parts, filename_prefix=f"{prefix}-reco")
        workflow[f"{name}-reco"] = ours
    workflow["unet"] = node(
        "ModelSave", model=["to lora", 0], filename_prefix="diffusion_models/lora"
    )
    workflow["text"] = node("CLIPSave", clip=["to lora", 1], filename_prefix="clip/lora")
    return draw(server, workflow)[0]


@pytest.fixture(scope="module")
def opened(server, saved) -> dict[str, np.ndarray]:
    """Pictures of the saved files."""
    workflow = {}
    for name in MODELS:
        for way in ("", "-reco"):
            loader = f"{name}{way}-loader"
            file = f"{name}{way}_00001_.safetensors"
            workflow[loader] = node("ReCoLoadCheckpoint", ckpt_name=file)
            workflow |= picture(f"{name}{way}", [loader, 0], [loader, 1], [loader, 2])
    names = {"unet_name": "lora_00001_.safetensors", "clip_name": "lora_clip_l_00001_.safetensors"}
    workflow["parts-loader"] = node("ReCoLoadParts", **names)
    workflow["vae"] = node("ReCoLoadCheckpoint", ckpt_name=SOURCE)
    sizes = {"width": ["parts-loader", 2], "height": ["parts-loader", 3]}
    workflow |= picture("parts", ["parts-loader", 0], ["parts-loader", 1], ["vae", 2], **sizes)
    return draw(server, workflow)[0]


def saved_file(files: Path, name: str) -> Path:
    return files / "checkpoints" / f"{name}_00001_.safetensors"


@pytest.mark.parametrize("way", ["", "-reco"])
@pytest.mark.parametrize("name", MODELS)
def test_a_saved_checkpoint_is_what_it_was_and_draws_the_same(saved, opened, files, name, way):
    info = describe_checkpoint(*read_checkpoint(saved_file(files, name + way)))
    assert (info.unet_heads, info.encoders[0].heads) == (4, 2)
    assert (info.num_bins, info.max_length) == (1000, 308)
    assert info.words == tuple(json.loads(METADATA["words"]))
    assert info.trained_size() == (128, 128)
    assert info.metadata["licence"] == "CC0-1.0"
    assert saved[name].std() > 5
    assert np.array_equal(saved[name], opened[name + way])


def test_the_ways_to_change_a_checkpoint_change_its_picture(saved):
    for name, other in (("alone", name) for name in MODELS if name != "alone"):
        assert not np.array_equal(saved[name], saved[other]), other


def test_parts_that_were_saved_apart_open_together(saved, opened):
    assert np.array_equal(saved["lora"], opened["parts"])


def test_our_own_file_says_all_that_the_source_said_and_how_it_was_made(saved, files):
    with safe_open(saved_file(files, "lora-reco"), "pt") as file:
        metadata = file.metadata()
    assert METADATA.items() <= metadata.items()
    assert json.loads(metadata["prompt"])["to lora"]["class_type"] == "LoraLoader"
    assert not [file for file in (files / "checkpoints").iterdir() if file.suffix == ".tmp"]


def test_the_trainer_reads_what_was_saved(saved, files, tmp_path):
    info = convert(saved_file(files, "lora"), tmp_path / "again.safetensors")
    again, metadata = read_checkpoint(tmp_path / "again.safetensors")
    assert (info.unet_heads, metadata["text_heads"], info.image_size) == (4, "2", 128)
    assert not [key for key in again if "reco_facts" in key]


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float32])
def test_facts_survive_a_cast_of_all_tensors(saved, files, tmp_path, precision):
    tensors = load_file(saved_file(files, "alone"))
    path = tmp_path / "cast.safetensors"
    save_file({key: tensor.to(precision) for key, tensor in tensors.items()}, path)
    info = describe_checkpoint(*read_checkpoint(path))
    assert (info.unet_heads, info.encoders[0].heads, info.image_size) == (4, 2, 128)


@pytest.mark.parametrize("precision", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_facts_that_were_rounded_away_are_refused_by_name(saved, files, tmp_path, precision):
    tensors = load_file(saved_file(files, "alone"))
    small = {key: tensor.float().to(precision) for key, tensor in tensors.items()}
    save_file(small, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="x.safetensors: .*'reco_facts' was rounded to float8_e"):
        read_checkpoint(tmp_path / "x.safetensors")


def test_the_loaders_give_the_size_to_start_from(server, files):
    workflow = {
        "sized": node("ReCoLoadCheckpoint", ckpt_name=SOURCE),
        "unsized": node("ReCoLoadCheckpoint", ckpt_name=UNSIZED),
    }
    for name in ("sized", "unsized"):
        for index in (3, 4):
            workflow[f"{name}{index}"] = node("PreviewAny", source=[name, index])
    outputs = server.wait(server.post_prompt(workflow))["outputs"]
    assert [outputs[f"sized{i}"]["text"][0] for i in (3, 4)] == ["128", "128"]
    assert [outputs[f"unsized{i}"]["text"][0] for i in (3, 4)] == ["512", "512"]
