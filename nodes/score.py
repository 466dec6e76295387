"""Score how well pictures obey a layout, and pick the best of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io, ui

from .inputs import CATEGORY, RecoLayout, keeps
from .interop import BoundingBoxes
from .remarks import told

if TYPE_CHECKING:
    import comfy.sd
    import torch
    from comfy.clip_vision import ClipVisionModel

    from ..reco_core.layout import Layout


class ReCoScoreLayout(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoScoreLayout",
            display_name="ReCo Score Layout",
            category=CATEGORY,
            description="Score how well pictures obey a layout, and pick the best one.",
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="One or more pictures of the same layout.",
                    extra_dict=keeps("best"),
                ),
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
    def execute(
        cls,
        image: torch.Tensor,
        layout: Layout,
        bboxes: Any = None,
        clip_vision: ClipVisionModel | None = None,
        clip: comfy.sd.CLIP | None = None,
    ) -> io.NodeOutput:
        from ..reco_core.score import describe_scores, picture_score, scores_to_json
        from .scoring import draw_scores, score_batch

        pictures = score_batch(image, layout, clip_vision, clip, bboxes)
        scores = [picture_score(regions) for regions in pictures]
        best = scores.index(max(scores))
        overlay = draw_scores(image, layout, pictures)
        listed, report = scores_to_json(pictures, best), describe_scores(pictures, best)
        summary = report.partition("\n\n")[0]
        shown = {**ui.PreviewText(report).as_dict(), **told((), summary)}
        chosen = image[best : best + 1]
        return io.NodeOutput(chosen, overlay, best, scores[best], listed, report, ui=shown)
