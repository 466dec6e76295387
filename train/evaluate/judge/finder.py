"""Finds everyday things in a picture, wherever they are, and tells the colour of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from train.data.cutouts.scenes import ThingDrawn
from train.data.cutouts.things import TINTS, cutout
from train.data.shape_boxes import PixelBox
from train.evaluate.judge.network import Judge
from train.evaluate.judge.windows import boxes_in, cover, cut_windows, overlaps, windows_of

SIDES = 0.2 * 1.5 ** np.arange(5)
"""Of the boxes that are slid over a picture, over the root of its area."""
ASPECTS = (0.7, 1.4)
STEP = 0.5
"""From one to the next, over their sides."""
LOOKS, AGAIN = 3, 64
"""How often the judge looks, each time at windows where it saw things before, and how many."""
SURE = 0.5
"""Probability of any thing from which on a window holds one, and of one thing to be named so."""
SAME = 0.5
"""Share of the smaller of two boxes under the other, from which on they are of one thing."""


@dataclass(frozen=True)
class FoundThing:
    """A thing in a picture. name: empty where the judge is not sure which. sure: probability of any
    thing being there. box: xyxy, pixels."""

    name: str
    sure: float
    box: tuple[float, ...]


@dataclass(frozen=True)
class Looks:
    """What the judge sees in windows all over a picture. names: of the things. told: probabilities
    (N, things + 1), the last of no thing. boxes: (N, 4), xyxy, pixels."""

    names: tuple[str, ...]
    told: np.ndarray
    boxes: np.ndarray


def look_over(judge: Judge, image: Image.Image) -> Looks:
    """Slide the judge over a picture (RGB).

    The windows that are the surest to show things are moved to where the judge sees them, and
    looked at again.
    """
    told, boxes = _look(judge, image, windows_of(_everywhere(image.size), image.size))
    for _ in range(LOOKS - 1):
        surest = np.argsort(told[:, -1], kind="stable")[:AGAIN]
        told, boxes = _look(judge, image, windows_of(boxes[surest], image.size))
    return Looks(judge.names, told, boxes)


def find_things(looks: Looks) -> list[FoundThing]:
    """The things that were seen, whichever they are."""
    surety = 1 - looks.told[:, -1]
    found = []
    for place in _agreed(looks.boxes, surety):
        best = looks.told[place, :-1].argmax()
        name = looks.names[best] if looks.told[place, best] >= SURE else ""
        box = tuple(looks.boxes[place].tolist())
        found.append(FoundThing(name, float(surety[place]), box))
    return found


def boxes_of_thing(looks: Looks, name: str) -> np.ndarray:
    """Where one thing was seen: (N, 4). A part of it is told from the whole better by its own
    probability than by that of any thing."""
    own = looks.told[:, looks.names.index(name)]
    return looks.boxes[_agreed(looks.boxes, own)]


def _agreed(boxes: np.ndarray, surety: np.ndarray) -> list[int]:
    """Of boxes over one another the one that most others agree with, best first: the surest can be
    a part of a thing."""
    support = overlaps(boxes, boxes) ** 2 @ (surety * (surety >= SURE))
    kept: list[int] = []
    for place in np.argsort(-support, kind="stable").tolist():
        is_free = cover(boxes[place : place + 1], boxes[kept]).max(initial=0) < SAME
        if surety[place] >= SURE and is_free:
            kept.append(place)
    return kept


def names_in(judge: Judge, image: Image.Image, boxes: list[PixelBox]) -> list[str]:
    """What the judge names in each of some boxes; empty where it sees no thing."""
    windows = windows_of(np.array(boxes), image.size)
    told, _ = judge.look(cut_windows(image, windows))
    return [(*judge.names, "")[best] for best in told.argmax(1)]


def colour_of(image: Image.Image, thing: ThingDrawn, box: tuple[float, ...]) -> str:
    """The tint in which a thing, drawn into a box of the picture either way round, differs least
    from what is there: mean absolute difference over the pixels it covers."""
    x0, y0, x1, y1 = (round(corner) for corner in box)
    size = max(1, x1 - x0), max(1, y1 - y0)
    seen = np.asarray(image.crop((x0, y0, x0 + size[0], y0 + size[1])), np.float32)

    def difference(tint: str) -> float:
        cut = cutout(thing.file, thing.colour, tint).resize(size, Image.Resampling.BICUBIC)
        return min(_difference(seen, cut), _difference(seen, ImageOps.mirror(cut)))

    return min(TINTS, key=difference)


def _difference(seen: np.ndarray, cut: Image.Image) -> float:
    drawn = np.asarray(cut, np.float32)
    cover = drawn[..., 3] / 255
    return float((np.abs(seen - drawn[..., :3]).mean(-1) * cover).sum() / max(cover.sum(), 1e-6))


def _look(judge: Judge, image: Image.Image, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of windows, and the boxes the judge sees in them, inside the picture."""
    told, fractions = judge.look(cut_windows(image, windows))
    boxes = np.clip(boxes_in(windows, fractions), 0, np.array([*image.size] * 2))
    whole = (boxes[:, 2:] - boxes[:, :2] >= 2).all(1)
    return told[whole], boxes[whole]


def _everywhere(size: tuple[int, int]) -> np.ndarray:
    """Boxes of SIDES and ASPECTS all over a picture of (width, height)."""
    root = np.sqrt(size[0] * size[1])
    boxes = []
    for side in SIDES * root:
        for aspect in ASPECTS:
            width = min(side * np.sqrt(aspect), size[0])
            height = min(side / np.sqrt(aspect), size[1])
            lefts = _places(width, size[0])
            for top in _places(height, size[1]):
                boxes += [(left, top, left + width, top + height) for left in lefts]
    return np.array(boxes, np.float32)


def _places(side: float, room: float) -> np.ndarray:
    return np.linspace(0, room - side, 1 + int(np.ceil((room - side) / (STEP * side))))
