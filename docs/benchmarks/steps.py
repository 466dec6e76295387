"""Rows of the UNet and seconds of a step against the number of regions: python dev.py bench steps

Samples with a small UNet of random weights and the full length of 616 states, for ReCo and for
ComfyUI's own ways.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from comfy_server import ComfyServer
from docs.benchmarks.gligen import write_gligen
from docs.benchmarks.measuring import (
    CHECKPOINT,
    HERE,
    Size,
    asked,
    clock_of,
    comfy,
    devices,
    machine,
    publish,
    step_seconds,
    write_random,
)
from docs.benchmarks.plots import plot_lines
from docs.benchmarks.rows import rows_and_calls
from docs.benchmarks.workflows import Workflow, areas, gligen, masks, reco, with_control
from docs.tables import table
from reco_core.layout import Box, Layout, Region

COUNTS = (0, 1, 4, 8, 20, 40)
ROUNDS, STEPS, SIDE = 2, 2, 128
SIZE = Size(
    channels=32,
    channel_mult=(1, 2, 4, 4),
    res_blocks=2,
    attention_levels=3,
    text_width=768,
    text_layers=1,
    max_length=616,
)
MOST_OF_GLIGEN = 30  # comfy/gligen.py, max_objs; with more it ends in an error
WAYS: Mapping[str, Workflow] = {
    "ReCo": reco,
    "ReCo, held in boxes by attention masks": with_control(containment="its tokens"),
    "GLIGEN": gligen,
    "Set Area": areas,
    "Set Mask": masks,
}


def some_layout(regions: int) -> Layout:
    boxes = [Box(x / 8, y / 5, (x + 1) / 8, (y + 1) / 5) for y in range(5) for x in range(8)]
    made = tuple(Region("a red circle", box) for box in boxes[:regions])
    return Layout("shapes on a white ground", made, SIDE, SIDE)


def measure(server: ComfyServer, way: Workflow, regions: int) -> list[dict]:
    """The UNet's calls in a run."""
    workflow = way(some_layout(regions))
    workflow["loader"]["inputs"]["ckpt_name"] = CHECKPOINT
    workflow["sampler"]["inputs"]["steps"] = STEPS
    return asked(server, workflow)


def measure_all(device: str) -> tuple[dict, dict]:
    """Figures by way and number of regions, all of them in turn; and the machine."""
    seconds, work = defaultdict(list), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = write_random(folder, SIZE)
        (folder / "models" / "gligen").mkdir()
        write_gligen(weights, folder / "models" / "gligen" / "random.safetensors")
        with comfy(folder, device) as server:
            for _ in range(ROUNDS):
                for regions in COUNTS:
                    for title, way in WAYS.items():
                        if way is gligen and regions > MOST_OF_GLIGEN:
                            continue
                        calls = measure(server, way, regions)
                        work[title, regions] = rows_and_calls(calls)
                        seconds[title, regions] += step_seconds(calls, clock_of(device))
            found = machine(server)
    figures = {
        title: {
            str(regions): {**work[title, regions], "seconds": seconds[title, regions]}
            for regions in COUNTS
            if (title, regions) in work
        }
        for title in WAYS
    }
    return figures, found


def made_of(figures: Mapping[str, Mapping]) -> dict[str, str]:
    """Tables by their place."""
    head = ["", *(f"{regions} region{'s' * (regions != 1)}" for regions in COUNTS)]
    return {
        f"steps {device}": table(
            head,
            (
                (title, *(_cell(found.get(str(regions))) for regions in COUNTS))
                for title, found in own.items()
            ),
        )
        for device, own in figures.items()
    }


def plot(figures: Mapping[str, Mapping]) -> None:
    for device, own in figures.items():
        lines = {
            title: [(int(regions), median(one["seconds"])) for regions, one in found.items()]
            for title, found in own.items()
        }
        plot_lines(HERE / f"steps-{device}.png", "Seconds of a step", "regions", lines)


def main() -> None:
    figures, machines = {}, {}
    for device in devices():
        figures[device], machines[device] = measure_all(device)
    plot(figures)
    publish("steps", machines, figures, made_of(figures))


def _cell(found: Mapping | None) -> str:
    if found is None:
        return f"at most {MOST_OF_GLIGEN}"
    return f"{median(found['seconds']):.2f} s, {found['rows']} rows"


if __name__ == "__main__":
    main()
