"""Which things of a layout are in its boxes, as the judge of everyday things sees a picture."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from reco_core.layout import Layout
from train.data.cutouts.grounds import Ground
from train.evaluate.judge.network import Judge, read_judge
from train.evaluate.judge.scores import ThingScore, score_layout

JUDGE = Path(__file__).parents[1] / "train" / "evaluate" / "judge" / "fluent_emoji.safetensors"


@cache
def judge() -> Judge:
    return read_judge(JUDGE)


def judged(picture: np.ndarray, layout: Layout) -> list[ThingScore]:
    """Of each region in a picture, (H, W, 3), of the layout's size."""
    assert picture.shape == (layout.height, layout.width, 3)
    image = Image.fromarray(picture.astype(np.uint8))
    return score_layout(judge(), image, layout, Ground("grass", "day"))


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
