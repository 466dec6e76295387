"""The layout of a picture: one caption, and regions that say what goes where."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .checks import check_text, finite, is_color, pixel_side, quote, read_json
from .control import Control
from .limits import MAX_MASK_PIXELS, MAX_REGIONS, MAX_WORDS, SIZE_STEP
from .mask import Mask

JSON_VERSION = 1
_PIXEL_TOLERANCE = 1e-6  # forgives the rounding error of x + width, not a box outside the image


@dataclass(frozen=True)
class Box:
    """An upright box: xyxy, normalised to [0, 1], origin at the image's top-left corner.

    Zero width or height is legal, since a quantised box can have equal corners.

    Raises:
        ValueError: a coordinate is not a finite number in [0, 1], or the corners are inverted.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        for name in ("x0", "y0", "x1", "y1"):
            value = finite(f"box {name}", getattr(self, name))
            if not 0.0 <= value <= 1.0:
                raise ValueError(
                    f"box {name} = {value!r} is outside the image: coordinates are fractions "
                    "of it, from 0 (left, top) to 1 (right, bottom)"
                )
            object.__setattr__(self, name, value)
        for low, high in (("x0", "x1"), ("y0", "y1")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(
                    f"box is inverted: {low} = {getattr(self, low)!r} is greater than "
                    f"{high} = {getattr(self, high)!r}; give the top-left corner first"
                )

    @classmethod
    def from_pixels(
        cls,
        x: float,
        y: float,
        width: float,
        height: float,
        image_width: int,
        image_height: int,
    ) -> Box:
        """The box a person entered: xywh in pixels of an image_width x image_height picture.

        Raises:
            ValueError: a value is not finite, the box is empty, or it leaves the image.
        """
        image_width = pixel_side("image width", image_width)
        image_height = pixel_side("image height", image_height)
        x0, x1 = _pixel_interval("x", x, "width", width, image_width)
        y0, y1 = _pixel_interval("y", y, "height", height, image_height)
        return cls(x0 / image_width, y0 / image_height, x1 / image_width, y1 / image_height)

    def to_pixels(
        self, image_width: float, image_height: float
    ) -> tuple[float, float, float, float]:
        """xyxy in pixels, not rounded."""
        return (
            self.x0 * image_width,
            self.y0 * image_height,
            self.x1 * image_width,
            self.y1 * image_height,
        )

    def covered_pixels(self, image_width: int, image_height: int) -> tuple[int, int, int, int]:
        """The pixels that the box covers, at least one: xyxy, right and bottom edge outside.

        Neighbours that share an edge meet on it, without a gap and without overlap.
        """
        x0, y0, x1, y1 = (round(v) for v in self.to_pixels(image_width, image_height))
        x0, y0 = min(x0, image_width - 1), min(y0, image_height - 1)
        return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)

    @property
    def area(self) -> float:
        """The share of the image that the box covers, in [0, 1]."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    @property
    def is_empty(self) -> bool:
        return self.x0 == self.x1 or self.y0 == self.y1


@dataclass(frozen=True)
class Region:
    """What is to be seen in a box.

    text: the description, kept as written (prompt weights and embeddings included).
    weight: multiplies the prompt weight of all of the region's tokens; 1 changes nothing.
    color: "#rrggbb" to draw the box in, or None for the next of `draw.PALETTE`. No model sees it.
    mask: what of the box it is, to inpaint; None for all of it, as is a mask that is full. Models
        read the box alone, and written forms have no place for it.
    control: what samplers do with it beyond the paper, see control.py.

    Raises:
        ValueError: the text is empty or too long, the weight is not a finite number, or the color
            or the mask is none.
    """

    text: str
    box: Box
    weight: float = 1.0
    color: str | None = None
    mask: Mask | None = None
    control: Control = Control()

    def __post_init__(self) -> None:
        check_text("region text", self.text)
        if not self.text.strip():
            raise ValueError(
                f"region text {quote(self.text)} is empty: say in words what the box contains"
            )
        if not isinstance(self.box, Box):
            raise ValueError(f"region {quote(self.text)}: box {quote(self.box)} is not a Box")
        weight = finite(f"weight of region {quote(self.text)}", self.weight)
        object.__setattr__(self, "weight", weight)
        if self.color is not None and not is_color(self.color):
            raise ValueError(
                f"color {quote(self.color)} of region {quote(self.text)} is not a color: write it "
                "as #rrggbb"
            )
        if self.mask is not None and not isinstance(self.mask, Mask):
            raise ValueError(f"region {quote(self.text)}: mask {quote(self.mask)} is not a Mask")
        if self.mask is not None and self.mask.is_full:
            object.__setattr__(self, "mask", None)


@dataclass(frozen=True)
class Layout:
    """A caption for the whole picture and the regions in it, in prompt order.

    width, height: size of the picture in pixels, positive and divisible by 8.

    Raises:
        ValueError: the caption is not a text, a region is not a Region, a size is not legal, or
            there is more of anything than `limits` allow.
    """

    caption: str = ""
    regions: tuple[Region, ...] = ()
    width: int = 512
    height: int = 512

    def __post_init__(self) -> None:
        check_text("caption", self.caption)
        regions = tuple(self.regions)
        for region in regions:
            if not isinstance(region, Region):
                raise ValueError(f"{quote(region)} is not a Region")
        check_count(len(regions))
        words = len(self.caption) + sum(
            len(region.text) + len(region.control.negative) for region in regions
        )
        if words > MAX_WORDS:
            raise ValueError(
                f"the layout's texts have {words:,} characters together, more than the "
                f"{MAX_WORDS:,} that are read: shorten them or remove regions"
            )
        _check_masks(regions)
        object.__setattr__(self, "regions", regions)
        for name in ("width", "height"):
            side = layout_side(f"layout {name}", getattr(self, name))
            object.__setattr__(self, name, side)

    def with_region(self, region: Region) -> Layout:
        """The same layout with one more region at the end."""
        return replace(self, regions=(*self.regions, region))

    def to_data(self) -> dict[str, Any]:
        """As JSON, from which `from_data` makes an equal layout, but for its masks."""
        return {
            "version": JSON_VERSION,
            "caption": self.caption,
            "width": self.width,
            "height": self.height,
            "regions": [_region_data(region) for region in self.regions],
        }

    def to_json(self) -> str:
        """JSON text from which `from_json` makes an equal layout, but for its masks."""
        return json.dumps(self.to_data(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """Read what `to_json` wrote; keys it does not know are ignored.

        Raises:
            ValueError: not JSON, or as from_data.
        """
        return cls.from_data(read_json(text))

    @classmethod
    def from_data(cls, data: Any, indices: Sequence[int] | None = None) -> Layout:
        """Read what `to_data` returned; keys it does not know are ignored.

        indices: of each region among its likes, from 0, where these are not all of them.

        Raises:
            ValueError: not a layout, a newer version, or values that are not legal.
        """
        if not isinstance(data, Mapping) or not {"caption", "regions"} & data.keys():
            raise ValueError(f"this JSON is not a layout: expected {_SHAPE}; got {quote(data)}")
        _check_version(data.get("version", JSON_VERSION))
        regions = data.get("regions", [])
        if not isinstance(regions, list):
            raise ValueError(f"layout regions must be a list, got {quote(regions)}")
        check_count(len(regions))
        return cls(
            caption=data.get("caption", ""),
            regions=tuple(map(_region, indices or range(len(regions)), regions)),
            width=data.get("width", 512),
            height=data.get("height", 512),
        )


def check_count(regions: int) -> None:
    """Raise ValueError when there are more regions, or boxes for them, than a layout may have."""
    if regions > MAX_REGIONS:
        raise ValueError(
            f"{regions:,} regions are more than the {MAX_REGIONS:,} that a layout may have: "
            "remove some"
        )


def _check_masks(regions: tuple[Region, ...]) -> None:
    masks = [region.mask for region in regions if region.mask is not None]
    pixels = sum(len(mask.pixels) for mask in masks)
    if pixels > MAX_MASK_PIXELS:
        raise ValueError(
            f"{len(masks)} masks have {pixels:,} pixels together, more than the "
            f"{MAX_MASK_PIXELS:,} that a layout may hold: make them smaller, or use fewer"
        )


def layout_side(name: str, value: Any) -> int:
    """A width or height that a layout may have. Raises ValueError, with its name, for another."""
    side = pixel_side(name, value)
    if side % SIZE_STEP:
        raise ValueError(
            f"{name} = {side} is not divisible by {SIZE_STEP}: use {nearest_side(side)}"
        )
    return side


def nearest_side(pixels: float) -> int:
    """The width or height of a layout that is nearest to a number of pixels."""
    return max(SIZE_STEP, SIZE_STEP * round(pixels / SIZE_STEP))


_SHAPE = (
    'an object like {"caption": "...", "width": 512, "height": 512, '
    '"regions": [{"text": "...", "box": [x0, y0, x1, y1]}]}, boxes as fractions of the image'
)


def _region_data(region: Region) -> dict[str, Any]:
    box = region.box
    data = {"text": region.text, "box": [box.x0, box.y0, box.x1, box.y1], "weight": region.weight}
    color = {} if region.color is None else {"color": region.color}
    return {**data, **color, **region.control.to_data()}


def _region(index: int, data: Any) -> Region:
    if not isinstance(data, Mapping) or not {"text", "box"} <= data.keys():
        raise ValueError(
            f'layout region {index + 1} must be an object with "text" and "box", got {quote(data)}'
        )
    corners = data["box"]
    if not isinstance(corners, list) or len(corners) != 4:
        raise ValueError(
            f"layout region {index + 1}: box must be four numbers [x0, y0, x1, y1], "
            f"got {quote(corners)}"
        )
    try:
        box = Box(*corners)
        weight, color = data.get("weight", 1.0), data.get("color")
        return Region(data["text"], box, weight, color, control=Control.from_data(data))
    except ValueError as error:
        raise ValueError(f"layout region {index + 1}: {error}") from None


def _check_version(version: Any) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(
            f"layout version {quote(version)} is not a version: expected {JSON_VERSION}"
        )
    if version > JSON_VERSION:
        raise ValueError(
            f"layout version {quote(version)} is newer than this ReCo reads (up to "
            f"{JSON_VERSION}): update ReCo"
        )


def _pixel_interval(
    start_name: str, start: float, size_name: str, size: float, limit: int
) -> tuple[float, float]:
    """One side of a box in pixels, as (start, stop) inside [0, limit]."""
    start = finite(f"box {start_name}", start)
    size = finite(f"box {size_name}", size)
    if size <= 0:
        raise ValueError(f"box {size_name} = {size:g} px must be greater than 0")
    if start < 0 or start + size > limit + _PIXEL_TOLERANCE:
        raise ValueError(
            f"box leaves the image: {start_name} = {start:g} and {size_name} = {size:g} span "
            f"{start:g} to {start + size:g} px of 0 to {limit}; move or shrink the box"
        )
    return start, min(start + size, float(limit))
