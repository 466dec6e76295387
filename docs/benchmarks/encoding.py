"""Text encoding beside transformers', and what is encoded again: python dev.py bench encoding

With a text encoder of Stable Diffusion 1's size, random weights and 616 tokens.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from comfy_server import ComfyServer
from docs.benchmarks.measuring import (
    CHECKPOINT,
    FULL_SIZE,
    asked,
    clock_of,
    comfy,
    devices,
    machine,
    publish,
    write_random,
)
from docs.benchmarks.workflows import node
from docs.tables import table
from reco_core.layout import Box, Layout, Region

ROUNDS = 5
SIZE = replace(FULL_SIZE, channels=32, vae="taesd")
PLAIN = "a park <100> <100> <500> <500> a brown dog <300> <500> <900> <900> a tree"
WEIGHTED = PLAIN.replace("brown", "white").replace("a tree", "(a tree:2.0)")
WAYS = {
    "transformers": "transformers",
    "here": "plain",
    "here, a region with weight 2.0": "weighted",
}


def some_layout(text: str) -> Layout:
    regions = (Region(text, Box(0, 0, 0.5, 1)), Region("a tree", Box(0.5, 0, 1, 1)))
    return Layout("a park", regions, 512, 512)


def time_encoding(server: ComfyServer) -> dict[str, Any]:
    loader = node("ReCoLoadCheckpoint", ckpt_name=CHECKPOINT)
    texts = {"plain": PLAIN, "weighted": WEIGHTED}
    timed = node("TimeEncoding", clip=["loader", 1], rounds=ROUNDS, **texts)
    return asked(server, {"loader": loader, "shown": timed})


def passes(server: ComfyServer, checkpoint: str) -> dict[str, list[int]]:
    """Lengths of the sequences that are read for a layout, for the same again, and for one of whose
    regions the text has changed, with positive and empty negative."""
    workflow = {
        "loader": node("ReCoLoadCheckpoint", ckpt_name=checkpoint),
        "counted": node("CountPasses", clip=["loader", 1]),
        "encode": node(
            "ReCoConditioning", clip=["counted", 0], layout=["layout", 0], negative="blurred"
        ),
        "shown": node("ShowPasses", passes=["counted", 1], conditioning=["encode", 0]),
    }
    found = {}
    for what, text in (("first", "a dog"), ("unchanged", "a dog"), ("a region changed", "a cat")):
        layout = some_layout(text)
        size = {"width": layout.width, "height": layout.height}
        workflow["layout"] = node("ReCoLayoutFromText", text=layout.to_json(), **size)
        found[what] = asked(server, workflow)
    return found


def measure_all(device: str) -> tuple[dict, dict]:
    with tempfile.TemporaryDirectory() as name:
        write_random(Path(name), SIZE)
        with comfy(Path(name), device) as server:
            figures = {**time_encoding(server), "passes": passes(server, CHECKPOINT)}
            return figures, machine(server)


def ratios(rounds: list[Mapping], way: str, clock: str) -> list[float]:
    """Of each round, to transformers' time in it."""
    return [one[way][clock] / one["transformers"][clock] for one in rounds]


def main() -> None:
    figures, machines, made = {}, {}, {}
    for device in devices():
        own, machines[device] = figures[device], _ = measure_all(device)
        clock, rounds = clock_of(device), own["rounds"]
        rows = ((title, *_times(rounds, way, clock)) for title, way in WAYS.items())
        made[f"encoding {device}"] = table(["", "seconds", "times", "lowest", "highest"], rows)
        made[f"passes {device}"] = table(
            ["", "sequences of 616", "of 2"],
            (
                (what, lengths.count(SIZE.max_length), lengths.count(2))
                for what, lengths in own["passes"].items()
            ),
        )
    publish("encoding", machines, figures, made)


def _times(rounds: list[Mapping], way: str, clock: str) -> tuple[str, ...]:
    found = ratios(rounds, way, clock)
    seconds = median(one[way][clock] for one in rounds)
    return f"{seconds:.3f}", *(f"{value:.2f}" for value in (median(found), min(found), max(found)))


if __name__ == "__main__":
    main()
