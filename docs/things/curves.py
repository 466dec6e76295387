"""The curves of runs, the first of which trained the small autoencoder, from what they logged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def plot(runs: Sequence[Path]) -> Figure:
    """Decibels of the autoencoder, validation loss, and the gap that the right boxes make.

    runs: folders; that of the first, which trained the autoencoder, then of those that went on from
    what the one before made. A dotted line stands where one begins.
    """
    figure = Figure(figsize=(12, 3.4))
    left, middle, right = figure.subplots(1, 3)
    _curve(left, list(_lines(runs[0] / "autoencoder.jsonl")), "unseen_psnr")
    left.set(title="autoencoder: whole unseen pictures, dB", xlabel="step")
    for axis, name, title in (
        (middle, "loss", "validation: error of the predicted noise"),
        (right, "gap", "validation: gap between foreign and right boxes"),
    ):
        begun = 0
        for run in runs:
            logged = [line for line in _lines(run / "log.jsonl") if line["group"] == "validation"]
            logged = [{**line, "step": begun + line["step"]} for line in logged]
            if begun:
                axis.axvline(begun, linestyle=":", color="grey")
            _curve(axis, logged, name)
            begun = logged[-1]["step"]
        axis.set(title=title, xlabel="step")
    figure.tight_layout()
    return figure


def _lines(path: Path) -> Iterator[dict]:
    return map(json.loads, path.read_text("utf-8").splitlines())


def _curve(axis: Axes, lines: Sequence[dict], name: str) -> None:
    points = [(line["step"], line[name]) for line in lines if name in line]
    axis.plot(*zip(*points, strict=True), color="C0")
    axis.grid(alpha=0.3)
