"""What the ablation found: a table, plots, and the same layouts as every variant draws them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from reco_core.atomic import write_atomically
from reco_core.draw import draw_layout
from train.ablation.variants import VARIANTS, Run, cpu_minutes
from train.data.shapeskills import render
from train.evaluate.markdown import to_markdown
from train.evaluate.shapeskills import ShapeSkillsOptions, ShapeSkillsSuite
from train.evaluate.suite import Table

SKILLS = ("object", "count", "colour", "spatial", "binding")
GRID_LAYOUTS = 6
RESAMPLES = 2000


def write_results(runs: Sequence[Run], ceilings: Table, folder: Path) -> list[Path]:
    """Write results.json, results.md, scores.png, curves.png and grid.png; returns their paths.

    ceilings: what could be met at all, told beside what was.
    """
    results = [describe_run(one) for one in runs]
    text = json.dumps(results, indent=1)
    writers: dict[str, Callable[[Path], object]] = {
        "results.json": lambda path: path.write_text(text, encoding="utf-8"),
        "results.md": lambda path: path.write_text(
            "\n".join(map(to_markdown, (results_table(results), ceilings))), encoding="utf-8"
        ),
        "scores.png": partial(plot_scores, results),
        "curves.png": partial(plot_curves, runs),
        "grid.png": partial(plot_grid, [one for one in runs if one.seed == 0]),
    }
    for name, write in writers.items():
        write_atomically(folder / name, write)
    return [folder / name for name in writers]


def describe_run(one: Run) -> dict[str, Any]:
    """A run's scores, with an interval for region accuracy, and what its training cost."""
    scores = json.loads(one.scores.read_text(encoding="utf-8"))
    figures = scores["figures"]
    mixed = [x["regions"] for x in scores["pictures"] if x["part"] == "mixed"]
    low, high = interval([[region["right"] for region in regions] for regions in mixed])
    return {
        "variant": one.variant.title,
        "seed": one.seed,
        "region_accuracy": figures["mixed"]["region_accuracy"],
        "interval": [low, high],
        "located": figures["mixed"]["located"],
        "mean_iou": figures["mixed"]["mean_iou"],
        "leakage": figures["mixed"]["leakage"],
        **{skill: figures[skill]["skill"] for skill in SKILLS},
        "cpu_minutes": round(cpu_minutes(one.folder), 1),
    }


def interval(right: Sequence[Sequence[bool]]) -> tuple[float, float]:
    """95 % interval of region accuracy, by drawing pictures anew (bootstrap, percentiles)."""
    hits = np.array([sum(regions) for regions in right])
    counts = np.array([len(regions) for regions in right])
    drawn = np.random.default_rng(0).integers(len(right), size=(RESAMPLES, len(right)))
    shares = hits[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


def results_table(results: Sequence[Mapping[str, Any]]) -> Table:
    """One row per run, as the paper's table has one per model."""
    columns = (
        "variant",
        "seed",
        "regions right %",
        "interval",
        "boxes met %",
        "mean IoU",
        "leakage",
    )
    rows = [
        (
            one["variant"],
            str(one["seed"]),
            one["region_accuracy"],
            "{:.1f} to {:.1f}".format(*(100 * x for x in one["interval"])),
            one["located"],
            one["mean_iou"],
            one["leakage"],
            *(one[skill] for skill in SKILLS),
            one["cpu_minutes"],
        )
        for one in sorted(results, key=lambda one: (one["variant"], one["seed"]))
    ]
    headings = (*columns, *(f"{skill} %" for skill in SKILLS), "CPU minutes")
    note = (
        "Boxes met: a thing of the region's colour has an IoU of at least 0.5 with its box, "
        "whatever its shape. The interval (95 %) draws layouts anew; how much a training varies, "
        "the second seeds show."
    )
    return Table("Variants", headings, rows, note)


def plot_scores(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Region accuracy of every run with its interval, and the skills of each variant."""
    figure = Figure(figsize=(12, 5))
    left, right = figure.subplots(1, 2)
    titles = sorted({one["variant"] for one in results})
    for one in results:
        place = titles.index(one["variant"]) + 0.15 * one["seed"]
        low, high = (100 * x for x in one["interval"])
        left.plot([low, high], [place, place], color="tab:blue", lw=2)
        left.plot(100 * one["region_accuracy"], place, "o", color="tab:blue")
        left.plot(100 * one["located"], place, "s", color="tab:gray", mfc="none")
    left.set(
        title="regions right % (dots), boxes met % (squares)",
        yticks=range(len(titles)),
        xlim=(0, 100),
    )
    left.set_yticklabels(titles)
    left.invert_yaxis()
    for number, title in enumerate(titles):
        own = [one for one in results if one["variant"] == title]
        heights = [100 * float(np.mean([one[skill] for one in own])) for skill in SKILLS]
        places = np.arange(len(SKILLS)) + (number - len(titles) / 2) * 0.8 / len(titles)
        right.bar(places, heights, 0.8 / len(titles), label=title, align="edge")
    right.set(title="skills done %, mean over seeds", xticks=range(len(SKILLS)), ylim=(0, 100))
    right.set_xticklabels(SKILLS)
    right.legend(fontsize=8)
    _save(figure, path)


def plot_curves(runs: Sequence[Run], path: Path) -> None:
    """Validation loss while training, and the gap that position tokens make at high noise."""
    figure = Figure(figsize=(12, 4))
    left, right = figure.subplots(1, 2)
    for one in runs:
        for axis, name in ((left, "loss"), (right, "gap")):
            _curve(axis, one, name)
    left.set(title="validation: error of the predicted noise", xlabel="step")
    right.set(title="validation: gap between foreign and right boxes", xlabel="step")
    for axis in (left, right):
        axis.legend(fontsize=7)
    _save(figure, path)


def plot_grid(runs: Sequence[Run], path: Path) -> None:
    """The first layouts as truth and as every variant draws them, with their boxes."""
    options = ShapeSkillsOptions(
        layouts=GRID_LAYOUTS, parts=("mixed",), size=64, counts=(1, 2), sides=(0.3, 0.6)
    )
    cases = ShapeSkillsSuite(options).cases
    figure = Figure(figsize=(2 * (len(runs) + 1), 2.1 * len(cases)))
    axes = figure.subplots(len(cases), len(runs) + 1, squeeze=False)
    for row, case in zip(axes, cases, strict=True):
        drawn = [Image.open(one.scores.parent / f"pictures/{case.name}.png") for one in runs]
        for axis, image in zip(row, [render(case.scene), *drawn], strict=True):
            large = image.convert("RGB").resize((256, 256), Image.Resampling.NEAREST)
            axis.imshow(np.asarray(draw_layout(large, case.layout)))
            axis.axis("off")
    for axis, title in zip(axes[0], ["truth", *(one.variant.title for one in runs)], strict=True):
        axis.set_title(title, fontsize=9)
    _save(figure, path)


def _curve(axis: Axes, one: Run, name: str) -> None:
    label = one.variant.title + (f", seed {one.seed}" if one.seed else "")
    lines = (one.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [entry for entry in map(json.loads, lines) if entry["group"] == "validation"]
    points = [(entry["step"], entry[name]) for entry in entries if name in entry]
    if points:
        steps, values = zip(*points, strict=True)
        style = "--" if one.seed else "-"
        axis.plot(steps, values, style, color=f"C{VARIANTS.index(one.variant)}", label=label)


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, format="png", dpi=100)
