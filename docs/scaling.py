"""Where several devices wait for what, by arithmetic: python -m docs.scaling

Counts the gradients and operations of shipped configurations as `python -m train memory` does, into
docs/scaling.json, and writes the tables of docs/scaling.md. Nothing is measured: a step's parts are
divided by the rates below.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.tables import put, table
from reco_core.atomic import write_text_atomically
from train.config import load_config
from train.fit.options import FitConfig
from train.memory.speed import CARDS, HOUR, SHARE_OF_PEAK, Card

DOCS = Path(__file__).resolve().parent
PAGE, COUNTS = DOCS / "scaling.md", DOCS / "scaling.json"
LAION = "paper, 1,232 tokens"
CONFIGS = {
    "lora-8gb": (),
    "full-24gb": (),
    "paper": (),
    "paper, bf16": ("compute.precision=bf16",),
    LAION: ("model.max_length=1232",),
}
"""Each by its file's name before a comma, and what is changed."""

DEVICES = 8
"""Of a machine."""
NVLINK = {"H100 SXM": 450e9, "A100": 300e9}
"""Bytes a second that a card sends to others of its machine: half of what NVIDIA's data sheets give
for both directions together, 900 and 600 GB/s."""
NETWORKS = {"": (1, 0.0), "100 Gbit/s": (4, 100e9 / 8), "25 Gbit/s": (4, 25e9 / 8)}
"""Machines, and bytes a second that each sends. Assumed."""
PICTURE = 18e9 / 118_287
"""Bytes of one: COCO's train2017.zip, 18 GB and 118,287 pictures by cocodataset.org."""
STORAGE = 1e9
"""Bytes a second that a machine reads. Assumed."""
DECODED = 100.0
"""Pictures a second that a core decodes, crops and scales to 512 x 512. Assumed."""
BACKWARD = 2 / 3
"""Of a micro-batch's operations, those during which gradients are sent."""


@dataclass(frozen=True)
class Step:
    """Seconds that a step keeps each part busy. window: of the arithmetic, what hides gradients."""

    devices: int
    samples: int
    arithmetic: float
    window: float
    inside: float
    between: float
    reading: float
    decoding: float

    @property
    def total(self) -> float:
        """Gradients go on beside the last backward pass, pictures beside everything."""
        waiting = max(0.0, self.inside - self.window, self.between - self.window)
        return max(self.arithmetic + waiting, self.reading, self.decoding)

    @property
    def parts(self) -> dict[str, float]:
        """The longest first."""
        named = {
            "arithmetic": self.arithmetic,
            "gradients inside": self.inside,
            "gradients between": self.between,
            "reading": self.reading,
            "decoding": self.decoding,
        }
        return dict(sorted(named.items(), key=lambda part: -part[1]))


def step(config: FitConfig, counts: dict[str, int], card: Card, machines: int, sent: float) -> Step:
    """A step of a configuration's batch on as many devices as it has samples for, at most all.

    sent: bytes a second between machines.
    """
    batch, compute = config.optimizer.batch_size, config.compute
    devices = min(DEVICES * machines, batch)
    samples, here = batch // devices, devices // machines
    second = counts["flops"] / (SHARE_OF_PEAK * card.peak(compute.precision, compute.tf32))
    return Step(
        devices,
        samples,
        arithmetic=samples * second,
        window=BACKWARD * second * min(samples, config.optimizer.micro_batch),
        inside=exchanged(counts["gradients"], here) / NVLINK[card.name],
        between=exchanged(counts["gradients"], machines) / sent if machines > 1 else 0.0,
        reading=samples * here * PICTURE / STORAGE,
        decoding=samples / (DECODED * max(1, config.data.workers)),
    )


def exchanged(size: int, places: int) -> float:
    """Bytes that each place sends for the sum of `size` bytes in all: a ring's all-reduce."""
    return 2 * size * (places - 1) / places


def waits(counts: dict[str, dict[str, int]]) -> str:
    """A row for each configuration and network, on the fastest card, which waits first."""
    head = (
        "config", "between machines", "devices", "samples on each", "gradients, MB",
        "pictures, MB a machine", "arithmetic, s", "gradients, s", "step, s", "longest", "next",
    )  # fmt: skip
    return table(head, _wait_rows(counts))


def _wait_rows(counts: dict[str, dict[str, int]]) -> Iterator[tuple[object, ...]]:
    card = next(card for card in CARDS if card.name == "H100 SXM")
    for name in (name for name in CONFIGS if name != LAION):
        for network, (machines, sent) in NETWORKS.items():
            found = step(_config(name), counts[name], card, machines, sent)
            (first, long), (second, short) = list(found.parts.items())[:2]
            yield (
                name,
                network or "one machine",
                found.devices,
                found.samples,
                f"{counts[name]['gradients'] / 1e6:,.0f}",
                f"{found.reading * STORAGE / 1e6:.1f}",
                f"{found.arithmetic:.3f}",
                f"{max(found.inside, found.between):.3f}",
                f"{found.total:.3f}",
                first,
                f"{second}, {short / long:.0%}",
            )


def costs(counts: dict[str, dict[str, int]]) -> str:
    """GPU hours of the paper's samples at both lengths, by card and precision."""
    names = ("paper", LAION)
    head = (
        "card",
        "precision",
        *(f"{name}: {what}" for name in names for what in ("hours", "days of 32")),
    )
    return table(head, _cost_rows(counts, names))


def _cost_rows(
    counts: dict[str, dict[str, int]], names: tuple[str, ...]
) -> Iterator[tuple[object, ...]]:
    options = _config("paper").optimizer
    samples = options.steps * options.batch_size
    for card in (card for card in CARDS if card.name in NVLINK):
        for told, precision, tf32 in (
            ("fp32", "no", False),
            ("TF32", "no", True),
            ("bf16", "bf16", False),
        ):
            rate = SHARE_OF_PEAK * card.peak(precision, tf32)
            hours = [samples * counts[name]["flops"] / rate / HOUR for name in names]
            cells = (cell for one in hours for cell in (f"{one:,.0f}", f"{one / 32 / 24:.1f}"))
            yield card.name, told, *cells


def count(name: str) -> dict[str, int]:
    """Bytes of gradients on a device, and operations of a sample."""
    from train.memory.count import count_memory

    plan = count_memory(_config(name))
    return {"gradients": plan.gradients, "flops": plan.flops}


def _config(name: str) -> FitConfig:
    file = DOCS.parent / "train" / "configs" / f"{name.partition(',')[0]}.toml"
    return load_config(file, CONFIGS[name])


def page(text: str, counts: dict[str, dict[str, int]]) -> str:
    """The page with its tables made anew."""
    return put(put(text, "waits", waits(counts)), "costs", costs(counts))


def main() -> None:
    counts = {name: count(name) for name in CONFIGS}
    write_text_atomically(COUNTS, json.dumps(counts, indent=1) + "\n")
    write_text_atomically(PAGE, page(PAGE.read_text("utf-8"), counts))


if __name__ == "__main__":
    main()
