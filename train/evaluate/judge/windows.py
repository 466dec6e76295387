"""Windows of a picture, as the judge looks at them. Boxes here are (N, 4) xyxy in pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from train.evaluate.judge.network import SIDE

MARGIN = 0.125
"""What a window shows around its box on each side, over the box's side."""
ROOM = 0.3
"""What a picture is continued by at each edge, over its side, for windows that reach out of it."""


def windows_of(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes with their margins, cut where even the continued picture of (width, height) ends."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    margin = (boxes[:, 2:] - boxes[:, :2]) * MARGIN
    grown = np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
    room = np.array([_room(side) for side in size] * 2)
    ends = np.array([*size, *size])
    return np.clip(grown, -room, ends + room)


def cut_windows(image: Image.Image, windows: np.ndarray) -> np.ndarray:
    """(N, SIDE, SIDE, 3) uint8: what windows show, whatever their aspect."""
    across, down = (_room(side) for side in image.size)
    pixels = np.pad(np.asarray(image), ((down, down), (across, across), (0, 0)), "edge")
    continued = Image.fromarray(pixels)
    moved = windows + np.array([across, down] * 2)
    ends = np.array(continued.size * 2)
    cuts = np.empty((len(windows), SIDE, SIDE, 3), np.uint8)
    for cut, box in zip(cuts, np.clip(moved, 0, ends).tolist(), strict=True):
        seen = continued.resize((SIDE, SIDE), Image.Resampling.BILINEAR, tuple(box))
        cut[:] = np.asarray(seen)
    return cuts


def boxes_in(windows: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Boxes from fractions of their windows."""
    corner, side = windows[:, :2], windows[:, 2:] - windows[:, :2]
    return np.tile(corner, 2) + fractions * np.tile(side, 2)


def fractions_of(windows: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The inverse of boxes_in."""
    corner, side = windows[:, :2], windows[:, 2:] - windows[:, :2]
    return (boxes - np.tile(corner, 2)) / np.tile(side, 2)


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of every box (N, 4) with every other (M, 4): (N, M)."""
    both, area, other = _areas(boxes, others)
    return both / np.maximum(area + other - both, 1e-9)


def cover(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share of the smaller of two boxes that lies in the other, as `overlaps`."""
    both, area, other = _areas(boxes, others)
    return both / np.maximum(np.minimum(area, other), 1e-9)


def _areas(boxes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of intersections (N, M), of boxes (N, 1) and of others (1, M)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    area, other = ((x[:, 2:] - x[:, :2]).prod(-1) for x in (boxes, others))
    return both, area[:, None], other[None]


def _room(side: int) -> int:
    return round(side * ROOM)
