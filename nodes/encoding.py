"""Encode prompts with a ReCo checkpoint's text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import comfy.model_management
import comfy.sd
import torch

from ..reco_core.autoencoder import DOWNSAMPLING, LATENT_CHANNELS
from ..reco_core.layout import Layout
from ..reco_core.layout_remarks import layout_weights
from ..reco_core.remarks import Remark
from ..reco_core.report import describe_sequence
from .account import Account, overflow_error, overflow_remarks, read_prompt
from .inputs import OVERFLOW_DROP, OVERFLOW_ERROR
from .remarks import weighted_spans
from .tables import check_tables
from .tokenizer import ReCoTokenizer


@dataclass(frozen=True)
class Encoded:
    """report: how the prompt was read, in words, with the remarks as its warnings."""

    conditioning: list
    report: str
    remarks: tuple[Remark, ...]


def encode_prompt(
    clip: comfy.sd.CLIP,
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
    problem = overflow_error(account, limit, f"set overflow to {OVERFLOW_DROP!r}")
    if problem and (overflow == OVERFLOW_ERROR or not account.sequence.caption_fits):
        raise ValueError(problem)
    remarks = (*account.remarks, *overflow_remarks(account, limit))
    conditioning = clip.encode_from_tokens_scheduled(tokenizer.chunk(account.sequence))
    return Encoded(conditioning, _describe(account, tokenizer, remarks), remarks)


def empty_latent(layout: Layout, batch_size: int) -> dict:
    """Latents to denoise, (B, 4, H/8, W/8) for a layout of H x W pixels."""
    samples = torch.zeros(
        (batch_size, LATENT_CHANNELS, layout.height // DOWNSAMPLING, layout.width // DOWNSAMPLING),
        device=comfy.model_management.intermediate_device(),
    )
    return {"samples": samples, "downscale_ratio_spacial": DOWNSAMPLING}


def reco_tokenizer(clip: comfy.sd.CLIP | None) -> ReCoTokenizer:
    """The tokenizer of a ReCo CLIP.

    Raises:
        ValueError: the CLIP is another's, or a merge has spoiled it.
    """
    if clip is None:
        raise ValueError(f"there is no CLIP: {_CONNECT}")
    if not isinstance(clip.tokenizer, ReCoTokenizer):
        raise ValueError(
            f"this CLIP cannot read boxes (its tokenizer is {type(clip.tokenizer).__name__}): "
            f"{_CONNECT}"
        )
    check_tables(clip)
    return clip.tokenizer


_CONNECT = (
    "connect the clip output of ReCo Load Checkpoint, or of ReCo Load Adapter or ReCo Apply "
    "Adapter, which give a plain Stable Diffusion 1 checkpoint its boxes"
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
