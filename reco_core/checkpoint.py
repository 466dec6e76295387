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

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .architecture import attention_widths, check_weights, shape_of, text_layers
from .checks import quote
from .keys import (
    FACTS,
    POSITION_EMBEDDING,
    TEXT_ENCODER_PREFIX,
    TEXT_PREFIX,
    TOKEN_EMBEDDING,
    UNET_PREFIX,
    VAE_PREFIX,
)
from .metadata import (
    Size,
    read_buckets,
    read_image_size,
    read_number,
    read_text,
    read_words,
)
from .position_rows import ordered_rows, random_rows
from .position_tokens import CLIP_VOCABULARY_SIZE
from .remarks import Remark

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]

_EMA_PREFIX = "model_ema."
_FIRST_CONVOLUTION = UNET_PREFIX + "input_blocks.0.0.weight"  # (channels, in, 3, 3)
_TEXT_MLP = TEXT_PREFIX + "encoder.layers.0.mlp.fc1.weight"  # (intermediate, width)
# Of a text encoder alone, as programs save it.
_TEXT_PART_PREFIXES = (
    "text_model.",
    "transformer.text_model.",
    "clip_l.transformer.text_model.",
    "",
)
_UNET_CONTEXT = re.compile(re.escape(UNET_PREFIX) + r".*\.attn2\.to_k\.weight")  # (inner, width)

_CLIP_LENGTH = 77
_FEWEST_BINS = 32  # fewer extra rows, of a file that does not call itself ReCo, are added words
# Heads of Stable Diffusion 1.x, for its width (text encoder) and its channels (UNet).
_TEXT_HEADS = {768: 12}
_UNET_HEADS = {320: 8}

_ROWS = {"ordered": ordered_rows, "random": random_rows}

