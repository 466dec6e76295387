"""Single-file Stable Diffusion 1.x checkpoints as state dicts: recognise and extend them.

Keys are those of the original latent-diffusion code. How much ReCo is in a checkpoint is read
off its weights: the token embedding has CLIP's 49408 rows and one more for each position token,
the position embedding one row for each token of the sequence.

Metadata, all strings: format ("reco"), num_bins, max_length, steps, data, licence, unet_heads,
text_heads, words (a JSON list of the lower-case words the model knows), image_size (side in pixels
of the square pictures it was trained on), buckets (a JSON list of their [width, height], where they
kept their shapes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from .architecture import attention_widths, check_weights, shape_of, text_layers
from .checkpoint_info import CheckpointInfo
from .checks import quote
from .keys import (
    FIRST_CONVOLUTION,
    POSITION_EMBEDDING,
    TEXT_PREFIX,
    TOKEN_EMBEDDING,
    UNET_PREFIX,
)
from .metadata import (
    read_buckets,
    read_image_size,
    read_number,
    read_text,
    read_words,
)
from .position_rows import ordered_rows, random_rows
from .position_tokens import CLIP_VOCABULARY_SIZE
from .weights import check_keys, select_weights

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]

_TEXT_MLP = TEXT_PREFIX + "encoder.layers.0.mlp.fc1.weight"  # (intermediate, width)
_UNET_CONTEXT = re.compile(re.escape(UNET_PREFIX) + r".*\.attn2\.to_k\.weight")  # (inner, width)

_CLIP_LENGTH = 77
_FEWEST_BINS = 32  # fewer extra rows, of a file that does not call itself ReCo, are added words
# Heads of Stable Diffusion 1.x, for its width (text encoder) and its channels (UNet).
_TEXT_HEADS = {768: 12}
_UNET_HEADS = {320: 8}

_ROWS = {"ordered": ordered_rows, "random": random_rows}


def describe_checkpoint(state_dict: StateDict, metadata: Mapping[str, str]) -> CheckpointInfo:
    """Read off a checkpoint's keys, shapes and metadata what it is.

    Raises:
        ValueError: it is not of the SD1 type (the error says what it looks like), its parts do
            not go together, or its metadata cannot be read.
    """
    check_keys(state_dict)
    state_dict = select_weights(state_dict)
    rows, width = shape_of(state_dict, TOKEN_EMBEDDING, 2)
    max_length = shape_of(state_dict, POSITION_EMBEDDING, 2)[0]
    num_bins = _position_tokens(rows, max_length, metadata)
    _check_unet_context(state_dict, width)
    check_weights(state_dict)
    heads = {**standard_heads(state_dict), **metadata}
    return CheckpointInfo(
        is_reco=num_bins > 0,
        num_bins=num_bins,
        max_length=max_length,
        text_width=width,
        text_layers=text_layers(state_dict),
        text_intermediate=state_dict[_TEXT_MLP].shape[0],
        text_heads=_heads(heads, "text_heads", [width]),
        unet_heads=_heads(heads, "unet_heads", attention_widths(state_dict)),
        words=read_words(metadata),
        metadata=dict(metadata),
        image_size=read_image_size(metadata),
        buckets=read_buckets(metadata),
    )


def extend_checkpoint(
    state_dict: StateDict,
    num_bins: int = 1000,
    max_length: int = 616,
    rows: Literal["ordered", "random"] | torch.Tensor = "ordered",
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    """A plain SD1 checkpoint with room for ReCo's position tokens and longer sequences.

    New token rows have the standard deviation of CLIP's own; new position rows repeat the last
    one, as in the released code. The given dict and its tensors stay as they are.

    rows: how the position tokens start; a tensor (num_bins, width) is taken as it is.

    Raises:
        ValueError: the checkpoint is not of the SD1 type, has position tokens already, or has a
            sequence longer than max_length; num_bins is less than 2; or rows is unknown or of
            another shape.
    """
    import torch

    if isinstance(rows, str) and rows not in _ROWS:
        raise ValueError(f"rows = {quote(rows, 200)} is unknown: use 'ordered' or 'random'")
    if num_bins < 2:
        raise ValueError(f"num_bins = {num_bins}: at least 2 position tokens are needed")
    check_keys(state_dict)
    state_dict = select_weights(state_dict)
    check_weights(state_dict)
    tokens, positions = state_dict[TOKEN_EMBEDDING], state_dict[POSITION_EMBEDDING]
    if len(tokens) != CLIP_VOCABULARY_SIZE:
        raise ValueError(
            f"the token embedding has {len(tokens)} rows, not CLIP's {CLIP_VOCABULARY_SIZE}: "
            "extend a plain SD1 checkpoint, or train this one as it is"
        )
    if len(positions) > max_length:
        raise ValueError(
            f"max_length = {max_length} is less than the {len(positions)} tokens of the checkpoint"
        )
    wanted = (num_bins, tokens.shape[1])
    if isinstance(rows, str):
        new_tokens = _ROWS[rows](*wanted, tokens.float().std().item(), seed)
    elif rows.shape == wanted:
        new_tokens = rows
    else:
        raise ValueError(
            f"the rows are of shape {tuple(rows.shape)} but this checkpoint needs {wanted} for "
            f"{num_bins} position tokens: use others, or as many position tokens as there are rows"
        )
    new_positions = positions[-1:].expand(max_length - len(positions), -1)
    return {
        **state_dict,
        TOKEN_EMBEDDING: torch.cat([tokens, new_tokens.to(tokens)]),
        POSITION_EMBEDDING: torch.cat([positions, new_positions]),
    }


def reco_metadata(info: CheckpointInfo) -> dict[str, str]:
    """What a ReCo checkpoint's metadata say of its weights; empty for a plain checkpoint."""
    if not info.is_reco:
        return {}
    numbers = {
        "num_bins": info.num_bins,
        "max_length": info.max_length,
        "unet_heads": info.unet_heads,
        "text_heads": info.text_heads,
    }
    return {"format": "reco"} | {key: str(number) for key, number in numbers.items()}


