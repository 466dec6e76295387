"""The shape of a region within its box."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .checks import pixel_side, quote
from .limits import IMAGE_SIDE

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Mask:
    """What of a box belongs to its region.

    It is stretched over the box, so that a box takes its mask along wherever it goes: moved,
    scaled, into another picture or among other regions.

    pixels: width x height bytes, row by row from the top left, from 0 (nothing) to 255 (all).

    Raises:
        ValueError: a side is none or too long, there are not as many bytes as pixels, or all are 0.
    """

    width: int
    height: int
    pixels: bytes = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            side = pixel_side(f"mask {name}", getattr(self, name))
            if side > IMAGE_SIDE:
                raise ValueError(
                    f"mask {name} = {side} is too large: at most {IMAGE_SIDE:,} pixels"
                )
            object.__setattr__(self, name, side)
        if not isinstance(self.pixels, bytes) or len(self.pixels) != self.width * self.height:
            raise ValueError(
                f"a mask of {self.width} x {self.height} pixels needs as many bytes, "
                f"got {quote(self.pixels, 40)}"
            )
        if self.pixels.count(0) == len(self.pixels):
            raise ValueError("the mask is empty: leave its region out")

    @classmethod
    def from_fractions(cls, values: np.ndarray) -> Mask:
        """The mask of (height, width) numbers; 0 to 1 count, and nothing above 0 becomes 0.

        Raises ValueError as Mask.
        """
        import numpy as np

        values = np.nan_to_num(values, nan=0.0)
        pixels = (values.clip(0, 1) * 255).round().astype(np.uint8)
        return cls._of(np.where(values > 0, pixels.clip(1), 0).astype(np.uint8))

    @property
    def is_full(self) -> bool:
        """Whether it is all of its box."""
        return self.pixels.count(255) == len(self.pixels)

    @property
    def mean(self) -> float:
        """How much of its box it is, in (0, 1]."""
        return float(self._array.mean()) / 255

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that tell one mask from another."""
        named = f"{self.width} {self.height} ".encode() + self.pixels
        return hashlib.sha256(named).hexdigest()[:16]

    def sized(self, width: int, height: int) -> np.ndarray:
        """(height, width) bytes: the mask over a box of so many pixels, exact at its own size."""
        import numpy as np
        from PIL import Image

        image = Image.fromarray(self._array)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image)

    def flipped(self, horizontal: bool, vertical: bool) -> Mask:
        """The mirrored mask. horizontal: whether left and right change sides."""
        return self._of(self._array[:: -1 if vertical else 1, :: -1 if horizontal else 1])

    def cut(self, x0: float, y0: float, x1: float, y1: float) -> Mask | None:
        """What of it covers a part of its box, to its nearest pixel; None where that is empty.

        xyxy: fractions of the box.
        """
        import numpy as np

        def places(low: float, high: float, count: int) -> np.ndarray:
            kept = max(1, round((high - low) * count))
            centres = low + (np.arange(kept) + 0.5) * (high - low) / kept
            return (centres * count).astype(int).clip(0, count - 1)

        rows, columns = places(y0, y1, self.height), places(x0, x1, self.width)
        part = self._array[rows][:, columns]
        return self._of(part) if part.any() else None

    @property
    def _array(self) -> np.ndarray:
        import numpy as np

        return np.frombuffer(self.pixels, np.uint8).reshape(self.height, self.width)

    @classmethod
    def _of(cls, pixels: np.ndarray) -> Mask:
        height, width = pixels.shape
        return cls(width, height, pixels.tobytes())
