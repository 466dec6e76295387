"""Encode prompts with a ReCo checkpoint's text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import comfy.model_management
import comfy.sd
import torch

from ..reco_core.autoencoder import DOWNSAMPLING, LATENT_CHANNELS
from ..reco_core.layout import Layout
from ..reco_core.remarks import Reading, Remark
from .account import read, read_prompt
from .inputs import OVERFLOW_ERROR
from .joined import Part, describe, left_out, sequences_of
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
    prompt: Layout | str | Reading,
    overflow: str = OVERFLOW_ERROR,
    size: tuple[int, int] | None = None,
) -> Encoded:
    """Encode a layout, a text in any written form of one, or what was read of one.

    overflow: what to do when it is longer than the checkpoint reads. size: (width, height) in
        pixels of a text's picture.

    Raises:
        ValueError: clip is not a ReCo checkpoint's, the caption alone is too long, anything is on
            OVERFLOW_ERROR, more than four sequences hold on OVERFLOW_JOIN, or as read_prompt.
    """
    tokenizer = reco_tokenizer(clip)
    account = read_prompt(tokenizer, prompt, size)
    parts = sequences_of(account, tokenizer, overflow)
    everything = range(len(account.layout.regions))
    remarks = (*account.remarks, *left_out(account, tokenizer, [(everything, parts)]))
    report = describe(account, tokenizer, parts, remarks)
    return Encoded(encode_parts(clip, parts), report, remarks)


def encode_parts(clip: comfy.sd.CLIP, parts: Sequence[Part]) -> list:
    """Conditioning of sequences, whose states are joined; what else there is, is the first's."""
    chunks = [clip.tokenizer.chunk(part.sequence) for part in parts]
    encoded = [clip.encode_from_tokens_scheduled(chunk) for chunk in chunks]
    return [
        [torch.cat([states for states, _ in pieces], dim=1), pieces[0][1]]
        for pieces in zip(*encoded, strict=True)
    ]


def read_negative(clip: comfy.sd.CLIP, text: str, layout: Layout) -> Reading:
    """The negative of a layout: a text in any form, and the negative texts of the regions."""
    reading = read(reco_tokenizer(clip), text, (layout.width, layout.height))
    return _negative_of(reading, layout)


def _negative_of(negative: Reading, layout: Layout) -> Reading:
    """A negative prompt with the negative texts of a layout's regions, in their boxes."""
    moved = [
        replace(region, text=text, control=replace(region.control, strength=1.0, negative=""))
        for region in layout.regions
        if region.control.is_on and (text := region.control.negative.strip())
    ]
    own = negative.layout
    sized = replace(own, width=layout.width, height=layout.height)
    return replace(negative, layout=replace(sized, regions=(*own.regions, *moved)))


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
