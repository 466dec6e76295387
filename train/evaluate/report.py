"""What came out of sampling: scores, a contact sheet, a JSON of everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from reco_core import Layout, draw_layout
from train.data.shapeskills import Sample
from train.evaluate.sample import sample_layouts
from train.evaluate.score import RegionScore, score_scene
from train.model import TextToImage

RIGHT, WRONG = (40, 170, 60), (220, 40, 40)
MARGIN = 4


def evaluate_samples(
    model: TextToImage, samples: Sequence[Sample], **options: Any
) -> tuple[list[Image.Image], list[list[RegionScore]]]:
    """Pictures and region scores of samples; options go to sample_layouts."""
    images = sample_layouts(model, [s.layout for s in samples], **options)
    return images, score_images(images, samples)


def score_images(
    images: Sequence[Image.Image], samples: Sequence[Sample]
) -> list[list[RegionScore]]:
    """Region scores of every picture against the sample in the same place."""
    return [score_scene(image, s.scene) for image, s in zip(images, samples, strict=True)]


def region_accuracy(scores: Sequence[Sequence[RegionScore]]) -> float:
    """Share of regions that are right, over all pictures."""
    right = [score.right for scene in scores for score in scene]
    return sum(right) / len(right)


def contact_sheet(
    images: Sequence[Image.Image],
    samples: Sequence[Sample],
    scores: Sequence[Sequence[RegionScore]],
) -> Image.Image:
    """Pictures with their boxes in a grid; a frame is green where every region is right."""
    right = [all(score.right for score in scene) for scene in scores]
    return picture_sheet(images, [s.layout for s in samples], right)


def picture_sheet(
    images: Sequence[Image.Image],
    layouts: Sequence[Layout],
    right: Sequence[bool] | None = None,
    columns: int = 8,
    side: int = 256,
) -> Image.Image:
    """Pictures with their boxes in a grid, each in a cell of `side` pixels; frames are green or red
    where `right` tells, else white."""
    cell = side + 2 * MARGIN
    sheet = Image.new("RGB", (min(columns, len(images)) * cell, -(-len(images) // columns) * cell))
    for i, (image, layout) in enumerate(zip(images, layouts, strict=True)):
        colour = "white" if right is None else RIGHT if right[i] else WRONG
        frame = Image.new("RGB", (cell, cell), colour)
        scale = side / max(image.size)
        size = round(image.width * scale), round(image.height * scale)
        resampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
        drawn = draw_layout(image.resize(size, resampling), layout)
        frame.paste(drawn, ((cell - size[0]) // 2, (cell - size[1]) // 2))
        sheet.paste(frame, (i % columns * cell, i // columns * cell))
    return sheet