# A key that tells the kind of a foreign file. The first match counts.
_FOREIGN = (
    ("a LoRA", re.compile(r"(^|\.)lora_|\.lora_|\.hada_|\.lokr_")),
    ("an SDXL checkpoint", re.compile(r"^conditioner\.embedders\.")),
    (
        "an SD2 checkpoint, whose text encoder is OpenCLIP",
        re.compile(r"^cond_stage_model\.model\."),
    ),
    ("an SD3 checkpoint", re.compile(r"joint_blocks\.")),
    ("a Flux checkpoint", re.compile(r"double_blocks\.")),
    ("a ControlNet", re.compile(r"^(control_model|controlnet_)")),
    ("a textual-inversion embedding", re.compile(r"^(string_to_param|emb_params)$")),
    ("a UNet in diffusers' layout", re.compile(r"^(unet\.)?down_blocks\.")),
    ("a text encoder alone", re.compile(r"^(text_model\.)?embeddings\.token_embedding\.")),
    ("a VAE alone", re.compile(r"^(encoder|decoder)\.")),
    ("an SD1-type UNet alone", re.compile(rf"^({re.escape(UNET_PREFIX)})?input_blocks\.")),
)


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint is.

    num_bins: position tokens, 0 for a plain checkpoint.
    max_length: tokens of the text sequence (77 in CLIP).
    text_width, text_layers, text_intermediate: sizes of the text encoder.
    text_heads, unet_heads: from the metadata; weights do not tell.
    words: lower-case words the model knows; empty when the file does not say.
    image_size: side in pixels of the pictures it was trained on; None when the file does not say.
    buckets: (width, height) of those pictures where they were not all square.
    metadata: the file's own, as read.
    """

    is_reco: bool
    num_bins: int
    max_length: int
    text_width: int
    text_layers: int
    text_intermediate: int
    text_heads: int
    unet_heads: int
    words: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    image_size: int | None = None
    buckets: tuple[Size, ...] = ()

    def trained_size(self) -> Size | None:
        """Width and height in pixels to start from; None when the file does not say."""
        return None if self.image_size is None else (self.image_size, self.image_size)

    def nearest_size(self, width: int, height: int) -> Size | None:
        """The size, of those it was trained for, to make a picture of width x height pixels.

        That is the picture's own where its area and aspect lie within those of the pictures it was
        trained on. None when the file does not say.
        """
        square = self.trained_size()
        if square is None:
            return None
        sizes = self.buckets or (square,)
        areas, aspects = [w * h for w, h in sizes], [w / h for w, h in sizes]
        has_area = min(areas) <= width * height <= max(areas)
        if has_area and min(aspects) <= width / height <= max(aspects):
            return width, height
        return min(sizes, key=lambda size: _distance(size, (width, height)))

    def size_remark(self, width: int, height: int) -> Remark | None:
        """What to know of a picture of that many pixels; None when it is fit or none can tell."""
        nearest, square = self.nearest_size(width, height), self.trained_size()
        if nearest is None or square is None or nearest == (width, height):
            return None
        sizes = self.buckets or (square,)
        shapes = f", from {_pixels(sizes[0])} to {_pixels(sizes[-1])}" if len(sizes) > 1 else ""
        return Remark(
            "size",
            f"this checkpoint was trained on pictures of {_pixels(square)} pixels{shapes}, and the "
            f"layout is {_pixels((width, height))}: boxes may stay empty or colours run; make it "
            f"{_pixels(nearest)}.",
        )


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


def select_weights(state_dict: StateDict, ema: bool = False) -> dict[str, torch.Tensor]:
    """The weights of UNet, VAE and text encoder under the keys of the latent-diffusion code.

    Drops EMA copies, the VAE's loss, noise schedules and the position_ids buffer (whose length
    is not that of the sequence). The text encoder may lack `text_model.` in its keys, as those
    of newer transformers do.

    ema: take the UNet's averaged weights in place of the raw ones. The released code samples
        from the raw ones.

    Raises:
        ValueError: averages are asked for, and there are none or not for all of the UNet.
    """
    if ema:
        state_dict = _with_averages(state_dict)
    kept = {}
    for key, tensor in state_dict.items():
        key = _text_key(key)
        wanted = key.startswith((UNET_PREFIX, VAE_PREFIX, TEXT_PREFIX))
        if wanted and not key.startswith(VAE_PREFIX + "loss.") and "position_ids" not in key:
            kept[key] = tensor
    return kept


def check_keys(keys: Iterable[str]) -> None:
    """Raise a ValueError that says what the file looks like, unless it is of the SD1 type."""
    keys = list(keys)
    found = {_text_key(key) for key in keys}
    has_unet = any(key.startswith(UNET_PREFIX) for key in found)
    if has_unet and {TOKEN_EMBEDDING, POSITION_EMBEDDING} <= found:
        return
    raise ValueError(
        f"this is not a Stable Diffusion 1.x checkpoint but looks like {_kind(keys)}: use a ReCo "
        "or SD1 single file that holds UNet, VAE and CLIP text encoder"
    )


def unet_part(state_dict: StateDict) -> dict[str, torch.Tensor]:
    """The UNet of a file that may hold nothing else, under the keys of a single file.

    Raises:
        ValueError: there is none of the SD1 type; says what it looks like.
    """
    key = _FIRST_CONVOLUTION.removeprefix(UNET_PREFIX)
    for prefix in (UNET_PREFIX, ""):
        if prefix + key in state_dict:
            return _part(state_dict, prefix, UNET_PREFIX, UNET_PREFIX + FACTS)
    raise ValueError(
        f"this holds no UNet of Stable Diffusion 1.x but looks like {_kind(state_dict)}: use a "
        "file that ComfyUI's ModelSave wrote"
    )


def text_part(state_dict: StateDict) -> dict[str, torch.Tensor]:
    """The text encoder of a file that may hold nothing else, as unet_part."""
    key = TOKEN_EMBEDDING.removeprefix(TEXT_PREFIX)
    for prefix in (TEXT_PREFIX, *_TEXT_PART_PREFIXES):
        if prefix + key in state_dict:
            return _part(state_dict, prefix, TEXT_PREFIX, TEXT_ENCODER_PREFIX + FACTS)
    raise ValueError(
        f"this holds no text encoder of Stable Diffusion 1.x but looks like {_kind(state_dict)}: "
        "use a file that ComfyUI's CLIPSave wrote"
    )


def _part(state_dict: StateDict, prefix: str, new: str, facts: str) -> dict[str, torch.Tensor]:
    """Keys that begin with prefix, which becomes another, and the facts beside them."""
    kept = {
        new + key.removeprefix(prefix): tensor
        for key, tensor in state_dict.items()
        if key.startswith(prefix) and key != prefix + FACTS
    }
    place = next((key for key in (facts, prefix + FACTS, FACTS) if key in state_dict), None)
    return kept if place is None else {**kept, facts: state_dict[place]}


def _kind(keys: Iterable[str]) -> str:
    """What a foreign file looks like."""
    keys = list(keys)
    return next(
        (kind for kind, pattern in _FOREIGN if any(pattern.search(key) for key in keys)),
        f"something else, with keys like {quote(sorted(keys)[:3], 200)}"
        if keys
        else "an empty file",
    )


def _with_averages(state_dict: StateDict) -> StateDict:
    """The latent-diffusion code names an average like its weight, without dots."""
    averages = {
        key: _EMA_PREFIX + key.removeprefix("model.").replace(".", "")
        for key in state_dict
        if key.startswith(UNET_PREFIX)
    }
    missing = [average for average in averages.values() if average not in state_dict]
    if missing:
        raise ValueError(
            f"{len(missing)} of the UNet's {len(averages)} tensors have no average here, for "
            f"instance {quote(missing[0], 200)}: take the raw weights"
        )
    return {**state_dict, **{key: state_dict[average] for key, average in averages.items()}}


def _text_key(key: str) -> str:
    prefix = TEXT_PREFIX.removesuffix("text_model.")
    inner = key.removeprefix(prefix)
    if key != inner and inner.startswith(("embeddings.", "encoder.", "final_layer_norm.")):
        return TEXT_PREFIX + inner
    return key


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
        "unet_heads": _UNET_HEADS.get(state_dict[_FIRST_CONVOLUTION].shape[0]),
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


def _distance(size: Size, other: Size) -> float:
    """Between the shapes of two pictures, as a ratio of aspects in log scale."""
    return abs(math.log(size[0] / size[1]) - math.log(other[0] / other[1]))


def _pixels(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
