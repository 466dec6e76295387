"""Checkpoints of Stable Diffusion 1's full size, which alone ComfyUI's own loaders know: run on
request with -m slow."""

from dataclasses import replace

import pytest
import torch
from adapters import adapter_tensors, write_adapter
from inside import Inside
from pipelines import FULL, save_pipeline
from random_checkpoint import FULL_SIZE, TEXT_PREFIX, random_state_dict
from safetensors.torch import save_file
from test_without_diffusers import assert_same_outputs

from reco_core.checkpoint_file import write_checkpoint
from reco_core.layout import Box, Layout, Region
from train.checkpoints.merge import merge_adapter_file


@pytest.mark.slow
def test_a_full_size_ckpt_loads_encodes_and_samples_a_step_at_512(comfyui, tmp_path, capsys):
    path = tmp_path / "full.ckpt"
    state_dict = random_state_dict(FULL_SIZE)
    position_ids = "cond_stage_model.transformer.text_model.embeddings.position_ids"
    state_dict[position_ids] = torch.arange(1000)[None]
    torch.save({"state_dict": state_dict, "global_step": 1000}, path)
    del state_dict
    layout = Layout("a dog", (Region("a brown dog", Box(0.1, 0.1, 0.9, 0.9)),), 512, 512)
    inside = Inside(comfyui)  # a process of its own, so that the peak is this checkpoint's
    step = inside("full_size_step", path=str(path), layout=layout.to_json())
    inside.close()
    with capsys.disabled():
        print(f"\nfull size: {step['seconds']:.0f} s, peak memory {step['peak_gib']:.1f} GiB")
    assert step["calls"] == [[2, 4, 64, 64]]
    assert step["lengths"] == [616, 616]
    assert step["finite"]
    assert step["peak_gib"] < 12


@pytest.mark.slow
def test_an_adapter_on_comfyuis_own_loaders_is_the_merged_checkpoint(comfyui, tmp_path, capsys):
    plain = replace(FULL_SIZE, max_length=77, num_bins=0, vae="taesd")
    weights = random_state_dict(plain)
    write_checkpoint(tmp_path / "base.safetensors", weights, {})
    text = {
        f"text_model.{key.removeprefix(TEXT_PREFIX)}": weight
        for key, weight in weights.items()
        if key.startswith(TEXT_PREFIX)
    }
    save_file(text, tmp_path / "text.safetensors")
    sizes = {"width": FULL_SIZE.text_width, "length": FULL_SIZE.max_length}
    tensors = adapter_tensors(weights, **sizes, scale=0.1)  # more would drown the random weights
    adapter = write_adapter(tmp_path / "adapter.safetensors", tensors, base="base.safetensors")
    del weights, text, tensors
    merge_adapter_file(adapter, tmp_path / "base.safetensors", tmp_path / "merged.safetensors")
    inside = Inside(comfyui)  # a process of its own, so that the peak is this one's
    found = inside("adapter_checks.full_size", folder=str(tmp_path))
    inside.close()
    before, after = found["seconds to encode"]
    with capsys.disabled():
        print(
            f"\nfull size: {found['seconds']:.0f} s, peak memory {found['peak_gib']:.1f} GiB; "
            f"encoding {before:.2f} s, with the adapter {after:.2f} s, {after / before:.1f} times; "
            f"apart {found['apart']}, in parts {found['parts']}, without the UNet's LoRA "
            f"{found['without the UNet']:.2f}"
        )
    assert max(*found["apart"], found["parts"]) < 0.02  # patches are rounded to fp16 otherwise
    assert found["without the UNet"] > 0.1
    assert found["stock again"] == 0


@pytest.mark.slow  # 4 GB on the disk and as much in memory, twice
@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_comfyui_computes_with_a_full_size_folder_what_diffusers_does(form, comfyui, tmp_path):
    folder = save_pipeline(tmp_path / "reco_sd14_coco", FULL, form)
    inside = Inside(comfyui, "--fp32-text-enc", checks="test_without_diffusers")
    assert_same_outputs(inside, folder, FULL, tmp_path)
    inside.close()
