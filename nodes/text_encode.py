"""Nodes that encode layouts with a ReCo checkpoint's text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from comfy_api.latest import io, ui

from .inputs import CATEGORY, OVERFLOW_ERROR, RecoLayout, overflow_input, search_aliases
from .remarks import told

if TYPE_CHECKING:
    import comfy.sd

    from ..reco_core.layout import Layout
    from ..reco_core.remarks import Remark
    from .encoding import Encoded


def _of_negative(encoded: Encoded) -> tuple[Remark, ...]:
    """Its remarks, told apart from the positive's, whose regions they are not about."""
    from ..reco_core.remarks import Remark

    return tuple(Remark(r.kind, f"negative: {r.message}") for r in encoded.remarks)


def both_reports(
    positive: Encoded, negative: Encoded, more: Sequence[Remark] = ()
) -> tuple[str, dict]:
    """The report on a positive and its negative, and the `ui` output that shows it.

    more: remarks on both.
    """
    report = f"{positive.report}\n\nnegative\n{negative.report}"
    return report, _shown(report, (*positive.remarks, *_of_negative(negative), *more))


def _shown(report: str, remarks: Sequence[Remark]) -> dict:
    """The report as a text preview; the tokens used and the remarks stay on the node."""
    used = next(line for line in report.splitlines() if "tokens used" in line)
    return {**ui.PreviewText(report).as_dict(), **told(remarks, used)}


def report_output() -> io.String.Output:
    return io.String.Output(
        display_name="report",
        tooltip="The sequence as the model reads it, the tokens each part takes, and warnings.",
    )


def negative_input() -> io.String.Input:
    return io.String.Input(
        "negative",
        multiline=True,
        dynamic_prompts=True,
        default="",
        tooltip="What to keep out of the picture. Empty is how ReCo was trained; boxes work too, "
        "as ReCo Layout From Text reads them, but not as JSON: this field chooses from {a|b}.",
    )


def batch_size_input() -> io.Int.Input:
    return io.Int.Input(
        "batch_size",
        default=1,
        min=1,
        max=4096,
        optional=True,
        tooltip="How many pictures to make in one go.",
    )


class ReCoTextEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoTextEncode",
            display_name="ReCo Text Encode",
            category=CATEGORY,
            description="Encode a layout as conditioning, and report how it was read.",
            **search_aliases("regional prompt", "regional conditioning", "regions"),
            inputs=[
                io.Clip.Input("clip", tooltip="The clip output of ReCo Load Checkpoint."),
                RecoLayout.Input("layout", tooltip="The caption and the boxes with their words."),
                overflow_input(),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="conditioning",
                    tooltip="For a sampler. Use a negative from the same clip: equal lengths are "
                    "sampled in one call.",
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls, clip: comfy.sd.CLIP, layout: Layout, overflow: str = OVERFLOW_ERROR
    ) -> io.NodeOutput:
        from ..reco_core.layout_remarks import uncontrolled
        from .encoding import encode_prompt

        encoded = encode_prompt(clip, layout, overflow)
        shown = _shown(encoded.report, (*encoded.remarks, *uncontrolled(layout)))
        return io.NodeOutput(encoded.conditioning, encoded.report, ui=shown)


class ReCoConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoConditioning",
            display_name="ReCo Conditioning",
            category=CATEGORY,
            description="All a sampler wants from a layout: positive, negative, empty latent.",
            **search_aliases(
                "regional prompt", "regional conditioning", "area conditioning", "regions"
            ),
            inputs=[
                io.Clip.Input("clip", tooltip="The clip output of ReCo Load Checkpoint."),
                RecoLayout.Input("layout", tooltip="The caption and the boxes with their words."),
                negative_input(),
                batch_size_input(),
                overflow_input(),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="The layout, encoded."),
                io.Conditioning.Output(
                    display_name="negative",
                    tooltip="The negative text, of the positive's length, so that a step stays one "
                    "UNet call.",
                ),
                io.Latent.Output(
                    display_name="latent", tooltip="Empty latents of the layout's size."
                ),
                report_output(),
            ],
        )

    @classmethod
    def execute(
        cls,
        clip: comfy.sd.CLIP,
        layout: Layout,
        negative: str = "",
        batch_size: int = 1,
        overflow: str = OVERFLOW_ERROR,
    ) -> io.NodeOutput:
        from ..reco_core.layout_remarks import uncontrolled
        from .encoding import empty_latent, encode_prompt, read_negative

        positive = encode_prompt(clip, layout, overflow)
        unconditional = encode_prompt(clip, read_negative(clip, negative, layout), overflow)
        more = uncontrolled(layout, takes_negatives=True)
        report, shown = both_reports(positive, unconditional, more)
        latent = empty_latent(layout, batch_size)
        return io.NodeOutput(
            positive.conditioning, unconditional.conditioning, latent, report, ui=shown
        )
