"""Seconds of a step with 616 and 1232 text states against 77: python dev.py bench lengths

Samples at 384 x 384 with a UNet of Stable Diffusion 1's size and random weights, without guidance,
so that a step is one row.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from docs.benchmarks.measuring import (
    CHECKPOINT,
    FULL_SIZE,
    asked,
    clock_of,
    comfy,
    devices,
    machine,
    publish,
    step_seconds,
    write_random,
)
from docs.benchmarks.workflows import node, sampled
from docs.tables import table
from reco_core.autoencoder import DOWNSAMPLING, LATENT_CHANNELS
from reco_core.layout import Layout

LENGTHS = (77, 616, 1232)
SIDE, STEPS, ROUNDS = 384, 1, 3
SIZE = replace(FULL_SIZE, text_layers=1, max_length=max(LENGTHS), vae="taesd")


def workflow(length: int) -> dict[str, dict]:
    """The sampler gets the first states of a sequence."""
    encode = node("ReCoTextEncode", clip=["loader", 1], layout=["layout", 0])
    cut = node("CutStates", conditioning=["encode", 0], length=length)
    nodes = {"encode": encode, "cut": cut}
    made = sampled(Layout("a dog", (), SIDE, SIDE), nodes, ["cut", 0], ["cut", 0], cfg=1.0)
    made["loader"]["inputs"]["ckpt_name"] = CHECKPOINT
    made["sampler"]["inputs"]["steps"] = STEPS
    return made


def measure_all(device: str) -> tuple[dict, dict]:
    seconds = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        write_random(Path(name), SIZE)
        with comfy(Path(name), device) as server:
            asked(server, workflow(LENGTHS[0]))  # loads
            for _ in range(ROUNDS):
                for length in LENGTHS:
                    calls = asked(server, workflow(length))
                    seconds[str(length)] += step_seconds(calls, clock_of(device))
            return dict(seconds), machine(server)


def multiplications(length: int) -> int:
    """Of a step, in torch's count of diffusers' UNet."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=SIZE.text_width, attention_head_dim=8)
        latent = torch.empty(1, LATENT_CHANNELS, SIDE // DOWNSAMPLING, SIDE // DOWNSAMPLING)
        with FlopCounterMode(display=False) as counter:
            unet(latent, torch.tensor(1.0), torch.empty(1, length, SIZE.text_width))
    return counter.get_total_flops() // 2


def made_of(figures: Mapping[str, Mapping]) -> dict[str, str]:
    """Tables by their place."""
    counts = {length: multiplications(length) for length in LENGTHS}
    made = {}
    for device, own in figures.items():
        seconds = {length: median(own[str(length)]) for length in LENGTHS}
        made[f"lengths {device}"] = table(
            ["", "seconds", "times", "times, by multiplications"],
            (
                (
                    f"{length} states",
                    f"{seconds[length]:.2f}",
                    f"{seconds[length] / seconds[LENGTHS[0]]:.2f}",
                    f"{counts[length] / counts[LENGTHS[0]]:.2f}",
                )
                for length in LENGTHS
            ),
        )
    return made


def main() -> None:
    figures, machines = {}, {}
    for device in devices():
        figures[device], machines[device] = measure_all(device)
    publish("lengths", machines, figures, made_of(figures))


if __name__ == "__main__":
    main()
