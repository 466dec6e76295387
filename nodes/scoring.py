"""Score pictures against a layout by whatever evidence there is, and draw the scores."""

from __future__ import annotations

import math
from typing import Any

import comfy.sd
import comfy.utils
import torch
from comfy.clip_vision import ClipVisionModel

from ..reco_core.color_names import colors_in_text
from ..reco_core.layout import Layout
from ..reco_core.score import (
    RegionScore,
    find_by_boxes,
    find_by_colors,
    find_by_similarity,
    gather_scores,
    read_detections,
    show_scores,
)
from .clip_similarity import ClipSimilarity
from .preview import draw_on_batch

LEGIBLE = 512  # pixels of an overlay's short side, at least

Scores = tuple[RegionScore, ...]


def score_batch(
    images: torch.Tensor,
    layout: Layout,
    clip_vision: ClipVisionModel | None = None,
    clip: comfy.sd.CLIP | None = None,
    bboxes: Any = None,
) -> list[Scores]:
    """Every region's score in every picture. images: (B, H, W, C) in [0, 1].

    Evidence is what is given: bounding boxes, or CLIP vision and its text encoder, or both. With
    neither, the colours that region texts name. Raises ValueError when there is no evidence.
    """
    _check_evidence(layout, clip_vision, clip, bboxes)
    count, height, width = images.shape[:3]
    detected = read_detections(bboxes, count, width, height) if bboxes is not None else None
    similarity = ClipSimilarity(clip_vision, clip, layout) if clip_vision is not None else None
    progress = comfy.utils.ProgressBar(count)
    pictures = []
    for index, image in enumerate(images):
        evidence = {}
        if detected is not None:
            evidence["boxes"] = find_by_boxes(layout, detected[index])
        if similarity is not None:
            evidence["clip"] = find_by_similarity(layout, similarity.cosines(image))
        if not evidence:
            pixels = (image[..., :3].cpu().clamp(0, 1) * 255).round().to(torch.uint8)
            evidence["colors"] = find_by_colors(layout, pixels.numpy())
        pictures.append(gather_scores(layout, evidence))
        progress.update(1)
    return pictures


def draw_scores(images: torch.Tensor, layout: Layout, pictures: list[Scores]) -> torch.Tensor:
    """(B, H, W, 3): each picture with its boxes, from red (0) to green (1), and their scores.

    Small pictures are enlarged by a whole number so that the words can be read.
    """
    factor = math.ceil(LEGIBLE / min(images.shape[1:3]))
    large = images.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    drawn = [
        draw_on_batch(large[index : index + 1], show_scores(layout, regions))
        for index, regions in enumerate(pictures)
    ]
    return torch.cat(drawn)


def _check_evidence(
    layout: Layout, clip_vision: ClipVisionModel | None, clip: comfy.sd.CLIP | None, bboxes: Any
) -> None:
    if not layout.regions:
        raise ValueError("the layout has no regions, so there is nothing to score: add a region")
    if (clip_vision is None) != (clip is None):
        missing = "clip" if clip is None else "clip_vision"
        raise ValueError(
            f"CLIP needs both its halves, and {missing} is not connected: images come from Load "
            "CLIP Vision, texts from Load CLIP"
        )
    if clip_vision is None and bboxes is None:
        if not any(colors_in_text(region.text) for region in layout.regions):
            raise ValueError(
                "there is nothing to score by, no region's text names a colour: connect a "
                "detector's boxes to bboxes, or CLIP vision and its text encoder to clip_vision "
                "and clip"
            )
