"""A sheet of samples: what was drawn, the real picture beside it, and the texts below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

from reco_core.draw import draw_layout, region_colors
from reco_core.layout import Layout
from train.data.contact_sheet import wrapped
from train.evaluate.report import RIGHT, WRONG

SIDE = 256
"""Pixels that a picture is wide or high."""
COLUMNS = 3
_GAP, _LINE, _FRAME, _SWATCH = 12, 18, 4, 12
_GROUND, _INK, _FAINT = "white", "black", "#777777"


@dataclass(frozen=True)
class Card:
    """One layout, what was drawn of it, and the real picture, if there is one.

    right: whether all of it was found to be where it should; None where nobody looked. note: what
    else is to be said.
    """

    layout: Layout
    drawn: Image.Image
    real: Image.Image | None = None
    right: bool | None = None
    note: str = ""


def sample_sheet(title: str, cards: Sequence[Card]) -> Image.Image:
    """Cards in rows under a title. Frames are green or red where it is known what is right."""
    font = ImageFont.load_default(13)
    width = (SIDE + 2 * _FRAME) * (2 if any(card.real for card in cards) else 1)
    cells = [_cell(card, width, font) for card in cards]
    columns = min(COLUMNS, len(cells))
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) + _GAP for row in rows]
    size = (_GAP + columns * (width + _GAP), 2 * _GAP + _LINE + sum(heights))
    sheet = Image.new("RGB", size, _GROUND)
    ImageDraw.Draw(sheet).text((_GAP, _GAP), title, _INK, font)
    top = 2 * _GAP + _LINE
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_GAP + column * (width + _GAP), top))
        top += height
    return sheet


def _cell(
    card: Card, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> Image.Image:
    colour = _GROUND if card.right is None else RIGHT if card.right else WRONG
    pictures = [_framed(card.drawn, card.layout, colour)]
    if card.real is not None:
        pictures.append(_framed(card.real, card.layout, _GROUND))
    lines = [(line, _INK, 0) for line in wrapped(card.layout.caption, font, width)]
    colors = region_colors(card.layout.regions)
    for number, region in enumerate(card.layout.regions):
        told = wrapped(f"{number + 1}  {region.text}", font, width - _SWATCH - 4)
        lines += [(line, colors[number], _SWATCH + 4) for line in told]
    if card.note:
        lines += [(line, _FAINT, 0) for line in wrapped(card.note, font, width)]
    top = max(picture.height for picture in pictures)
    cell = Image.new("RGB", (width, top + 4 + _LINE * len(lines)), _GROUND)
    for place, picture in enumerate(pictures):
        cell.paste(picture, (place * picture.width, 0))
    _write(ImageDraw.Draw(cell), lines, top + 4, font)
    return cell


def _write(
    draw: ImageDraw.ImageDraw,
    lines: Sequence[tuple[str, str, int]],
    top: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Lines of (text, colour, indent): a region's are black, beside a square of its colour."""
    for place, (line, colour, indent) in enumerate(lines):
        y = top + _LINE * place
        if indent:
            draw.rectangle((0, y + 2, _SWATCH, y + 2 + _SWATCH), colour)
        draw.text((indent, y), line, _INK if indent else colour, font)


def _framed(
    picture: Image.Image, layout: Layout, colour: str | tuple[int, int, int]
) -> Image.Image:
    enlarged = max(picture.size) < SIDE
    resampling = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
    fitted = draw_layout(ImageOps.contain(picture, (SIDE, SIDE), resampling), layout)
    side = SIDE + 2 * _FRAME
    frame = Image.new("RGB", (side, fitted.height + 2 * _FRAME), colour)
    frame.paste(fitted, ((side - fitted.width) // 2, _FRAME))
    return frame
