"""Encode layouts with a ReCo checkpoint's text encoder."""

import logging

import comfy.model_management
import torch
from comfy_api.latest import io, ui
from server import PromptServer

from ..reco_core import Layout
from .clip import ReCoTokenizer
from .layout import CATEGORY, RecoLayout
from .report import describe_sequence, name_regions, unknown_words

OVERFLOW_ERROR = "error"
OVERFLOW_DROP = "drop regions that do not fit"


def encode_layout(clip, layout: Layout, overflow: str = OVERFLOW_ERROR) -> tuple[list, str]:
    """Encode a layout; returns the conditioning and a readable report.

    overflow: what to do when the layout is longer than the checkpoint reads. Raises ValueError when
    clip is not a ReCo checkpoint's, when the caption alone is too long, and on OVERFLOW_ERROR.
    """
    tokenizer = reco_tokenizer(clip)
    fitted, dropped = tokenizer.fit(layout)
    if dropped and overflow == OVERFLOW_ERROR:
        raise ValueError(_overflow_message(tokenizer, layout, dropped))
    sequence = tokenizer.sequence(fitted)
    if not sequence.caption_fits:
        raise ValueError(
            f"The caption needs more than the {tokenizer.info.max_length} tokens this checkpoint "
            "reads. Shorten it."
        )
    warnings = []
    if dropped:
        warnings.append(f"left out because they did not fit: {name_regions(dropped)}.")
    strange = unknown_words(sequence, tokenizer.decode, tokenizer.info.words)
    if strange:
        warnings.append(f"this checkpoint was not trained on: {', '.join(strange)}.")
    for warning in warnings:
        logging.warning(f"ReCo: {warning}")
    conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(fitted))
    report = describe_sequence(fitted, sequence, tokenizer.vocabulary, tokenizer.decode, warnings)
    return conditioning, report


def empty_latent(layout: Layout, batch_size: int) -> dict:
    """Latents to denoise, (B, 4, H/8, W/8) for a layout of H x W pixels."""
    samples = torch.zeros(
        (batch_size, 4, layout.height // 8, layout.width // 8),
        device=comfy.model_management.intermediate_device(),
    )
    return {"samples": samples, "downscale_ratio_spacial": 8}


def reco_tokenizer(clip) -> ReCoTokenizer:
    """The tokenizer of a ReCo CLIP. Raises ValueError when the CLIP is another's."""
    if clip is None:
        raise ValueError("There is no CLIP. Connect the clip output of ReCo Load Checkpoint.")
    if not isinstance(clip.tokenizer, ReCoTokenizer):
        raise ValueError(
            f"This CLIP cannot read boxes (its tokenizer is {type(clip.tokenizer).__name__}). "
            "Connect the clip output of ReCo Load Checkpoint."
        )
    return clip.tokenizer


def _overflow_message(tokenizer: ReCoTokenizer, layout: Layout, dropped: dict[int, str]) -> str:
    return (
        f"The layout needs {tokenizer.sequence(layout).needed} tokens and this checkpoint reads "
        f"{tokenizer.info.max_length}. These do not fit: {name_regions(dropped)}. Shorten the "
        f"texts, remove regions, or set overflow to {OVERFLOW_DROP!r}."
    )


def _show(report: str, node_id: str) -> ui.PreviewText:
    """Put the report's beginning, warnings and tokens used, on the node. The front end draws `ui`
    text only on its own preview node, and on any node progress text, of a few lines."""
    PromptServer.instance.send_progress_text(report.partition("\ncaption: ")[0], node_id)
    return ui.PreviewText(report)


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
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, clip, layout, overflow=OVERFLOW_ERROR) -> io.NodeOutput:
        conditioning, report = encode_layout(clip, layout, overflow)
        return io.NodeOutput(conditioning, report, ui=_show(report, cls.hidden.unique_id))


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
                    tooltip="What to keep out of the picture. Empty is how ReCo was trained; a "
                    "ReCo prompt with boxes works too.",
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
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls, clip, layout, negative="", batch_size=1, overflow=OVERFLOW_ERROR
    ) -> io.NodeOutput:
        positive, report = encode_layout(clip, layout, overflow)
        unconditional = clip.encode_from_tokens_scheduled(clip.tokenize(negative))
        latent = empty_latent(layout, batch_size)
        shown = _show(report, cls.hidden.unique_id)
        return io.NodeOutput(positive, unconditional, latent, report, ui=shown)
