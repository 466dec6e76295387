"""Rows of the UNet in each step, for every way to control regions: python dev.py bench rows

Runs workflows with the embedded checkpoint in a ComfyUI, a custom node beside the pack counting
what the UNet computes, and writes docs/benchmarks/rows.json and the table of docs/control.md.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from comfy_server import ROOT, ComfyServer
from docs.benchmarks.gligen import write_gligen
from docs.benchmarks.measuring import HERE, asked, comfy
from docs.benchmarks.workflows import Workflow, areas, gligen, masks, reco, with_control, with_lora
from docs.tables import put, table
from reco_core.atomic import write_text_atomically
from reco_core.control import Control
from reco_core.layout import Box, Layout, Region

FIGURES, PAGE = HERE / "rows.json", HERE.parent / "control.md"
CHECKPOINT = ROOT / "models" / "reco-shapes.safetensors"
COUNTS = (1, 4, 8)
"""Numbers of regions."""

WAYS: Mapping[str, Workflow] = {
    "ReCo Conditioning": reco,
    "ReCo Control, as trained": with_control(),
    "strength": with_control(each=lambda _: Control(strength=2.0)),
    "start and end": with_control(each=lambda i: Control(start=0.1 * (i % 3), end=0.9)),
    "negatives of regions": with_control(each=lambda _: Control(negative="black")),
    "containment": with_control(containment="its tokens, encoded apart"),
    "all of these": with_control(
        each=lambda i: Control(2.0, 0.1 * (i % 3), 0.9, "black"), containment="its tokens"
    ),
    "region guidance": with_control(region_guidance=2.0),
    "region guidance, cfg 1": with_control(region_guidance=2.0, cfg=1.0),
    "LoRA of one region": with_lora,
    "ComfyUI: GLIGEN": gligen,
    "ComfyUI: Set Area": areas,
    "ComfyUI: Set Mask": masks,
}


def count(server: ComfyServer, workflow: Workflow, regions: int) -> dict[str, int]:
    return rows_and_calls(asked(server, workflow(some_layout(regions))))


def rows_and_calls(calls: Sequence[Mapping]) -> dict[str, int]:
    """The rows of a step and in how many calls; the most of any step."""
    rows, numbers = Counter(), Counter()
    for call in calls:
        rows[call["sigma"]] += call["rows"]
        numbers[call["sigma"]] += 1
    return {"rows": max(rows.values()), "calls": max(numbers.values())}


def some_layout(regions: int) -> Layout:
    """Boxes in rows of four; texts that the checkpoint knows."""
    boxes = [Box(x / 4, y / 2, (x + 1) / 4, (y + 1) / 2) for y in range(2) for x in range(4)]
    made = Layout("shapes on a white ground", (), 128, 128)
    return replace(made, regions=tuple(Region("red circle", box) for box in boxes[:regions]))


def some_lora(unet: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A LoRA of rank 1 with random weights, on one matrix."""
    key = next(key for key in unet if key.endswith("attn2.to_q.weight"))
    name = key.removeprefix("model.").removesuffix(".weight")
    out, into = unet[key].shape
    return {
        f"{name}.lora_up.weight": torch.randn(out, 1),
        f"{name}.lora_down.weight": torch.randn(1, into),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models" / "gligen"
        models.mkdir(parents=True)
        write_gligen(load_file(CHECKPOINT), models / "random.safetensors")
        loras = Path(folder) / "models" / "loras"
        loras.mkdir()
        save_file(some_lora(load_file(CHECKPOINT)), loras / "random.safetensors")
        with comfy(Path(folder)) as server:
            found = {
                name: {str(regions): count(server, way, regions) for regions in COUNTS}
                for name, way in WAYS.items()
            }
    write_text_atomically(FIGURES, json.dumps(found, indent=1) + "\n")
    made = table(
        ["", *(f"{regions} region{'s' * (regions > 1)}" for regions in COUNTS)],
        ((name, *map(_cell, own.values())) for name, own in found.items()),
    )
    write_text_atomically(PAGE, put(PAGE.read_text("utf-8"), "rows", made))
    print(made)


def _cell(counted: Mapping[str, int]) -> str:
    calls = counted["calls"]
    return f"{counted['rows']}" + (f" in {calls} calls" if calls > 1 else "")


if __name__ == "__main__":
    main()
