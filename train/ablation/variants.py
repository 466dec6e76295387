"""The ablation's variants, and the runs they are trained in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variant:
    """A configuration's name, what a reader calls it, and the seeds it is trained with."""

    config: str
    title: str
    seeds: tuple[int, ...] = (0,)


VARIANTS = (
    Variant("caption-only", "1 caption only"),
    Variant("positional-words", "2 positional words", (0, 1)),
    Variant("reco-random", "3 ReCo, random rows"),
    Variant("reco-ordered", "4 ReCo, ordered rows", (0, 1)),
    Variant("reco-64-bins", "5 ReCo, 64 bins"),
    Variant("reco-contrastive", "6 ReCo, contrastive"),
    Variant("reco-ungrounded", "7 ReCo, no grounding"),
)


@dataclass(frozen=True)
class Run:
    """One training of a variant, in a folder of its own."""

    variant: Variant
    seed: int
    folder: Path

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    @property
    def scores(self) -> Path:
        return self.folder / "evaluate" / "scores.json"


def plan(output: Path, names: list[str]) -> list[Run]:
    """The runs of these variants, first seeds first."""
    runs = [
        Run(variant, seed, output / (f"{variant.config}-{seed}" if seed else variant.config))
        for variant in VARIANTS
        if variant.config in names
        for seed in variant.seeds
    ]
    return sorted(runs, key=lambda one: one.seed)


def cpu_minutes(folder: Path) -> float:
    """Processor time of a run's training, over all times it was continued."""
    path = folder / "cpu_minutes.json"
    return json.loads(path.read_text()) if path.exists() else 0.0