def _position_tokens(rows: int, max_length: int, metadata: Mapping[str, str]) -> int:
    """How many of the token table's rows are position tokens, by all that makes a file ReCo: it
    says so, or it has many more rows than CLIP and a sequence of another length."""
    extra = rows - CLIP_VOCABULARY_SIZE
    if extra < 0 or extra == 1:
        raise ValueError(
            f"the token embedding has {rows} rows: expected CLIP's {CLIP_VOCABULARY_SIZE} and "
            "one more for each of at least 2 position tokens"
        )
    said = read_text(metadata, "format") == "reco"
    if extra and not said and (max_length == _CLIP_LENGTH or extra < _FEWEST_BINS):
        raise ValueError(
            f"the token table has {extra} extra rows and the sequence {max_length} tokens, and "
            "nothing says that this is a ReCo checkpoint: a checkpoint with added words? Use one "
            "with position tokens; if these are such, say so: `python -m train convert IN "
            "OUT.safetensors --metadata format=reco`"
        )
    for key, found in (("num_bins", extra), ("max_length", max_length)):
        number = read_number(metadata, key)
        if number not in (None, found):
            raise ValueError(
                f"metadata {key} = {number}, but the weights have {found}: another program changed "
                "the text encoder's tables; use the file it was made from"
            )
    return extra


def standard_heads(state_dict: StateDict) -> dict[str, str]:
    """The heads of Stable Diffusion 1.x as metadata, for parts of its size."""
    sizes = {
        "text_heads": _TEXT_HEADS.get(state_dict[TOKEN_EMBEDDING].shape[1]),
        "unet_heads": _UNET_HEADS.get(state_dict[FIRST_CONVOLUTION].shape[0]),
    }
    return {key: str(heads) for key, heads in sizes.items() if heads}


def _heads(metadata: Mapping[str, str], key: str, widths: Iterable[int]) -> int:
    heads = read_number(metadata, key)
    if heads is None:
        raise ValueError(
            f"nothing in this file says how many attention heads it has ({key}), and its size is "
            "not Stable Diffusion 1's: use the file it was made from, or add them if you know: "
            f"`python -m train convert IN OUT.safetensors --metadata {key}=NUMBER`"
        )
    for width in widths:
        if width % heads:
            raise ValueError(
                f"metadata {key} = {heads} does not divide the {width} channels that they share: "
                "use the file that this one was made from"
            )
    return heads


def _check_unet_context(state_dict: StateDict, text_width: int) -> None:
    key = next((key for key in state_dict if _UNET_CONTEXT.match(key)), None)
    width = shape_of(state_dict, key, 2)[1] if key else text_width
    if width != text_width:
        raise ValueError(
            f"the text encoder is {text_width} wide but the UNet attends to texts of width "
            f"{width}: these parts do not belong together"
        )
