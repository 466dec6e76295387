"""The weights that a checkpoint must hold, with their shapes: a UNet of Stable Diffusion 1's
kind and the text encoders of a family.

Sizes are read off the weights themselves: channels of each block, blocks of each level, which of
them attend to the text, width and depth of text encoders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .checks import quote
from .family import Family, TextEncoder
from .keys import UNET_PREFIX

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]

Shape = tuple[int, ...]
Shapes = Iterator[tuple[str, Shape]]

_TIME_FACTOR = 4  # width of the timestep's embedding over the first channels
_ADVICE = "fetch or convert it again"


def check_weights(state_dict: StateDict, family: Family) -> None:
    """Raise a ValueError that names the first weight of UNet or text encoder that is missing, not a
    matrix of numbers, or of another shape than the others ask for.

    Weights beyond those of the architecture are not looked at.
    """
    parts = [("text encoder", _text(state_dict, encoder)) for encoder in family.encoders]
    context = sum(shape_of(state_dict, e.token_embedding, 2)[1] for e in family.encoders)
    for part, shapes in (*parts, ("UNet", _unet(state_dict, context))):
        check_shapes(state_dict, part, shapes)


def check_shapes(state_dict: StateDict, part: str, shapes: Shapes) -> None:
    """Raise a ValueError that names the first weight of a part that is missing, not a tensor of
    numbers, or of another shape than it must have."""
    missing = []
    for key, wanted in shapes:
        if key not in state_dict:
            missing.append(key)
        elif shape_of(state_dict, key, len(wanted)) != wanted:
            raise ValueError(
                f"the weight {quote(key, 200)} of the {part} is of shape "
                f"{tuple(state_dict[key].shape)}, and the others ask for {wanted}: {_ADVICE}"
            )
    if missing:
        raise _incomplete(part, missing)


def shape_of(state_dict: StateDict, key: str, rank: int) -> Shape:
    """The shape of a weight. Raises ValueError unless it is a floating-point tensor of that rank
    with something in it, and when it is missing."""
    import torch

    tensor = state_dict.get(key)
    if tensor is None:
        raise _incomplete("UNet" if key.startswith(UNET_PREFIX) else "text encoder", [key])
    if not isinstance(tensor, torch.Tensor):
        raise ValueError(
            f"{quote(key, 200)} is not a tensor but {type(tensor).__name__}: {_ADVICE}"
        )
    if not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ValueError(
            f"the weight {quote(key, 200)} is of type {kind}, not floating-point: {_ADVICE}"
        )
    if tensor.ndim != rank or not all(tensor.shape):
        raise ValueError(
            f"the weight {quote(key, 200)} is of shape {tuple(tensor.shape)}, but it must have "
            f"{rank} dimensions, each at least 1: {_ADVICE}"
        )
    return tuple(tensor.shape)


def attention_widths(state_dict: StateDict) -> list[int]:
    """Of the UNet's attention, which its heads divide."""
    ends = (".attn1.to_q.weight", ".attn2.to_q.weight")
    keys = [key for key in state_dict if key.startswith(UNET_PREFIX) and key.endswith(ends)]
    return [shape_of(state_dict, key, 2)[0] for key in keys]


def text_layers(state_dict: StateDict, encoder: TextEncoder) -> int:
    """Layers of a text encoder, counted from 0 up to the first that is missing."""
    layers = 0
    while _first_mlp(encoder, layers) in state_dict:
        layers += 1
    return layers


def text_intermediate(state_dict: StateDict, encoder: TextEncoder) -> int:
    """Width within the layers of a text encoder, between their two matrices."""
    return shape_of(state_dict, _first_mlp(encoder, 0), 2)[0]


def _first_mlp(encoder: TextEncoder, layer: int) -> str:
    return f"{encoder.weights}encoder.layers.{layer}.mlp.fc1.weight"


def _incomplete(part: str, missing: list[str]) -> ValueError:
    return ValueError(
        f"the checkpoint is incomplete: its {part} lacks {len(missing)} of its weights, for "
        f"instance {quote(missing[0], 200)}: {_ADVICE}"
    )


def _text(state_dict: StateDict, encoder: TextEncoder) -> Shapes:
    rows, width = shape_of(state_dict, encoder.token_embedding, 2)
    yield encoder.token_embedding, (rows, width)
    length = shape_of(state_dict, encoder.position_embedding, 2)[0]
    yield encoder.position_embedding, (length, width)
    inner = text_intermediate(state_dict, encoder)
    for number in range(text_layers(state_dict, encoder)):
        layer = f"{encoder.weights}encoder.layers.{number}"
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _linear(f"{layer}.self_attn.{projection}", width, width)
        yield from _linear(f"{layer}.mlp.fc1", inner, width)
        yield from _linear(f"{layer}.mlp.fc2", width, inner)
        yield from norm(f"{layer}.layer_norm1", width)
        yield from norm(f"{layer}.layer_norm2", width)
    yield from norm(f"{encoder.weights}final_layer_norm", width)


