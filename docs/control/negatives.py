"""Pairs of red things, the first of which is not to be red."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from comfy_server import ComfyServer
from docs.control.drawing import Setting, draw, percent, sheet
from docs.control.thing_pairs import (
    CHECKPOINT,
    GROUND,
    names_of_things,
    score_pair,
    thing_pairs,
)
from docs.tables import table
from reco_core.control import Control
from train.data.cutouts.things import TINTS

NAME, PICTURE = "negatives", "control-negatives.jpg"
COLOUR = "red"
PAIRS = thing_pairs(seed=3, count=60, names=names_of_things(COLOUR), kinds=("apart",))
SHOWN = 8
SATURATED = 60
"""Between a pixel's largest and smallest channel, of 255: less is white, gray or black."""
SETTINGS = (
    Setting("none", checkpoint=CHECKPOINT),
    Setting(f"{COLOUR}, of the first", control=Control(negative=COLOUR), checkpoint=CHECKPOINT),
    Setting(f"{COLOUR}, of the picture", {"negative": COLOUR}, checkpoint=CHECKPOINT),
)
COLUMNS = ("first: red", "second: red", "first: right", "second: right")


def measure(server: ComfyServer) -> Iterator[tuple[str, dict[str, float]]]:
    """Of each setting, of the first and the second region: the share of the box that is red, and
    the share of regions that are right."""
    for setting in SETTINGS:
        found = []
        for pair in PAIRS:
            image = draw(server, pair, setting)
            scores = score_pair(image, pair)
            red = [share_of_colour(image.crop(score.asked)) for score in scores]
            found.append([*red, *(score.right for score in scores)])
        yield setting.name, dict(zip(COLUMNS, np.mean(found, axis=0).tolist(), strict=True))


def share_of_colour(image: Image.Image) -> float:
    """Of the pixels of a picture, RGB: how many are coloured, and nearer to COLOUR than to any
    other tint (Euclidean, RGB)."""
    pixels = np.asarray(image, np.float32).reshape(-1, 1, 3)
    is_coloured = np.ptp(pixels[:, 0], axis=-1) >= SATURATED
    distances = np.square(pixels - np.array(list(TINTS.values()), np.float32)).sum(-1)
    return float((is_coloured & (distances.argmin(1) == list(TINTS).index(COLOUR))).mean())


def rows(found: dict[str, dict[str, float]]) -> str:
    """A table with a row for each setting."""
    lines = ((name, *(percent(own[column]) for column in COLUMNS)) for name, own in found.items())
    return table(["negative", *COLUMNS], lines)


def picture(server: ComfyServer) -> Image.Image:
    """The first pairs."""
    return sheet(server, PAIRS[:SHOWN], SETTINGS, GROUND)
