"""Whether a picture has what a PaintSkills scene asks for, by what a detector found in it.

Cho et al. 2023, "DALL-Eval", and its released evaluation (j-min/DallEval):

- object: the class of the best detection is the one asked for.
- count: as many detections of the class as asked for have a score above 0.7. (The released code
  counts detections of any class above it, and takes so many of the likeliest of the class asked
  for: each one of another class lets in one more of the class, however weak.)
- spatial: the two best detections are the two objects, and the second lies to the asked side of
  the first along the axis on which their centres differ more, the vertical one on a tie. Two
  objects of a class cannot be told apart: for them the axis decides.
- colour: the class of the best detection is the one asked for, and so is its colour. The released
  code has that from a head of its own detector; here it is read from pixels, see box_colour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from reco_core.color_names import BASIC_COLORS, basic_colors
from reco_core.layout import Box
from train.data.paintskills import shape_words
from train.evaluate.detection import Detection, Detections

MIN_SCORE = 0.7
"""Only detections above this score are counted."""
COLOURS = ("red", "blue", "yellow", "white", "purple", "green")
"""The colours of PaintSkills (metadata.json of its simulator)."""
RELATIONS = ("left", "right", "above", "below")
MIDDLE = 0.5
"""The share of a box's width and height in whose middle its colour is looked for: at its edges
there is more of what is behind."""
OTHER_NAMES = {"human": "person", "bike": "bicycle", "van": "truck"}
"""PaintSkills' shapes that COCO's detectors have other names for (released code)."""


@dataclass(frozen=True)
class Asked:
    """What a scene asks for. objects: the labels, lower case, that fit each object.

    relation: of the second object to the first. colour: of the first object.
    """

    skill: str
    objects: tuple[frozenset[str], ...]
    relation: str | None = None
    colour: str | None = None


@dataclass(frozen=True)
class Verdict:
    """right: whether the scene's skill is shown. details: what was found, for JSON."""

    right: bool
    details: Mapping[str, Any]


def read_scene(scene: Mapping[str, Any], skill: str) -> Asked:
    """What a scene of PaintSkills asks for.

    Raises:
        ValueError: it has no objects, or lacks what its skill is about.
    """
    objects, name = scene.get("objects"), scene.get("id")
    if not isinstance(objects, list) or not objects:
        raise ValueError(f"scene {name!r} has no objects")
    labels = tuple(map(fitting_labels, objects))
    relation = colour = None
    if skill == "spatial":
        if len(objects) != 2:
            raise ValueError(f"scene {name!r} has {len(objects)} objects, spatial scenes have 2")
        relation, _, first = str(objects[1].get("relation")).partition("_")
        if relation not in RELATIONS or first != str(objects[0].get("id", 0)):
            raise ValueError(
                f"scene {name!r}: relation = {objects[1].get('relation')!r} of its second object "
                f"is none to the first: expected one of {', '.join(f'{r}_0' for r in RELATIONS)}"
            )
    if skill == "color":
        colour = objects[0].get("color")
        if colour not in COLOURS:
            raise ValueError(
                f"scene {name!r}: color = {colour!r} is none of PaintSkills': {', '.join(COLOURS)}"
            )
    return Asked(skill, labels, relation, colour)


def fitting_labels(thing: Mapping[str, Any]) -> frozenset[str]:
    """Labels, in lower case, that a detector may have for an object of a scene."""
    names = {shape_words(str(thing.get(key))) for key in ("shape", "coconame") if thing.get(key)}
    return frozenset(names | {OTHER_NAMES[name] for name in names if name in OTHER_NAMES})


def plain_detections(detections: Detections) -> list[Detection]:
    """Detections best first, their labels as words in lower case: "fire hydrant" for
    "fireHydrant"."""
    plain = [replace(x, label=shape_words(x.label)) for x in detections]
    return sorted(plain, key=lambda detection: -detection.score)


def judge(asked: Asked, detections: Detections, picture: Image.Image) -> Verdict:
    """Whether a picture shows what is asked for.

    detections: as plain_detections gives them, weak ones included.
    """
    return _RULES[asked.skill](asked, detections, picture)


def _object(asked: Asked, detections: Detections, _: Image.Image) -> Verdict:
    best = detections[0] if detections else None
    details = {"found": best and best.label, "score": best.score if best else 0.0}
    return Verdict(best is not None and _is(best, asked.objects[0]), details)


def _count(asked: Asked, detections: Detections, _: Image.Image) -> Verdict:
    wanted = len(asked.objects)
    found = sum(x.score > MIN_SCORE and _is(x, asked.objects[0]) for x in detections)
    return Verdict(found == wanted, {"asked": wanted, "found": found})


def _spatial(asked: Asked, detections: Detections, _: Image.Image) -> Verdict:
    pair = _in_order(detections[:2], asked.objects)
    found = relation_of(pair[0].box, pair[1].box) if pair else None
    right = found is not None and found == asked.relation
    if found and asked.objects[0] == asked.objects[1]:
        right = (found in RELATIONS[:2]) == (asked.relation in RELATIONS[:2])
    details = {"asked": asked.relation, "found": found, "objects_found": pair is not None}
    return Verdict(right, details)


def _colour(asked: Asked, detections: Detections, picture: Image.Image) -> Verdict:
    is_found = bool(detections) and _is(detections[0], asked.objects[0])
    found = box_colour(picture, detections[0].box) if is_found else None
    details = {"asked": asked.colour, "found": found, "objects_found": is_found}
    return Verdict(found is not None and found == asked.colour, details)


_RULES: dict[str, Callable[[Asked, Detections, Image.Image], Verdict]] = {
    "object": _object,
    "count": _count,
    "color": _colour,
    "spatial": _spatial,
}
SKILLS = tuple(_RULES)


def relation_of(first: Box, second: Box) -> str | None:
    """Where the second box lies from the first; None when their centres are the same."""
    x = (second.x0 + second.x1 - first.x0 - first.x1) / 2
    y = (second.y0 + second.y1 - first.y0 - first.y1) / 2
    if abs(x) > abs(y):
        return "left" if x < 0 else "right"
    return None if y == 0 else "above" if y < 0 else "below"


def box_colour(picture: Image.Image, box: Box) -> str | None:
    """The colour of PaintSkills that most pixels in the middle of a box have.

    Each pixel has the basic colour of the nearest named colour (basic_colors); those of others,
    as black and grey, do not count. None when all are.
    """
    x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    width, height = (box.x1 - box.x0) * MIDDLE / 2, (box.y1 - box.y0) * MIDDLE / 2
    middle = Box(x - width, y - height, x + width, y + height)
    part = picture.convert("RGB").crop(middle.covered_pixels(*picture.size))
    names = list(BASIC_COLORS)
    often = Counter(dict(enumerate(np.bincount(basic_colors(np.asarray(part)).ravel()))))
    counts = {colour: int(often[names.index(colour)]) for colour in COLOURS}
    best = max(counts, key=lambda colour: counts[colour])
    return best if counts[best] else None


def _is(detection: Detection, labels: frozenset[str]) -> bool:
    return detection.label in labels


def _in_order(
    found: Detections, objects: Sequence[frozenset[str]]
) -> tuple[Detection, Detection] | None:
    """Two detections in the order of the two objects that they are; None if they are not."""
    if len(found) == 2:
        for first, second in ((found[0], found[1]), (found[1], found[0])):
            if _is(first, objects[0]) and _is(second, objects[1]):
                return first, second
    return None
