"""Plots of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from reco_core.atomic import write_atomically

Points = Sequence[tuple[float, float]]


def plot_lines(path: Path, title: str, across: str, lines: Mapping[str, Points]) -> None:
    """A line for each name, from zero up."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=name)
    axes.set(title=title, xlabel=across, ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    write_atomically(path, lambda part: figure.savefig(part, format="png", dpi=120))
