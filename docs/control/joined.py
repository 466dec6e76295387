"""More shapes in a picture than one sequence holds: left out, or joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from PIL import Image

from comfy_server import ComfyServer
from docs.control.drawing import Setting, draw, percent, sheet
from docs.tables import table
from reco_core.containment import TOKENS
from reco_core.layout import Box, Layout, Region
from train.data.shape_boxes import PixelBox
from train.data.shapeskills import COLOURS, SHAPES, Scene, Thing
from train.evaluate.shape_finder import score_scene

NAME, PICTURE = "joined", "control-joined.jpg"
SIZE, GROUND = 128, "white"
CAPTION = f"circles, crosses, squares and triangles on a {GROUND} ground"
CELLS, GAP = 5, 2
"""Boxes along a side of the grid, and pixels that they keep from its lines."""
COUNTS = (5, 10, 15, 20, 25)
"""Numbers of regions."""
EACH = 20
"""Pictures of each number."""
JOIN = "join up to four sequences"
SETTINGS = (
    Setting("the rest left out", {"overflow": "drop regions that do not fit"}),
    Setting("joined", {"overflow": JOIN}),
    Setting(f"joined, {TOKENS}", {"overflow": JOIN, "containment": TOKENS}),
)


@dataclass(frozen=True)
class Many:
    """A layout of many shapes, and its truth."""

    name: str
    seed: int
    scene: Scene

    @property
    def layout(self) -> Layout:
        regions = (
            Region(f"{thing.colour} {thing.shape}", Box(*(edge / SIZE for edge in thing.pixels)))
            for thing in self.scene.things
        )
        return Layout(CAPTION, tuple(regions), SIZE, SIZE)


def _some(count: int) -> Iterator[Many]:
    random = Random(count)
    for number in range(EACH):
        cells = random.sample(range(CELLS**2), count)
        things = tuple(
            Thing(random.choice(COLOURS), random.choice(SHAPES), _box(cell)) for cell in cells
        )
        yield Many(f"{count} {number}", number, Scene(GROUND, things, SIZE))


def _box(cell: int) -> PixelBox:
    row, column = divmod(cell, CELLS)
    x0, y0 = SIZE * column // CELLS + GAP, SIZE * row // CELLS + GAP
    side = SIZE // CELLS - 2 * GAP
    return x0, y0, x0 + side, y0 + side


MANY = {count: tuple(_some(count)) for count in COUNTS}


def measure(server: ComfyServer) -> Iterator[tuple[str, dict[str, float]]]:
    """Of each setting: the share of regions that are right, by their number."""
    for setting in SETTINGS:
        yield setting.name, {str(count): _right(server, setting, count) for count in COUNTS}


def _right(server: ComfyServer, setting: Setting, count: int) -> float:
    scores = [
        score
        for many in MANY[count]
        for score in score_scene(draw(server, many, setting), many.scene)
    ]
    return sum(score.right for score in scores) / len(scores)


def rows(found: Mapping[str, Mapping[str, float]]) -> str:
    """A table with a row for each setting."""
    head = ["", *(f"{count} regions" for count in COUNTS)]
    return table(head, ((name, *map(percent, own.values())) for name, own in found.items()))


def picture(server: ComfyServer) -> Image.Image:
    """The first layout of each number."""
    return sheet(server, [MANY[count][0] for count in COUNTS], SETTINGS, GROUND)
