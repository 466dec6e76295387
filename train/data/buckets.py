"""Aspect-ratio buckets: a few picture sizes of about one area, so that little is cropped away."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reco_core.limits import SIZE_STEP

Size = tuple[int, int]
"""Width and height in pixels."""


def buckets(area_side: int, step: int = 64, max_aspect: float = 2.0) -> list[Size]:
    """Sizes (width, height) from tall to wide, the square among them; each also turned.

    Sides are multiples of step. An area is at most area_side ** 2, so that what fits in memory as
    a square fits as any bucket, and above the share 1 - step / area_side * max(2, sqrt(max_aspect))
    of that; the square is exact when step divides area_side. The widest aspect is at most
    max_aspect, and below it where steps are coarse: 512 in steps of 64 with aspects up to 2 gives
    384x640, 448x576, 512x512, 576x448, 640x384.

    Raises:
        ValueError: step is not a positive multiple of 8, area_side is below it, or max_aspect
            is below 1.
    """
    if step < 1 or step % SIZE_STEP:
        raise ValueError(f"bucket_step = {step!r} is not a positive multiple of {SIZE_STEP}")
    if area_side < step:
        raise ValueError(
            f"pictures of {area_side!r} pixels are smaller than bucket_step = {step}: lower the "
            f"step (a multiple of {SIZE_STEP}) or raise image_size"
        )
    if not 1 <= max_aspect < math.inf:
        raise ValueError(f"max_aspect = {max_aspect!r} must be at least 1, where all is square")
    wide: list[Size] = []
    width = area_side // step * step
    square = (width, width)
    while True:
        width += step
        height = area_side**2 // width // step * step
        if height == 0 or width > max_aspect * height:
            break
        wide.append((width, height))
    return [(height, width) for width, height in reversed(wide)] + [square] + wide


def nearest_bucket(width: int, height: int, sizes: Sequence[Size]) -> Size:
    """The bucket whose aspect ratio is nearest to a picture's, in log scale: the least is cut.

    The share that covering cuts is 1 - exp(-distance): at most 12.2 % with the defaults of
    `buckets` and 512 for pictures between 3:5 and 5:3, and 6.3 % of 16:9. Of two that are as near,
    the one with the larger area.

    Raises:
        ValueError: no buckets, or a side that is not above 0.
    """
    if min(width, height) < 1 or not sizes:
        raise ValueError(
            f"no bucket for a picture of {width} x {height} pixels among {len(sizes)}: it needs "
            "sides of at least 1 pixel and one bucket"
        )

    def distance(size: Size) -> tuple[float, int]:
        return abs(math.log(width / height) - math.log(size[0] / size[1])), -size[0] * size[1]

    return min(sizes, key=distance)


def nearest_size(width: int, height: int, sizes: Sequence[Size]) -> Size:
    """The size whose sides differ least from a picture's, by their factors.

    Of sizes that differ in area only, a picture larger than all goes to the largest.
    """

    def distance(size: Size) -> float:
        wider, higher = math.log(width / size[0]), math.log(height / size[1])
        return abs(wider - higher) + 0.5 * abs(wider + higher)

    return min(sizes, key=distance)
