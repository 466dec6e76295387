"""Which things of a layout are in its boxes, as the judge of everyday things sees a picture."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from reco_core.layout import Layout
from train.data.cutouts.grounds import Ground
from train.data.cutouts.scenes import Scene, ThingDrawn
from train.evaluate.judge.network import Judge, read_judge
from train.evaluate.judge.scores import ThingScore, score_regions

JUDGE = Path(__file__).parents[1] / "train" / "evaluate" / "judge" / "fluent_emoji.safetensors"


@cache
def judge() -> Judge:
    return read_judge(JUDGE)


def judged(picture: np.ndarray, layout: Layout) -> list[ThingScore]:
    """Of each region in a picture, (H, W, 3), of the layout's size."""
    assert picture.shape == (layout.height, layout.width, 3)
    things = tuple(
        ThingDrawn(
            name=name_of(region.text),
            file=Path(),
            colour="",
            tint="",
            pixels=region.box.covered_pixels(layout.width, layout.height),
            flipped=False,
        )
        for region in layout.regions
    )
    image = Image.fromarray(picture.astype(np.uint8))
    scene = Scene(Ground("grass", "day"), things, image.size)
    return score_regions(judge(), image, scene, layout.regions)


def assert_all_there(picture: np.ndarray, layout: Layout, texts: str) -> None:
    """Every region's thing is in its box, and not in the next one's."""
    assert ", ".join(region.text for region in layout.regions) == texts
    scores = judged(picture, layout)
    assert all(score.right for score in scores), scores
    boxes = [region.box for region in layout.regions]
    moved = (
        replace(region, box=box)
        for region, box in zip(layout.regions, [*boxes[1:], boxes[0]], strict=True)
    )
    elsewhere = judged(picture, replace(layout, regions=tuple(moved)))
    assert not any(score.right for score in elsewhere), elsewhere


def name_of(text: str) -> str:
    """The judge's name of a region's thing: "car" of "a red car"."""
    return max((name for name in judge().names if text.endswith(name)), key=len)
