"""Draw a layout on an image: coloured boxes with numbered labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .color_names import first_color_in_text
from .layout import Layout, Region

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    from .mask import Mask

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

Rect = tuple[int, int, int, int]  # xyxy in pixels, right and bottom edge outside

PALETTE = (
    "#e6194b",
    "#3cb44b",
    "#4363d8",
    "#f58231",
    "#911eb4",
    "#46dce6",
    "#f032e6",
    "#bef014",
    "#fabed4",
    "#008080",
    "#9a6324",
    "#ffe119",
)
"""Colors of the regions that neither bring nor name one, by their place in the layout."""

WORD_COLORS = {
    "red": "#e6194b",
    "orange": "#f58231",
    "yellow": "#ffe119",
    "green": "#3cb44b",
    "cyan": "#46dce6",
    "blue": "#4363d8",
    "purple": "#911eb4",
    "pink": "#fabed4",
    "brown": "#9a6324",
    "white": "#ffffff",
    "gray": "#a9a9a9",
    "black": "#1a1a1a",
}
"""Basic colour that a text names -> color of its region."""

_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_SMALLEST_FONT = 10  # pixels; less cannot be read
_MAX_LINES = 3
_WRAPPED = _MAX_LINES + 3  # lines after which nothing of a text can show any more
_LABEL_SHARE = 0.4  # of the image's width, that a label may take even if its box is narrower


@dataclass(frozen=True)
class _Label:
    lines: tuple[str, ...]
    rect: Rect


@dataclass(frozen=True)
class _Type:
    """A font, and what is measured of it once. All in pixels."""

    font: Font

    @cached_property
    def line_height(self) -> int:
        x0, top, x1, bottom = self.font.getbbox("Ag")
        return round(bottom) + max(1, round(top / 2))

    @cached_property
    def padding(self) -> int:
        return max(2, self.line_height // 6)

    def width(self, line: str) -> float:
        return self.font.getlength(line)


class _Ground:
    """How many labels cover each pixel of an image. All labels are asked in one step, so a layout
    of thousands takes a time linear in their number."""

    def __init__(self, size: tuple[int, int]) -> None:
        import numpy as np

        self._count = np.zeros((size[1], size[0]), np.int16)

    def put(self, rect: Rect, labels: int = 1) -> None:
        x0, y0, x1, y1 = rect
        self._count[y0:y1, x0:x1] += labels

    def covered(self, rect: Rect) -> int:
        """The area that other labels would share with one here, counted once for each of them."""
        x0, y0, x1, y1 = rect
        return int(self._count[y0:y1, x0:x1].sum())

    def is_free(self, rect: Rect) -> bool:
        x0, y0, x1, y1 = rect
        return not self._count[y0:y1, x0:x1].any()


def draw_layout(
    image: Image.Image, layout: Layout, on_region: Callable[[int], object] = lambda index: None
) -> Image.Image:
    """A copy of the image, RGB and of the same size, with the layout's boxes on it.

    Boxes are fractions of this image, whatever the layout's own size. One with a mask has a fine
    frame, and the outline of the mask within. Every region gets its number, counted from 1, and as
    much of its text as finds room without covering other labels.

    on_region: is called with each region's index, from 0, while its place is sought; what it raises
        ends the drawing.
    """
    from PIL import ImageDraw, ImageFont

    drawn = image.convert("RGB").copy()
    draw = ImageDraw.Draw(drawn)
    short_side = min(drawn.size)
    kind = _Type(ImageFont.load_default(max(_SMALLEST_FONT, round(short_side / 40))))
    line_width = max(1, round(short_side / 200))
    rects = [region.box.covered_pixels(*drawn.size) for region in layout.regions]
    colours = [_rgb(color) for color in region_colors(layout.regions)]
    for region, rect, colour in zip(layout.regions, rects, colours, strict=True):
        _draw_outline(draw, rect, colour, 1 if region.mask else line_width)
        if region.mask:
            _draw_shape(drawn, region.mask, rect, colour, line_width)
    texts = [region.text for region in layout.regions]
    labels = _place_labels(texts, rects, drawn.size, kind, on_region)
    for label, colour in zip(labels, colours, strict=True):
        _draw_label(draw, label, colour, kind)
    return drawn


def region_color(index: int) -> str:
    """The color, "#rrggbb", of a region that brings none, by its place alone. index: from 0."""
    return PALETTE[index % len(PALETTE)]


def region_colors(regions: Sequence[Region]) -> list[str]:
    """The color, "#rrggbb", of each region: that which it brings, else that which its text names
    first, else its place's of PALETTE, or another that is free. The editor has the same rule."""
    colors = {
        place: color
        for place, region in enumerate(regions)
        if (color := region.color or _named_color(region.text))
    }
    used = {color.lower() for color in colors.values()}
    for place in range(len(regions)):
        own = region_color(place)
        if place not in colors and own not in used:
            colors[place] = own
            used.add(own)
    for place in range(len(regions)):
        if place not in colors:
            free = (color for color in PALETTE if color not in used)
            colors[place] = next(free, region_color(place))
            used.add(colors[place])
    return [colors[place] for place in range(len(regions))]


def _named_color(text: str) -> str | None:
    name = first_color_in_text(text)
    return WORD_COLORS[name] if name else None


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue


