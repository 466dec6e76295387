"""Score how well pictures obey a layout, and pick the best of a batch."""

import math

import comfy.utils
import torch
from comfy_api.latest import io, ui

from ..reco_core.color_names import colors_in_text
from ..reco_core.layout import Layout
from ..reco_core.score import (
    RegionScore,
    describe_scores,
    find_by_boxes,
    find_by_colors,
    find_by_similarity,
    gather_scores,
    picture_score,
    read_detections,
    scores_to_json,
    show_scores,
)
from .clip_similarity import ClipSimilarity
from .interop import BoundingBoxes
from .layout import CATEGORY, RecoLayout
from .preview import draw_on_batch
from .remarks import told

LEGIBLE = 512  # pixels of an overlay's short side, at least

Scores = tuple[RegionScore, ...]


def score_batch(
    images: torch.Tensor, layout: Layout, clip_vision=None, clip=None, bboxes=None
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


def _check_evidence(layout: Layout, clip_vision, clip, bboxes) -> None:
    if not layout.regions:
        raise ValueError("The layout has no regions, so there is nothing to score. Add a region.")
    if (clip_vision is None) != (clip is None):
        missing = "clip" if clip is None else "clip_vision"
        raise ValueError(
            f"CLIP needs both its halves, and {missing} is not connected: images come from Load "
            "CLIP Vision, texts from Load CLIP."
        )
    if clip_vision is None and bboxes is None:
        if not any(colors_in_text(region.text) for region in layout.regions):
            raise ValueError(
                "There is nothing to score by: no region's text names a colour. Connect a "
                "detector's boxes to bboxes, or CLIP vision and its text encoder to clip_vision "
                "and clip."
            )


class ReCoScoreLayout(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoScoreLayout",
            display_name="ReCo Score Layout",
            category=CATEGORY,
            description="Score how well pictures obey a layout, and pick the best one.",
            inputs=[
                io.Image.Input("image", tooltip="One or more pictures of the same layout."),
                RecoLayout.Input("layout", tooltip="The layout that they should obey."),
                BoundingBoxes.Input(
                    "bboxes",
                    optional=True,
                    tooltip="Boxes that a detector (RT-DETR, SAM3) found in these same pictures. "
                    "Scores are their overlap with the layout's.",
                    extra_dict={"forceInput": True},
                ),
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="A CLIP vision model, from Load CLIP Vision. Scores say whether a box "
                    "looks like its own text rather than the others.",
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="The text half of the same CLIP, from Load CLIP. Not a ReCo "
                    "checkpoint's: that one was fine-tuned away from CLIP's vision model.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="best", tooltip="The picture with the best score."),
                io.Image.Output(
                    display_name="overlay",
                    tooltip="All pictures with their boxes from red (0) to green (1), and scores.",
                ),
                io.Int.Output(display_name="best_index", tooltip="Its place, from 0."),
                io.Float.Output(
                    display_name="score", tooltip="The best picture's score, from 0 to 1."
                ),
                io.String.Output(
                    display_name="scores",
                    tooltip="The score of every picture and region, as JSON.",
                ),
                io.String.Output(display_name="report", tooltip="The same in words, with causes."),
            ],
        )

    @classmethod
    def execute(cls, image, layout, bboxes=None, clip_vision=None, clip=None) -> io.NodeOutput:
        pictures = score_batch(image, layout, clip_vision, clip, bboxes)
        scores = [picture_score(regions) for regions in pictures]
        best = scores.index(max(scores))
        overlay = draw_scores(image, layout, pictures)
        listed, report = scores_to_json(pictures, best), describe_scores(pictures, best)
        summary = report.partition("\n\n")[0]
        shown = {**ui.PreviewText(report).as_dict(), **told((), summary)}
        chosen = image[best : best + 1]
        return io.NodeOutput(chosen, overlay, best, scores[best], listed, report, ui=shown)
