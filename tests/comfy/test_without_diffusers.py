"""Every form of checkpoint that the nodes open, in a ComfyUI that has nothing of the trainer's; and
that what ComfyUI computes with a diffusers folder is what diffusers does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from inside import Inside
from pipelines import FORMS as PIPELINE_FORMS
from pipelines import PROMPT, PipelineSize, example_inputs, expected, save_pipeline

TRAINERS = ("diffusers", "accelerate", "peft")
FORMS = ("tiny", "kl", "pickle", "folder", "adapter", "adapter of a folder", "parts")


def load_form(form: str, folder: str) -> list[int]:
    """In a ComfyUI: the shape of text states of a checkpoint in that form."""
    for name in TRAINERS:
        sys.modules[name] = None  # importing it fails
    import inside_checks as checks

    checkpoints, files = checks.PACK.nodes.checkpoints, Path(folder)
    if form.startswith("adapter"):
        base = files / ("plain.safetensors" if form == "adapter" else "plain")
        loaded = checkpoints.load_with_adapter(base, files / "adapter.safetensors")
    elif form == "parts":
        loaded = checkpoints.load_parts(files / "unet.safetensors", files / "text.safetensors")
    else:
        suffix = {"pickle": ".ckpt", "folder": ""}.get(form, ".safetensors")
        loaded = checkpoints.load_checkpoint(files / f"{form}{suffix}")
    return list(checks.encode(loaded[1], "a <0> <0> <9> <9> red circle").shape)


def outputs(path: str, inputs: str, result: str) -> list[str]:
    """In a ComfyUI: writes what the parts of a checkpoint make of example_inputs and PROMPT, and
    returns the modules that were imported for it, of the trainer's or a pickle's."""
    for name in TRAINERS:
        sys.modules[name] = None
    import comfy.model_management
    import inside_checks as checks

    before = set(sys.modules)
    model, clip, vae = checks.PACK.nodes.checkpoints.load_checkpoint(Path(path))
    given = torch.load(inputs)
    comfy.model_management.load_models_gpu([model])
    with torch.no_grad():
        made = {
            "noise": model.model.diffusion_model(
                given["latents"], given["times"], context=given["context"]
            ),
            "picture": vae.decode(given["latents"]).movedim(-1, 1) * 2 - 1,
            "mean": vae.encode((given["pixels"] / 2 + 0.5).movedim(1, -1)),
            "states": checks.encode(clip, PROMPT),
            "ids": torch.tensor([[token for token, _ in clip.tokenize(PROMPT)["l"][0]]]),
        }
    torch.save(made, result)
    return [name for name in set(sys.modules) - before if name.partition(".")[0] in TRAINERS]


def import_trainers() -> list[str]:
    """In a ComfyUI where load_form was called: which of the trainer's libraries can be imported."""
    found = []
    for name in TRAINERS:
        try:
            __import__(name)
            found.append(name)
        except ImportError:
            pass
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    from random_checkpoint import HEADS, TEXT_PREFIX, Size, random_state_dict

    from reco_core.adapter import POSITION_ROWS, TOKEN_ROWS
    from reco_core.checkpoint_file import write_checkpoint
    from reco_core.keys import UNET_PREFIX
    from train.checkpoints.diffusers_folder import write_diffusers_folder

    folder = tmp_path_factory.mktemp("forms")
    reco = random_state_dict(Size(max_length=96))
    metadata = {"format": "reco", **HEADS}
    write_checkpoint(folder / "tiny.safetensors", reco, metadata)
    kl = random_state_dict(Size(max_length=96, vae="kl"))
    write_checkpoint(folder / "kl.safetensors", kl, metadata)
    full = {"text_width": 768, "channels": 320, "channel_mult": (1,), "attention_levels": 1}
    of_known_heads = random_state_dict(Size(**full, max_length=96, text_layers=1))
    torch.save({"state_dict": of_known_heads}, folder / "pickle.ckpt")
    plain = random_state_dict(Size(max_length=77, num_bins=0))
    write_checkpoint(folder / "plain.safetensors", plain, HEADS)
    write_diffusers_folder(folder / "folder", reco, metadata)
    write_diffusers_folder(folder / "plain", plain, HEADS)
    rows = {TOKEN_ROWS: torch.randn(1000, 64), POSITION_ROWS: torch.randn(19, 64)}
    write_checkpoint(
        folder / "adapter.safetensors",
        rows,
        {**HEADS, "format": "reco-adapter", "num_bins": "1000"},
    )
    for name, prefix in (("unet", UNET_PREFIX), ("text", TEXT_PREFIX)):
        part = {key: tensor for key, tensor in reco.items() if key.startswith(prefix)}
        write_checkpoint(folder / f"{name}.safetensors", part, metadata)
    return folder


@pytest.fixture(scope="module")
def bare(comfyui):
    process = Inside(comfyui, "--fp32-text-enc", checks="test_without_diffusers")
    yield process
    process.close()


@pytest.mark.parametrize("form", FORMS)
def test_nodes_open_it_without_the_trainers_libraries(form, bare, files):
    width = 768 if form == "pickle" else 64
    assert bare("load_form", form=form, folder=str(files)) == [1, 96, width]
    assert bare("import_trainers") == []


@pytest.mark.parametrize("form", PIPELINE_FORMS)
def test_comfyui_computes_with_a_folder_what_diffusers_does(form, bare, tmp_path):
    size = PipelineSize()
    folder = save_pipeline(tmp_path / "port", size, form)
    assert ("shards" in form) == (len(list(folder.glob("unet/*-of-*"))) > 1)
    assert_same_outputs(bare, folder, size, tmp_path)


def assert_same_outputs(bare, folder: Path, size: PipelineSize, tmp_path: Path) -> None:
    inputs = example_inputs(size)
    torch.save(inputs, tmp_path / "inputs.pt")
    places = {"inputs": str(tmp_path / "inputs.pt"), "result": str(tmp_path / "result.pt")}
    assert bare("outputs", path=str(folder), **places) == []
    made = torch.load(tmp_path / "result.pt")
    wanted = expected(folder, {**inputs, "ids": made.pop("ids")})
    wanted["picture"] = wanted["picture"].clamp(-1, 1)
    for name, tensor in wanted.items():
        scale = tensor.abs().mean().item()
        assert made[name].shape == tensor.shape, name
        assert (made[name] - tensor).abs().max().item() < 1e-3 * scale, name
        assert scale > 0.01, name
