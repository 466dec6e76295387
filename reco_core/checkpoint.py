"""Single-file checkpoints as state dicts: recognise and extend them.

Keys are those of the original latent-diffusion code. How much ReCo is in a checkpoint is read
off its weights: the token embedding has CLIP's 49408 rows and one more for each position token,
the position embedding one row for each token of the sequence.

Metadata, all strings: format ("reco"), family (its name; Stable Diffusion 1.x where it is left
out), num_bins, max_length, steps, data, licence, unet_heads, text_heads, words (a JSON list of the
lower-case words the model knows), image_size (side in pixels of the square pictures it was trained
on), buckets (a JSON list of their [width, height], where they kept their shapes); and those of the
plain checkpoint that it was trained from (named_base.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from .architecture import (
    attention_widths,
    check_weights,
    shape_of,
    text_intermediate,
    text_layers,
)
from .checkpoint_info import CheckpointInfo, EncoderInfo
from .checks import quote
from .family import SD1, Family
from .keys import FIRST_CONVOLUTION, UNET_PREFIX
from .metadata import (
    read_buckets,
    read_image_size,
    read_number,
    read_text,
    read_words,
)
from .position_rows import ordered_rows, random_rows
from .position_tokens import CLIP_LENGTH, CLIP_VOCABULARY_SIZE
from .weights import find_family, select_weights

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]

_UNET_CONTEXT = re.compile(re.escape(UNET_PREFIX) + r".*\.attn2\.to_k\.weight")  # (inner, width)

_FEWEST_BINS = 32  # fewer extra rows, of a file that does not call itself ReCo, are added words

_ROWS = {"ordered": ordered_rows, "random": random_rows}


def describe_checkpoint(state_dict: StateDict, metadata: Mapping[str, str]) -> CheckpointInfo:
    """Read off a checkpoint's keys, shapes and metadata what it is.

    Raises:
        ValueError: it is not of the SD1 type (the error says what it looks like), its parts do
            not go together, or its metadata cannot be read.
    """
    family = find_family(state_dict)
    _check_name(family, metadata)
    state_dict = select_weights(state_dict)
    num_bins, max_length = _table_sizes(state_dict, family, metadata)
    _check_unet_context(state_dict, family)
    check_weights(state_dict, family)
    said = {**standard_heads(state_dict, family), **metadata}
    return CheckpointInfo(
        family=family,
        is_reco=num_bins > 0,
        num_bins=num_bins,
        max_length=max_length,
        encoders=tuple(
            EncoderInfo(
                width=(width := shape_of(state_dict, encoder.token_embedding, 2)[1]),
                layers=text_layers(state_dict, encoder),
                intermediate=text_intermediate(state_dict, encoder),
                heads=_heads(said, encoder.heads_key, [width]),
            )
            for encoder in family.encoders
        ),
        unet_heads=_unet_heads(state_dict, family, said),
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
    """A plain SD1 checkpoint with room for ReCo's position tokens and longer sequences; num_bins 0
    lengthens the sequence alone.

    New token rows have the standard deviation of CLIP's own; new position rows repeat the last
    one, as in the released code. The given dict and its tensors stay as they are.

    rows: how the position tokens start; a tensor (num_bins, width) is taken as it is.

    Raises:
        ValueError: the checkpoint is not of the SD1 type, has position tokens already, or has a
            sequence longer than max_length; num_bins is 1 or below 0; or rows is unknown or of
            another shape.
    """
    import torch

    if isinstance(rows, str) and rows not in _ROWS:
        raise ValueError(f"rows = {quote(rows, 200)} is unknown: use 'ordered' or 'random'")
    if num_bins < 2 and num_bins != 0:
        raise ValueError(f"num_bins = {num_bins}: at least 2 position tokens are needed")
    family = find_family(state_dict)
    state_dict = select_weights(state_dict)
    check_weights(state_dict, family)
    extended = dict(state_dict)
    for encoder in family.encoders:
        tokens, positions = (state_dict[key] for key in encoder.tables)
        if len(tokens) != CLIP_VOCABULARY_SIZE:
            raise ValueError(
                f"the token embedding has {len(tokens)} rows, not CLIP's {CLIP_VOCABULARY_SIZE}: "
                "extend a plain SD1 checkpoint, or train this one as it is"
            )
        if len(positions) > max_length:
            raise ValueError(
                f"max_length = {max_length} is less than the {len(positions)} tokens of the "
                "checkpoint"
            )
        if num_bins:
            new_tokens = _new_rows(tokens, num_bins, rows, seed)
            extended[encoder.token_embedding] = torch.cat([tokens, new_tokens.to(tokens)])
        new_positions = positions[-1:].expand(max_length - len(positions), -1)
        extended[encoder.position_embedding] = torch.cat([positions, new_positions])
    return extended


def reco_metadata(info: CheckpointInfo) -> dict[str, str]:
    """What a ReCo checkpoint's metadata say of its weights; empty for a plain checkpoint."""
    if not info.is_reco:
        return {}
    sizes = {"num_bins": str(info.num_bins), "max_length": str(info.max_length)}
    return {"format": "reco"} | sizes | family_metadata(info)