def ink_on(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever has more contrast with a colour as WCAG 2 measures it."""
    shares = [channel / 255 for channel in colour]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return _BLACK if (luminance + 0.05) ** 2 > 1.05 * 0.05 else _WHITE


def _draw_outline(
    draw: ImageDraw.ImageDraw, rect: Rect, colour: tuple[int, int, int], line_width: int
) -> None:
    """A frame just inside rect, between thin black lines so that it shows on any ground."""
    x0, y0, x1, y1 = rect
    draw.rectangle((x0 - 1, y0 - 1, x1, y1), outline=_BLACK, width=line_width + 2)
    draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=colour, width=line_width)


def _draw_shape(
    drawn: Image.Image, mask: Mask, rect: Rect, colour: tuple[int, int, int], line_width: int
) -> None:
    """A line just inside the shape of a mask, where it has half of its strength, on a black one."""
    from PIL import Image

    x0, y0, x1, y1 = rect
    values = mask.sized(x1 - x0, y1 - y0)
    shape = values >= max(1, int(values.max()) / 2)
    for ink, width in ((_BLACK, line_width + 1), (colour, line_width)):
        line = Image.fromarray(shape & ~_eroded(shape, width))
        drawn.paste(ink, (x0, y0), line)


def _eroded(shape: np.ndarray, width: int) -> np.ndarray:
    """The pixels of a shape that are farther than a width from its edge, or from the array's."""
    import numpy as np

    for axis in (0, 1):
        padding = [(width, width) if axis == side else (0, 0) for side in (0, 1)]
        padded = np.pad(shape, padding)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1, axis)
        shape = np.all(windows, axis=-1)
    return shape


def _draw_label(
    draw: ImageDraw.ImageDraw, label: _Label, colour: tuple[int, int, int], kind: _Type
) -> None:
    x0, y0, x1, y1 = label.rect
    draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)
    ink = ink_on(colour)
    for line_number, line in enumerate(label.lines):
        y = y0 + line_number * kind.line_height
        draw.text((x0 + kind.padding, y), line, fill=ink, font=kind.font)


def _place_labels(
    texts: Sequence[str],
    rects: Sequence[Rect],
    size: tuple[int, int],
    kind: _Type,
    on_region: Callable[[int], object] = lambda index: None,
) -> list[_Label]:
    """One label for each box. Numbers are placed first, so that none is lost to a long text."""
    ground = _Ground(size)
    labels: list[_Label] = []
    for index, rect in enumerate(rects):
        labels.append(_place_number(index + 1, rect, ground, size, kind))
        ground.put(labels[index].rect)
    for index, (text, rect) in enumerate(zip(texts, rects, strict=True)):
        on_region(index)
        number = labels[index]
        ground.put(number.rect, -1)
        # Where a number has no room, a text around it has none: it need not be measured.
        if any(map(ground.is_free, _spots(rect, number.lines, size, kind))):
            wording = f"{index + 1} {' '.join(text.split())}"
            labels[index] = _place_text(wording, rect, ground, size, kind) or number
        ground.put(labels[index].rect)
    return labels


def _place_number(
    number: int, rect: Rect, ground: _Ground, size: tuple[int, int], kind: _Type
) -> _Label:
    """The number where it covers least of other labels and, that settled, not its own box."""

    def cost(spot: Rect) -> tuple[int, bool]:
        return ground.covered(spot), _hides(spot, rect)

    lines = (str(number),)
    return _Label(lines, min(_spots(rect, lines, size, kind), key=cost))


def _place_text(
    text: str, rect: Rect, ground: _Ground, size: tuple[int, int], kind: _Type
) -> _Label | None:
    """The first free place that leaves half of the box to be seen, else the first free one."""
    room = max(rect[2] - rect[0], round(_LABEL_SHARE * size[0]))
    fallback = None
    for lines in _wordings(text, room, kind):
        for spot in _spots(rect, lines, size, kind):
            if not ground.is_free(spot):
                continue
            if not _hides(spot, rect):
                return _Label(lines, spot)
            fallback = fallback or _Label(lines, spot)
    return fallback


def _wordings(text: str, room: int, kind: _Type) -> Iterator[tuple[str, ...]]:
    """Ways to write a label, the most telling first: whole, then cut to fewer lines."""
    width = room - 2 * kind.padding
    lines = _wrap(text, width, kind)
    for count in range(min(len(lines), _MAX_LINES), 0, -1):
        if count == len(lines):
            yield tuple(lines)
        else:
            yield (*lines[: count - 1], _ellipsis(" ".join(lines[count - 1 :]), width, kind))


def _wrap(text: str, width: float, kind: _Type) -> list[str]:
    """The text in lines, up to the last that a label could show."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and kind.width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        elif len(lines) == _WRAPPED:
            break
        else:
            lines.append(word)
    return [_ellipsis(line, width, kind) for line in lines]


def _ellipsis(line: str, width: float, kind: _Type) -> str:
    """The line, or as much of its start as fits with three dots."""
    if kind.width(line) <= width:
        return line
    fits, too_long = 0, len(line)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if kind.width(line[:middle] + "...") <= width:
            fits = middle
        else:
            too_long = middle
    return line[:fits].rstrip() + "..."


def _spots(rect: Rect, lines: Sequence[str], size: tuple[int, int], kind: _Type) -> Iterator[Rect]:
    """Places for a label: in the corners of its box, then above and below it, all in the image."""
    width = 2 * kind.padding + round(max(kind.width(line) for line in lines))
    height = len(lines) * kind.line_height
    x0, y0, x1, y1 = rect
    right, bottom = x1 - width, y1 - height
    for x, y in (
        (x0, y0),
        (x0, y0 - height),
        (right, y0),
        (x0, bottom),
        (right, bottom),
        (x0, y1),
        (right, y0 - height),
        (right, y1),
    ):
        x, y = max(0, min(x, size[0] - width)), max(0, min(y, size[1] - height))
        yield x, y, x + width, y + height


def _hides(label: Rect, box: Rect) -> bool:
    """Whether a label covers more than half of the box that it names."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    return 2 * _overlap(label, box) > area


def _overlap(a: Rect, b: Rect) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)
