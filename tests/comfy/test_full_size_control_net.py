"""Regions beside a ControlNet of Stable Diffusion 1's full size, as ComfyUI's loader needs it: run
on request with -m slow."""

from dataclasses import replace

import pytest
from inside import Inside
from random_checkpoint import FULL_SIZE, random_state_dict

from reco_core.checkpoint_file import write_checkpoint
from reco_core.layout import Box, Layout, Region


@pytest.mark.slow
def test_a_control_net_and_regions_reach_the_picture_in_one_call_a_step(comfyui, tmp_path, capsys):
    path = tmp_path / "full.safetensors"
    write_checkpoint(path, random_state_dict(replace(FULL_SIZE, vae="taesd")), {"format": "reco"})
    boxes = Box(0.1, 0.1, 0.5, 0.9), Box(0.5, 0.1, 0.9, 0.9)
    layouts = [Layout("a dog", (Region("a brown dog", box),), 256, 256).to_json() for box in boxes]
    inside = Inside(comfyui)  # a process of its own, that gives its memory back
    found = inside(
        "control_net_checks.full_size",
        path=str(path),
        net=str(tmp_path / "net.safetensors"),
        layouts=layouts,
    )
    inside.close()
    with capsys.disabled():
        print(f"\nfull size with a ControlNet: {found}")
    assert found["calls"] == [2] * 6  # positive and negative together, in each of two steps
    assert found["by the control"] > 0.01
    assert found["by the layout"] > 0.001
