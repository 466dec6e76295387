"""What a suite found, written for people and programs: JSON, Markdown, plot, pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from reco_core.atomic import write_atomically
from reco_core.draw import draw_layout
from reco_core.layout import Layout
from train.data.sample import Problem
from train.evaluate.markdown import to_markdown
from train.evaluate.suite import Pictures, PictureScore, Result, Table

RIGHT, WRONG = (40, 170, 60), (220, 40, 40)
MARGIN = 4
SHEET_PICTURES = 24
"""Pictures on a sheet."""
NAMED = 20
"""Of what was left out, as many are named in the report; all are in scores.json."""

LeftOut = Mapping[str, Sequence[Problem]]


def write_report(
    result: Result,
    pictures: Pictures,
    about: Mapping[str, Any],
    folder: Path,
    left_out: LeftOut | None = None,
) -> list[Path]:
    """Write scores.json, report.md, scores.png and sheets of pictures; returns their paths.

    Sheets: best.png and worst.png by score, and first.png of the first ones, chosen by nobody.

    about: what was drawn and how, told at the top. left_out: kind -> what of it was, and why.
    """
    lost = {kind: problems for kind, problems in (left_out or {}).items() if problems}
    ranked = sorted(result.pictures, key=lambda one: -one.score)
    sheets = {"best.png": ranked, "worst.png": ranked[::-1], "first.png": result.pictures}
    everything = {
        **about,
        "warnings": list(result.warnings),
        "left_out": {kind: [asdict(one) for one in lost[kind]] for kind in lost},
        "figures": result.figures,
        "pictures": [picture_entry(one) for one in result.pictures],
    }
    text = json.dumps(everything, indent=1)
    writers: dict[str, Callable[[Path], object]] = {
        "scores.json": lambda path: path.write_text(text, encoding="utf-8"),
        "report.md": lambda path: path.write_text(markdown(result, about, lost), encoding="utf-8"),
        "scores.png": partial(plot_tables, result.tables[:2]),
    }
    for name, scored in sheets.items():
        sheet = score_sheet(scored[:SHEET_PICTURES], pictures)
        writers[name] = partial(sheet.save, format="PNG")
    for name, write in writers.items():
        write_atomically(folder / name, write)
    return [folder / name for name in writers]


def picture_entry(one: PictureScore) -> dict[str, Any]:
    """A picture's part of scores.json."""
    return {
        "name": one.case.name,
        "seed": one.case.seed,
        "score": one.score,
        "caption": one.case.layout.caption,
        **(one.details or {}),
        "regions": list(one.regions),
    }


def markdown(result: Result, about: Mapping[str, Any], left_out: LeftOut) -> str:
    """The tables, under what they are about, what they warn of and what was left out."""
    parts = ["\n".join(f"- {name}: {value}" for name, value in about.items())]
    parts += [f"**Warning:** {warning}." for warning in result.warnings]
    parts += [_lost(kind, problems) for kind, problems in left_out.items()]
    return "\n\n".join([*parts, *map(to_markdown, result.tables)]) + "\n"


def _lost(kind: str, problems: Sequence[Problem]) -> str:
    """How many were left out, and the first of them by name."""
    named = [f"- {problem.key}: {problem.reason}" for problem in problems[:NAMED]]
    more = len(problems) - len(named)
    rest = [f"- and {more} more, which scores.json names"] if more else []
    return "\n".join([f"**Left out, {kind}: {len(problems)}.**", "", *named, *rest])


def plot_tables(tables: Sequence[Table], path: Path) -> None:
    """Bars of the first percent column of each table, as PNG."""
    from matplotlib.figure import Figure

    columns = [next((i for i, c in enumerate(t.columns) if c.endswith("%")), None) for t in tables]
    drawn = [(t, c) for t, c in zip(tables, columns, strict=True) if c is not None and t.rows]
    figure = Figure(figsize=(10, 0.8 + sum(0.8 + 0.3 * len(t.rows) for t, _ in drawn)))
    ratios = [len(t.rows) + 1 for t, _ in drawn] or [1]
    axes = figure.subplots(max(1, len(drawn)), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for axis, (table, column) in zip(axes, drawn, strict=False):
        values = [row[column] if isinstance(row[column], float) else 0.0 for row in table.rows]
        bars = axis.barh([str(row[0]) for row in table.rows], [100 * v for v in values])
        labels = [f"{x[column]:.1%}" if isinstance(x[column], float) else "-" for x in table.rows]
        axis.bar_label(bars, labels, padding=3)
        axis.invert_yaxis()
        axis.set(title=f"{table.title}: {table.columns[column]}", xlim=(0, 112))
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, format="png", dpi=110)


def score_sheet(scored: Sequence[PictureScore], pictures: Pictures) -> Image.Image:
    """Pictures with their boxes; a frame is green where the score is full, red where it is not."""
    images = [pictures(one.case) for one in scored]
    right = [all(r.get("right", one.score >= 1) for r in one.regions or [{}]) for one in scored]
    return picture_sheet(images, [one.case.layout for one in scored], right)


def picture_sheet(
    images: Sequence[Image.Image],
    layouts: Sequence[Layout],
    right: Sequence[bool] | None = None,
    columns: int = 8,
    side: int = 256,
) -> Image.Image:
    """Pictures with their boxes in a grid, each in a cell of `side` pixels; frames are green or red
    where `right` tells, else white."""
    cell = side + 2 * MARGIN
    sheet = Image.new("RGB", (min(columns, len(images)) * cell, -(-len(images) // columns) * cell))
    for i, (image, layout) in enumerate(zip(images, layouts, strict=True)):
        colour = "white" if right is None else RIGHT if right[i] else WRONG
        frame = Image.new("RGB", (cell, cell), colour)
        scale = side / max(image.size)
        size = round(image.width * scale), round(image.height * scale)
        resampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
        drawn = draw_layout(image.resize(size, resampling), layout)
        frame.paste(drawn, ((cell - size[0]) // 2, (cell - size[1]) // 2))
        sheet.paste(frame, (i % columns * cell, i // columns * cell))
    return sheet
