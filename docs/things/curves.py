"""The curves of a run that trained the small autoencoder first, from what it logged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def plot(run: Path) -> Figure:
    """Decibels of the autoencoder, validation loss, and the gap that the right boxes make.

    run: the run's folder.
    """
    figure = Figure(figsize=(12, 3.4))
    left, middle, right = figure.subplots(1, 3)
    _curve(left, _lines(run / "autoencoder.jsonl"), "unseen_psnr")
    left.set(title="autoencoder: whole unseen pictures, dB", xlabel="step")
    logged = [line for line in _lines(run / "log.jsonl") if line["group"] == "validation"]
    _curve(middle, logged, "loss")
    middle.set(title="validation: error of the predicted noise", xlabel="step")
    _curve(right, logged, "gap")
    right.set(title="validation: gap between foreign and right boxes", xlabel="step")
    figure.tight_layout()
    return figure


def _lines(path: Path) -> Iterator[dict]:
    return map(json.loads, path.read_text("utf-8").splitlines())


def _curve(axis: Axes, lines: Iterator[dict] | list[dict], name: str) -> None:
    points = [(line["step"], line[name]) for line in lines if name in line]
    axis.plot(*zip(*points, strict=True))
    axis.grid(alpha=0.3)
