"""What a checkpoint is, and for which sizes of pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .family import Family
from .metadata import Size
from .position_tokens import CLIP_LENGTH
from .remarks import Remark


@dataclass(frozen=True)
class EncoderInfo:
    """Sizes of a text encoder; weights do not tell its heads."""

    width: int
    layers: int
    intermediate: int
    heads: int


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint is.

    num_bins: position tokens, 0 for a plain checkpoint.
    max_length: tokens of the text sequence (77 in CLIP).
    encoders: as many as the family's.
    unet_heads: of every attention in the UNet, from the metadata or the family, since weights do
        not tell; None where the family counts the channels of each head instead.
    words: lower-case words the model knows; empty when the file does not say.
    image_size: side in pixels of the pictures it was trained on; None when the file does not say.
    buckets: (width, height) of those pictures where they were not all square.
    metadata: the file's own, as read.
    """

    family: Family
    is_reco: bool
    num_bins: int
    max_length: int
    encoders: tuple[EncoderInfo, ...]
    unet_heads: int | None
    words: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    image_size: int | None = None
    buckets: tuple[Size, ...] = ()

    @property
    def context_width(self) -> int:
        """Of the text states that the UNet attends to."""
        return sum(encoder.width for encoder in self.encoders)

    def heads_at(self, channels: int) -> int:
        """Heads of an attention of the UNet that is so wide."""
        return self.unet_heads or self.family.unet_heads.at(channels)

    def trained_size(self) -> Size | None:
        """Width and height in pixels to start from; None when the file does not say."""
        return None if self.image_size is None else (self.image_size, self.image_size)

    def start_size(self) -> Size:
        """As trained_size; the family's own where the file does not say."""
        return self.trained_size() or (self.family.side, self.family.side)

    def nearest_size(self, width: int, height: int) -> Size | None:
        """The size, of those it was trained for, to make a picture of width x height pixels.

        That is the picture's own where its area and aspect lie within those of the pictures it was
        trained on. None when the file does not say.
        """
        square = self.trained_size()
        if square is None:
            return None
        sizes = self.buckets or (square,)
        areas, aspects = [w * h for w, h in sizes], [w / h for w, h in sizes]
        has_area = min(areas) <= width * height <= max(areas)
        if has_area and min(aspects) <= width / height <= max(aspects):
            return width, height
        return min(sizes, key=lambda size: _distance(size, (width, height)))

    def size_remark(self, width: int, height: int) -> Remark | None:
        """What to know of a picture of that many pixels; None when it is fit or none can tell."""
        nearest, square = self.nearest_size(width, height), self.trained_size()
        if nearest is None or square is None or nearest == (width, height):
            return None
        sizes = self.buckets or (square,)
        shapes = f", from {_pixels(sizes[0])} to {_pixels(sizes[-1])}" if len(sizes) > 1 else ""
        return Remark(
            "size",
            f"this checkpoint was trained on pictures of {_pixels(square)} pixels{shapes}, and the "
            f"layout is {_pixels((width, height))}: boxes may stay empty or colours run; make it "
            f"{_pixels(nearest)}.",
        )


def full_size(family: Family, num_bins: int = 0) -> CheckpointInfo:
    """A checkpoint of a family's full size with so many position tokens, and CLIP's own length."""
    return CheckpointInfo(
        family=family,
        is_reco=num_bins > 0,
        num_bins=num_bins,
        max_length=CLIP_LENGTH,
        encoders=tuple(
            EncoderInfo(e.width, e.layers, e.intermediate, e.heads.at(e.width))
            for e in family.encoders
        ),
        unet_heads=family.unet_heads.number,
    )


def _distance(size: Size, other: Size) -> float:
    """Between the shapes of two pictures, as a ratio of aspects in log scale."""
    return abs(math.log(size[0] / size[1]) - math.log(other[0] / other[1]))


def _pixels(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
