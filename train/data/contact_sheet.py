"""A contact sheet: pictures of a set with their boxes, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from reco_core.atomic import write_atomically
from reco_core.draw import draw_layout
from reco_core.layout import Layout
from train.data.sample import Sample

SIDE = 400
"""Pixels that a picture may be wide and high."""
COLUMNS = 4
_GAP, _LINE, _LINES = 16, 18, 4
_GROUND, _INK, _FAINT = "white", "black", "#777777"


def contact_sheet(samples: Sequence[Sample], columns: int = COLUMNS) -> Image.Image:
    """Pictures in rows, in the order given, each over its name and first caption.

    Raises ValueError when there are none, and what `open` of a sample raises.
    """
    if not samples:
        raise ValueError("there is no sample to draw")
    cells = [_cell(sample) for sample in samples]
    columns = min(columns, len(cells))
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) for row in rows]
    size = (_GAP + columns * (SIDE + _GAP), _GAP + sum(heights) + _GAP * len(rows))
    sheet = Image.new("RGB", size, _GROUND)
    top = _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_GAP + column * (SIDE + _GAP), top))
        top += height + _GAP
    return sheet


def write_contact_sheet(samples: Sequence[Sample], path: Path) -> None:
    """Draw a sheet to a PNG file. Raises as contact_sheet does."""
    sheet = contact_sheet(samples)
    write_atomically(path, lambda temporary: sheet.save(temporary, "PNG"))


def _cell(sample: Sample) -> Image.Image:
    picture = ImageOps.contain(sample.open(), (SIDE, SIDE), Image.Resampling.LANCZOS)
    picture = draw_layout(picture, Layout("", sample.regions))
    font = ImageFont.load_default(13)
    lines = wrapped(sample.captions[0], font, SIDE)
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], lines[_LINES - 1] + " ..."]
    if len(sample.captions) > 1:
        lines[-1] += f" (+{len(sample.captions) - 1})"
    cell = Image.new("RGB", (SIDE, picture.height + _LINE * (1 + len(lines)) + 4), _GROUND)
    cell.paste(picture, ((SIDE - picture.width) // 2, 0))
    draw = ImageDraw.Draw(cell)
    for number, (line, ink) in enumerate(
        [(_shortened(sample.key, font), _FAINT), *((line, _INK) for line in lines)]
    ):
        draw.text((0, picture.height + 4 + _LINE * number), line, ink, font)
    return cell


def wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """The text in lines that are at most so wide, in pixels, unless a word is wider."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The end of a name that is too long: there names differ."""
    while font.getlength(text) > SIDE:
        text = f"...{text[4:]}"
    return text
