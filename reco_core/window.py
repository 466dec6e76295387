"""Layouts through a window: cropped to a part of their picture, padded around it, in tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .boxes import cut_side
from .checks import finite, quote
from .layout import Box, Layout, Region, layout_side
from .remarks import Reading, Remark

MAX_TILES = 4_096
_NAMED = 10  # tiles or regions that a remark names
_TOLERANCE = 1e-9  # of shares, whose edges are fractions
_View = list[tuple[Region | None, float]]  # of each region what is seen, and which share that is


@dataclass(frozen=True)
class Window:
    """A part of a picture, or what is around it: xywh in whole pixels of it, origin at its top-left
    corner.

    Raises:
        ValueError: width or height is not positive and divisible by 8.
    """

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        layout_side("window width", self.width)
        layout_side("window height", self.height)

    def to_pixels(self) -> dict[str, int]:
        """As a BOUNDING_BOX."""
        return {"x": self.x, "y": self.y, "width": self.width, "height": self.height}


@dataclass(frozen=True)
class Tiles:
    """A layout in tiles, row by row: the window of each in the whole, and what is seen there.

    remarks: on what is left out.
    """

    windows: tuple[Window, ...]
    readings: tuple[Reading, ...]
    remarks: tuple[Remark, ...]


def crop_layout(layout: Layout, window: Window, visible: float) -> Reading:
    """What of a layout is in a part of its picture.

    Boxes and masks are cut at the window's edges, the caption stays. visible: share, 0 to 1, of a
    region's box or mask below which it is left out, with a remark; what cannot be seen always is.

    Raises:
        ValueError: the window is not within the picture, or visible is no share.
    """
    sides = (("x", "width", layout.width), ("y", "height", layout.height))
    for start_name, size_name, limit in sides:
        start, size = getattr(window, start_name), getattr(window, size_name)
        if start < 0 or start + size > limit:
            raise ValueError(
                f"the window leaves the picture: {start_name} = {start} and {size_name} = {size} "
                f"span {start} to {start + size} px of 0 to {limit}; move or shrink it, or pad the "
                "layout first"
            )
    return _reading(layout, window, _view(layout, window), _share(visible))


def pad_layout(layout: Layout, left: int, top: int, right: int, bottom: int) -> Layout:
    """The layout of a picture with so many pixels more on each side; boxes keep their pixels.

    Raises:
        ValueError: a number is below 0, or a side is then not divisible by 8.
    """
    for name, pixels in (("left", left), ("top", top), ("right", right), ("bottom", bottom)):
        if pixels < 0:
            raise ValueError(f"{name} = {pixels} is below 0: crop the layout to make it smaller")
    width = layout_side("padded width", layout.width + left + right)
    height = layout_side("padded height", layout.height + top + bottom)
    window = Window(-left, -top, width, height)
    return _reading(layout, window, _view(layout, window), 0.0).layout


def tile_layout(
    layout: Layout, tile_width: int, tile_height: int, overlap: int, visible: float
) -> Tiles:
    """The layout in tiles, as `tile_windows` cuts its picture. visible: as for `crop_layout`.

    Raises:
        ValueError: as tile_windows and crop_layout.
    """
    windows = tile_windows(layout.width, layout.height, tile_width, tile_height, overlap)
    views = [_view(layout, window) for window in windows]
    readings = tuple(
        _reading(layout, window, view, _share(visible))
        for window, view in zip(windows, views, strict=True)
    )
    return Tiles(windows, readings, tuple(_tile_remarks(layout, views, visible)))


def check_cut(layout: Layout, width: int, height: int) -> None:
    """Raise ValueError unless a layout is of a picture's size, in pixels: else the tiles of the one
    are not those of the other."""
    if (layout.width, layout.height) != (width, height):
        raise ValueError(
            f"the picture is {width} x {height} px and the layout {layout.width} x "
            f"{layout.height}: tiles would get boxes that are not in them; scale the picture to "
            "the layout's size, or the layout to the picture's by ReCo Scale Layout"
        )


def tile_windows(
    width: int, height: int, tile_width: int, tile_height: int, overlap: int
) -> tuple[Window, ...]:
    """The tiles of a picture, row by row, as ComfyUI's Split Image into List of Tiles cuts them.

    All are of one size, that of the picture where that is smaller; those at the right and bottom
    edges overlap more. All in pixels. overlap: of neighbours, at most three quarters of a tile.

    Raises:
        ValueError: a tile's side is not divisible by 8, overlap is below 0, or there are too many.
    """
    if overlap < 0:
        raise ValueError(f"overlap = {overlap} is below 0: tiles would leave gaps")
    across = (layout_side("tile width", tile_width), width)
    down = (layout_side("tile height", tile_height), height)
    columns, rows = (_starts(*sides, overlap) for sides in (across, down))
    if len(columns) * len(rows) > MAX_TILES:
        raise ValueError(
            f"{len(columns)} x {len(rows)} tiles are more than {MAX_TILES:,}: make them larger, or "
            "let them overlap less"
        )
    size = min(across), min(down)
    return tuple(Window(x, y, *size) for y in rows for x in columns)


def _starts(tile: int, side: int, overlap: int) -> list[int]:
    stride = round(max(tile * 0.25, tile - overlap))
    starts = [start for start in range(0, side, stride) if start + tile < side]
    return [*starts, max(0, side - tile)]


def _share(visible: float) -> float:
    if not 0 <= finite("visible", visible) <= 1:
        raise ValueError(f"visible = {quote(visible)} is no share: use 0 to 1")
    return visible


def _view(layout: Layout, window: Window) -> _View:
    return [_cut(region, layout, window) for region in layout.regions]


def _reading(layout: Layout, window: Window, view: _View, visible: float) -> Reading:
    kept = [index for index, (_, share) in enumerate(view) if _is_kept(share, visible)]
    remarks = tuple(
        Remark("left out", _why(region, index, view[index][1], visible), index)
        for index, region in enumerate(layout.regions)
        if index not in set(kept)
    )
    regions = tuple(region for index in kept if (region := view[index][0]))
    seen = replace(layout, regions=regions, width=window.width, height=window.height)
    return Reading(seen, remarks, kept)


def _is_kept(share: float, visible: float) -> bool:
    return share > 0 and share >= visible - _TOLERANCE


def _cut(region: Region, layout: Layout, window: Window) -> tuple[Region | None, float]:
    """What of a region is in a window, and which share of it that is; (None, 0) for nothing."""

    def cut(low: float, high: float, start: int, size: int, whole: int) -> tuple[float, ...]:
        return cut_side(*((side - start / whole) * (whole / size) for side in (low, high)))

    box = region.box
    x0, x1, left, right = cut(box.x0, box.x1, window.x, window.width, layout.width)
    y0, y1, top, bottom = cut(box.y0, box.y1, window.y, window.height, layout.height)
    share = (right - left) * (bottom - top)
    if share <= 0:
        return None, 0.0
    mask = region.mask and region.mask.cut(left, top, right, bottom)
    if region.mask:
        if mask is None:
            return None, 0.0
        share = min(1.0, share * mask.mean / region.mask.mean)
    return replace(region, box=Box(x0, y0, x1, y1), mask=mask), share


def _why(region: Region, index: int, share: float, visible: float) -> str:
    seen = f"{_percent(share)} of it" if share else "nothing of it"
    less = f", less than visible = {visible:g}: lower that to keep it" if share else ""
    return f"{_name(region, index)} is left out: {seen} is in the window{less}."


def _tile_remarks(layout: Layout, views: list[_View], visible: float) -> Iterator[Remark]:
    """On regions that no tile has, and on those of which some tiles show too little."""
    partly = []
    for index, region in enumerate(layout.regions):
        shares = [view[index][1] for view in views]
        little = [
            str(number)
            for number, share in enumerate(shares, start=1)
            if share and not _is_kept(share, visible)
        ]
        if not any(_is_kept(share, visible) for share in shares):
            message = (
                f"{_name(region, index)} is in no tile: at most {_percent(max(shares))} of it is "
                f"in one, less than visible = {visible:g}. Lower that, or make tiles larger."
            )
            yield Remark("left out", message, index)
        elif little:
            partly.append(f"region {index + 1} of tile {', '.join(little[:_NAMED])}")
    if partly:
        more = f" and {len(partly) - _NAMED} more" if len(partly) > _NAMED else ""
        message = (
            f"left out where a tile has less of it than visible = {visible:g}: "
            f"{'; '.join(partly[:_NAMED])}{more}."
        )
        yield Remark("left out", message)


def _name(region: Region, index: int) -> str:
    return f"region {index + 1} ({quote(region.text, 40)})"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
