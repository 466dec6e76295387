"""A ReCo checkpoint of Stable Diffusion 1's full size, as .ckpt: run on request with -m slow."""

import pytest
import torch
from inside import Inside
from random_checkpoint import FULL_SIZE, random_state_dict

from reco_core.layout import Box, Layout, Region


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