@dataclass(frozen=True)
class _Skip:
    """What an input block hands to its output block."""

    channels: int
    starts_level: bool  # all but the first: its output block enlarges
    attends: bool


def _unet(state_dict: StateDict, context: int) -> Shapes:
    """context: width of the text states that it attends to."""
    names = {key.removeprefix(UNET_PREFIX) for key in state_dict if key.startswith(UNET_PREFIX)}
    channels, inputs, *_ = shape_of(state_dict, f"{UNET_PREFIX}input_blocks.0.0.weight", 4)
    time = _TIME_FACTOR * channels

    def attends(block: str) -> bool:
        return any(f"{block}.1.{part}.weight" in names for part in ("norm", "proj_in", "proj_out"))

    def attention(name: str, width: int) -> Shapes:
        key = f"{UNET_PREFIX}{name}.proj_in.weight"
        linear = key in state_dict and state_dict[key].ndim == 2
        return _transformer(UNET_PREFIX + name, width, context, linear)

    def out_channels(block: str) -> int:
        return shape_of(state_dict, f"{UNET_PREFIX}{block}.0.in_layers.2.weight", 4)[0]

    yield from _linear(f"{UNET_PREFIX}time_embed.0", time, channels)
    yield from _linear(f"{UNET_PREFIX}time_embed.2", time, time)
    yield from conv(f"{UNET_PREFIX}input_blocks.0.0", channels, inputs)
    skips, current = [_Skip(channels, False, attends("input_blocks.1"))], channels
    blocks = {name.split(".")[1] for name in names if name.startswith("input_blocks.")}
    for number in range(1, len(blocks)):
        block = f"input_blocks.{number}"
        if f"{block}.0.op.weight" in names:
            yield from conv(f"{UNET_PREFIX}{block}.0.op", current, current)
            skips.append(_Skip(current, True, attends(f"input_blocks.{number + 1}")))
            continue
        inside, current = current, out_channels(block)
        yield from _res_block(f"{UNET_PREFIX}{block}.0", current, inside, time)
        if attends(block):
            yield from attention(f"{block}.1", current)
        skips.append(_Skip(current, False, attends(block)))
    yield from _res_block(f"{UNET_PREFIX}middle_block.0", current, current, time)
    yield from attention("middle_block.1", current)
    yield from _res_block(f"{UNET_PREFIX}middle_block.2", current, current, time)
    for number, skip in enumerate(reversed(skips)):
        block = f"output_blocks.{number}"
        inside, current = current + skip.channels, out_channels(block)
        yield from _res_block(f"{UNET_PREFIX}{block}.0", current, inside, time)
        if skip.attends:
            yield from attention(f"{block}.1", current)
        if skip.starts_level:
            part = 2 if skip.attends else 1
            yield from conv(f"{UNET_PREFIX}{block}.{part}.conv", current, current)
    yield from norm(f"{UNET_PREFIX}out.0", current)
    outputs = shape_of(state_dict, f"{UNET_PREFIX}out.2.weight", 4)[0]
    yield from conv(f"{UNET_PREFIX}out.2", outputs, current)


def _res_block(name: str, out: int, inside: int, time: int) -> Shapes:
    yield from norm(f"{name}.in_layers.0", inside)
    yield from conv(f"{name}.in_layers.2", out, inside)
    yield from _linear(f"{name}.emb_layers.1", out, time)
    yield from norm(f"{name}.out_layers.0", out)
    yield from conv(f"{name}.out_layers.3", out, out)
    if out != inside:
        yield from conv(f"{name}.skip_connection", out, inside, kernel=1)


def _transformer(name: str, width: int, context: int, linear: bool) -> Shapes:
    """linear: projections are matrices instead of 1x1 convolutions, as in later models."""
    yield from norm(f"{name}.norm", width)
    for projection in (f"{name}.proj_in", f"{name}.proj_out"):
        if linear:
            yield from _linear(projection, width, width)
        else:
            yield from conv(projection, width, width, kernel=1)
    block = f"{name}.transformer_blocks.0"
    for attention, source in (("attn1", width), ("attn2", context)):
        yield f"{block}.{attention}.to_q.weight", (width, width)
        yield f"{block}.{attention}.to_k.weight", (width, source)
        yield f"{block}.{attention}.to_v.weight", (width, source)
        yield from _linear(f"{block}.{attention}.to_out.0", width, width)
    yield from _linear(f"{block}.ff.net.0.proj", 8 * width, width)
    yield from _linear(f"{block}.ff.net.2", width, 4 * width)
    for number in (1, 2, 3):
        yield from norm(f"{block}.norm{number}", width)


def _linear(name: str, rows: int, columns: int) -> Shapes:
    yield f"{name}.weight", (rows, columns)
    yield f"{name}.bias", (rows,)


def conv(name: str, out: int, inside: int, kernel: int = 3) -> Shapes:
    """Weight and bias of a convolution."""
    yield f"{name}.weight", (out, inside, kernel, kernel)
    yield f"{name}.bias", (out,)


def norm(name: str, width: int) -> Shapes:
    """Weight and bias of a normalisation."""
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)
