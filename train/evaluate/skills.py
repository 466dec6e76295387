"""The four skills of PaintSkills (Cho et al., 2023) on ShapeSkills, scored from pixels.

PaintSkills asks a detector; here a thing is a patch of colour, its class is its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from train.data.shape_boxes import relation
from train.data.shapeskills import Scene, Thing
from train.evaluate.shape_finder import FoundThing, pixel_iou


def has_object(found: Sequence[FoundThing], scene: Scene) -> bool:
    """object: the largest thing is of the asked shape, wherever it is."""
    return bool(found) and found[0].shape == scene.things[0].shape


def has_count(found: Sequence[FoundThing], scene: Scene) -> bool:
    """count: as many things of the asked shape as asked for."""
    return sum(x.shape == scene.things[0].shape for x in found) == len(scene.things)


def has_colour(found: Sequence[FoundThing], scene: Scene) -> bool:
    """colour: the largest thing is of the asked colour, wherever it is."""
    return bool(found) and found[0].colour == scene.things[0].colour


def has_relation(found: Sequence[FoundThing], scene: Scene) -> bool:
    """spatial: both things are there, and their centres lie as asked on the longer axis."""
    first, second = (_best(found, thing) for thing in scene.things)
    if first is None or second is None:
        return False
    asked = relation(*(thing.pixels for thing in scene.things))
    return relation(first.box, second.box) == asked


SKILL_RULES: Mapping[str, Callable[[Sequence[FoundThing], Scene], bool]] = {
    "object": has_object,
    "count": has_count,
    "colour": has_colour,
    "spatial": has_relation,
}


def _best(found: Sequence[FoundThing], thing: Thing) -> FoundThing | None:
    """The thing of the asked colour and shape that is nearest to the asked place."""
    same = [x for x in found if (x.colour, x.shape) == (thing.colour, thing.shape)]
    return max(same, key=lambda x: pixel_iou(x.box, thing.pixels), default=None)