def family_metadata(info: CheckpointInfo) -> dict[str, str]:
    """What any checkpoint's metadata say of its weights: family and heads. Stable Diffusion 1.x is
    left unsaid, as in files from before there were families."""
    family = {} if info.family == SD1 else {"family": info.family.name}
    heads = {} if info.unet_heads is None else {"unet_heads": str(info.unet_heads)}
    for encoder, sizes in zip(info.family.encoders, info.encoders, strict=True):
        heads[encoder.heads_key] = str(sizes.heads)
    return family | heads


def _new_rows(
    tokens: torch.Tensor, num_bins: int, rows: str | torch.Tensor, seed: int
) -> torch.Tensor:
    """Rows (num_bins, width) of position tokens for a token table."""
    wanted = (num_bins, tokens.shape[1])
    if isinstance(rows, str):
        return _ROWS[rows](*wanted, tokens.float().std().item(), seed)
    if rows.shape != wanted:
        raise ValueError(
            f"the rows are of shape {tuple(rows.shape)} but this checkpoint needs {wanted} for "
            f"{num_bins} position tokens: use others, or as many position tokens as there are rows"
        )
    return rows


def _check_name(family: Family, metadata: Mapping[str, str]) -> None:
    said = read_text(metadata, "family")
    if said not in ("", family.name):
        raise ValueError(
            f"metadata family = {quote(said)}, but the weights are those of {family.name!r} "
            f"({family.title}): use the file it was made from"
        )


def _table_sizes(
    state_dict: StateDict, family: Family, metadata: Mapping[str, str]
) -> tuple[int, int]:
    """Position tokens and length of the sequence, which all text encoders have in common."""
    found = {
        tuple(shape_of(state_dict, key, 2)[0] for key in encoder.tables)
        for encoder in family.encoders
    }
    if len(found) > 1:
        raise ValueError(
            "the text encoders have tables of different lengths, (tokens, positions) = "
            f"{sorted(found)}: these parts do not belong together"
        )
    rows, max_length = found.pop()
    return _position_tokens(rows, max_length, metadata), max_length


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
    if extra and not said and (max_length == CLIP_LENGTH or extra < _FEWEST_BINS):
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


def standard_heads(state_dict: StateDict, family: Family) -> dict[str, str]:
    """The heads of a family as metadata, for parts whose size tells them."""
    channels = state_dict[FIRST_CONVOLUTION].shape[0]
    sizes = {
        encoder.heads_key: encoder.heads.known_at(
            state_dict[encoder.token_embedding].shape[1], encoder.width
        )
        for encoder in family.encoders
    }
    if family.unet_heads.number:
        sizes["unet_heads"] = family.unet_heads.known_at(channels, family.unet_channels[0])
    return {key: str(heads) for key, heads in sizes.items() if heads}


def _unet_heads(state_dict: StateDict, family: Family, metadata: Mapping[str, str]) -> int | None:
    """The number of every attention; None in a family that counts the channels of each head."""
    widths, channels = attention_widths(state_dict), family.unet_heads.channels
    if channels is None:
        return _heads(metadata, "unet_heads", widths)
    for width in widths:
        if width % channels:
            raise ValueError(
                f"an attention of the UNet is {width} channels wide, which does not divide into "
                f"heads of {channels} as in {family.title}: use the file that this was made from"
            )
    return None


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


def _check_unet_context(state_dict: StateDict, family: Family) -> None:
    wanted = sum(shape_of(state_dict, e.token_embedding, 2)[1] for e in family.encoders)
    key = next((key for key in state_dict if _UNET_CONTEXT.match(key)), None)
    width = shape_of(state_dict, key, 2)[1] if key else wanted
    if width != wanted:
        raise ValueError(
            f"the text encoder is {wanted} wide but the UNet attends to texts of width "
            f"{width}: these parts do not belong together"
        )
