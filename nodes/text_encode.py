"""Encode layouts with a ReCo checkpoint's text encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

import comfy.model_management
import torch
from comfy_api.latest import io, ui

from ..reco_core.layout import Layout
from ..reco_core.layout_remarks import layout_weights
from ..reco_core.remarks import Remark
from .account import Account, overflow_error, overflow_remarks, read_prompt
from .layout import CATEGORY, RecoLayout
from .remarks import told, weighted_spans
from .report import describe_sequence
from .tables import check_tables
from .tokenizer import ReCoTokenizer

OVERFLOW_ERROR = "error"
OVERFLOW_DROP = "drop regions that do not fit"


@dataclass(frozen=True)
class Encoded:
    """report: how the prompt was read, in words, with the remarks as its warnings."""

    conditioning: list
    report: str
    remarks: tuple[Remark, ...]


def encode_prompt(
    clip,
    prompt: Layout | str,
    overflow: str = OVERFLOW_ERROR,
    size: tuple[int, int] | None = None,
) -> Encoded:
    """Encode a layout, or a text in any written form of one.

    overflow: what to do when it is longer than the checkpoint reads. size: (width, height) in
        pixels of a text's picture.

    Raises:
        ValueError: clip is not a ReCo checkpoint's, the caption alone is too long, anything is on
            OVERFLOW_ERROR, or as read_prompt.
    """
    tokenizer = reco_tokenizer(clip)
    limit = tokenizer.info.max_length
    account = read_prompt(tokenizer, prompt, size)
    problem = overflow_error(account, limit, f"set overflow to {OVERFLOW_DROP!r}.")
    if problem and (overflow == OVERFLOW_ERROR or not account.sequence.caption_fits):
        raise ValueError(problem)
    remarks = (*account.remarks, *overflow_remarks(account, limit))
    conditioning = clip.encode_from_tokens_scheduled(tokenizer.chunk(account.sequence))
    return Encoded(conditioning, _describe(account, tokenizer, remarks), remarks)


def empty_latent(layout: Layout, batch_size: int) -> dict:
    """Latents to denoise, (B, 4, H/8, W/8) for a layout of H x W pixels."""
    samples = torch.zeros(
        (batch_size, 4, layout.height // 8, layout.width // 8),
        device=comfy.model_management.intermediate_device(),
    )
    return {"samples": samples, "downscale_ratio_spacial": 8}


def reco_tokenizer(clip) -> ReCoTokenizer:
    """The tokenizer of a ReCo CLIP.

    Raises:
        ValueError: the CLIP is another's, or a merge has spoiled it.
    """
    if clip is None:
        raise ValueError(f"There is no CLIP. {_CONNECT}")
    if not isinstance(clip.tokenizer, ReCoTokenizer):
        raise ValueError(
            f"This CLIP cannot read boxes (its tokenizer is {type(clip.tokenizer).__name__}). "
            f"{_CONNECT}"
        )
    check_tables(clip)
    return clip.tokenizer


_CONNECT = (
    "Connect the clip output of ReCo Load Checkpoint, or of ReCo Load Adapter, which gives a plain "
    "Stable Diffusion 1 checkpoint its boxes."
)


def _describe(account: Account, tokenizer: ReCoTokenizer, remarks: Sequence[Remark]) -> str:
    return describe_sequence(
        account.fitted,
        account.sequence,
        tokenizer.vocabulary,
        tokenizer.decode,
        [remark.message for remark in remarks],
        layout_weights(account.fitted, weighted_spans),
    )


def _of_negative(encoded: Encoded) -> tuple[Remark, ...]:
    """Its remarks, told apart from the positive's, whose regions they are not about."""
    return tuple(Remark(r.kind, f"negative: {r.message}") for r in encoded.remarks)


def _shown(report: str, remarks: Sequence[Remark]) -> dict:
    """The report as a text preview; the tokens used and the remarks stay on the node."""
    used = next(line for line in report.splitlines() if "tokens used" in line)
    return {**ui.PreviewText(report).as_dict(), **told(remarks, used)}


def _overflow_input() -> io.Combo.Input:
    return io.Combo.Input(
        "overflow",
        options=[OVERFLOW_ERROR, OVERFLOW_DROP],
        default=OVERFLOW_ERROR,
        optional=True,
        tooltip="When the layout is longer than the checkpoint reads: stop and name the regions "
        "that do not fit, or leave those out and say so.",
    )


def _report_output() -> io.String.Output:
    return io.String.Output(
        display_name="report",
        tooltip="The sequence as the model reads it, the tokens each part takes, and warnings.",
    )


class ReCoTextEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoTextEncode",
            display_name="ReCo Text Encode",
            category=CATEGORY,
            description="Encode a layout as conditioning, and report how it was read.",
            inputs=[
                io.Clip.Input("clip", tooltip="The clip output of ReCo Load Checkpoint."),
                RecoLayout.Input("layout", tooltip="The caption and the boxes with their words."),
                _overflow_input(),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="conditioning",
                    tooltip="For a sampler. Use a negative from the same clip: equal lengths are "
                    "sampled in one call.",
                ),
                _report_output(),
            ],
        )

    @classmethod
    def execute(cls, clip, layout, overflow=OVERFLOW_ERROR) -> io.NodeOutput:
        encoded = encode_prompt(clip, layout, overflow)
        shown = _shown(encoded.report, encoded.remarks)
        return io.NodeOutput(encoded.conditioning, encoded.report, ui=shown)


class ReCoConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoConditioning",
            display_name="ReCo Conditioning",
            category=CATEGORY,
            description="All a sampler wants from a layout: positive, negative, empty latent.",
            inputs=[
                io.Clip.Input("clip", tooltip="The clip output of ReCo Load Checkpoint."),
                RecoLayout.Input("layout", tooltip="The caption and the boxes with their words."),
                io.String.Input(
                    "negative",
                    multiline=True,
                    dynamic_prompts=True,
                    default="",
                    tooltip="What to keep out of the picture. Empty is how ReCo was trained; boxes "
                    "work too, as ReCo Layout From Text reads them, but not as JSON: this field "
                    "chooses from {a|b}.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=1,
                    min=1,
                    max=4096,
                    optional=True,
                    tooltip="How many pictures to make in one go.",
                ),
                _overflow_input(),
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
                _report_output(),
            ],
        )

    @classmethod
    def execute(
        cls, clip, layout, negative="", batch_size=1, overflow=OVERFLOW_ERROR
    ) -> io.NodeOutput:
        positive = encode_prompt(clip, layout, overflow)
        unconditional = encode_prompt(clip, negative, overflow, (layout.width, layout.height))
        remarks = (*positive.remarks, *_of_negative(unconditional))
        report = f"{positive.report}\n\nnegative\n{unconditional.report}"
        latent = empty_latent(layout, batch_size)
        return io.NodeOutput(
            positive.conditioning,
            unconditional.conditioning,
            latent,
            report,
            ui=_shown(report, remarks),
        )
