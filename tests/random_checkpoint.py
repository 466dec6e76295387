"""ReCo checkpoints of random weights and any size, with the keys of a single SD1 file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

Shapes = Iterator[tuple[str, tuple[int, ...]]]

CLIP_VOCABULARY = 49408
TEXT_PREFIX = "cond_stage_model.transformer.text_model."
TOKEN_EMBEDDING = f"{TEXT_PREFIX}embeddings.token_embedding.weight"
POSITION_EMBEDDING = f"{TEXT_PREFIX}embeddings.position_embedding.weight"
HEADS = {"unet_heads": "8", "text_heads": "1"}
"""Metadata of any of these sizes, which are not Stable Diffusion 1's."""


@dataclass(frozen=True)
class Size:
    """What a checkpoint of Stable Diffusion 1's architecture can vary in; the defaults are tiny."""

    channels: int = 32
    channel_mult: tuple[int, ...] = (1, 2)
    res_blocks: int = 1
    attention_levels: int = 2
    text_width: int = 64
    text_layers: int = 2
    max_length: int = 308
    num_bins: int = 1000
    vae: str = "taesd"
    vae_channels: int = 32


FULL_SIZE = Size(
    channels=320,
    channel_mult=(1, 2, 4, 4),
    res_blocks=2,
    attention_levels=3,
    text_width=768,
    text_layers=12,
    max_length=616,
    vae="kl",
    vae_channels=128,
)


def random_state_dict(
    size: Size, dtype: torch.dtype = torch.float16, seed: int = 0, text_std: float = 0.02
) -> dict[str, torch.Tensor]:
    """Weights that keep numbers finite: matrices of fan-in scale, norms of one, biases of zero."""
    generator = torch.Generator().manual_seed(seed)
    state_dict = {}
    for name, shape in checkpoint_shapes(size):
        if len(shape) > 1:
            is_table = name.endswith("_embedding.weight")
            fan_in = torch.Size(shape[1:]).numel()
            std = text_std if is_table else fan_in**-0.5
            weight = torch.randn(shape, generator=generator) * std
        else:
            weight = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        state_dict[name] = weight.to(dtype)
    if size.vae == "taesd":  # it works on latents that are scaled already
        state_dict["first_stage_model.vae_scale"] = torch.tensor(0.18215)
        state_dict["first_stage_model.vae_shift"] = torch.tensor(0.0)
    return state_dict


def checkpoint_shapes(size: Size) -> Shapes:
    vae = _taesd() if size.vae == "taesd" else _kl(size.vae_channels)
    yield from _prefixed("model.diffusion_model.", _unet(size))
    yield from _prefixed("first_stage_model.", vae)
    yield from _prefixed(TEXT_PREFIX, _text(size))


def _prefixed(prefix: str, shapes: Shapes) -> Shapes:
    for name, shape in shapes:
        yield prefix + name, shape


def _linear(name: str, rows: int, columns: int, bias: bool = True) -> Shapes:
    yield f"{name}.weight", (rows, columns)
    if bias:
        yield f"{name}.bias", (rows,)


def _conv(name: str, out: int, inside: int, kernel: int = 3, bias: bool = True) -> Shapes:
    yield f"{name}.weight", (out, inside, kernel, kernel)
    if bias:
        yield f"{name}.bias", (out,)


def _norm(name: str, width: int) -> Shapes:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _text(size: Size) -> Shapes:
    width = size.text_width
    yield "embeddings.token_embedding.weight", (CLIP_VOCABULARY + size.num_bins, width)
    yield "embeddings.position_embedding.weight", (size.max_length, width)
    for number in range(size.text_layers):
        layer = f"encoder.layers.{number}"
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _linear(f"{layer}.self_attn.{projection}", width, width)
        yield from _norm(f"{layer}.layer_norm1", width)
        yield from _linear(f"{layer}.mlp.fc1", 4 * width, width)
        yield from _linear(f"{layer}.mlp.fc2", width, 4 * width)
        yield from _norm(f"{layer}.layer_norm2", width)
    yield from _norm("final_layer_norm", width)


def _unet(size: Size) -> Shapes:
    channels, time = size.channels, 4 * size.channels
    yield from _linear("time_embed.0", time, channels)
    yield from _linear("time_embed.2", time, time)
    yield from _conv("input_blocks.0.0", channels, 4)
    skips, current, block = [channels], channels, 1
    for level, mult in enumerate(size.channel_mult):
        for _ in range(size.res_blocks):
            yield from _res_block(f"input_blocks.{block}.0", channels * mult, current, time)
            current = channels * mult
            if level < size.attention_levels:
                yield from _transformer(f"input_blocks.{block}.1", current, size.text_width)
            skips.append(current)
            block += 1
        if level < len(size.channel_mult) - 1:
            yield from _conv(f"input_blocks.{block}.0.op", current, current)
            skips.append(current)
            block += 1
    yield from _res_block("middle_block.0", current, current, time)
    yield from _transformer("middle_block.1", current, size.text_width)
    yield from _res_block("middle_block.2", current, current, time)
    block = 0
    for level, mult in reversed(list(enumerate(size.channel_mult))):
        for number in range(size.res_blocks + 1):
            inside = current + skips.pop()
            yield from _res_block(f"output_blocks.{block}.0", channels * mult, inside, time)
            current, part = channels * mult, 1
            if level < size.attention_levels:
                yield from _transformer(f"output_blocks.{block}.1", current, size.text_width)
                part = 2
            if level > 0 and number == size.res_blocks:
                yield from _conv(f"output_blocks.{block}.{part}.conv", current, current)
            block += 1
    yield from _norm("out.0", current)
    yield from _conv("out.2", 4, current)


def _res_block(name: str, out: int, inside: int, time: int) -> Shapes:
    yield from _norm(f"{name}.in_layers.0", inside)
    yield from _conv(f"{name}.in_layers.2", out, inside)
    yield from _linear(f"{name}.emb_layers.1", out, time)
    yield from _norm(f"{name}.out_layers.0", out)
    yield from _conv(f"{name}.out_layers.3", out, out)
    if out != inside:
        yield from _conv(f"{name}.skip_connection", out, inside, kernel=1)


def _transformer(name: str, width: int, context: int) -> Shapes:
    yield from _norm(f"{name}.norm", width)
    yield from _conv(f"{name}.proj_in", width, width, kernel=1)
    block = f"{name}.transformer_blocks.0"
    for attention, source in (("attn1", width), ("attn2", context)):
        yield from _linear(f"{block}.{attention}.to_q", width, width, bias=False)
        yield from _linear(f"{block}.{attention}.to_k", width, source, bias=False)
        yield from _linear(f"{block}.{attention}.to_v", width, source, bias=False)
        yield from _linear(f"{block}.{attention}.to_out.0", width, width)
    yield from _linear(f"{block}.ff.net.0.proj", 8 * width, width)
    yield from _linear(f"{block}.ff.net.2", width, 4 * width)
    for number in (1, 2, 3):
        yield from _norm(f"{block}.norm{number}", width)
    yield from _conv(f"{name}.proj_out", width, width, kernel=1)


def _taesd() -> Shapes:
    """The tiny autoencoder: convolutions c, others without bias s, blocks b, no weights -."""
    yield from _taesd_half("taesd_encoder", "cbsbbbsbbbsbbbc", first=3, last=4)
    yield from _taesd_half("taesd_decoder", "-c-bbb-sbbb-sbbb-sbc", first=4, last=3)


def _taesd_half(name: str, plan: str, first: int, last: int) -> Shapes:
    for number, kind in enumerate(plan):
        is_last = number == len(plan) - 1
        inside = first if plan[:number].strip("-") == "" else 64
        if kind in "cs":
            out = last if is_last else 64
            yield from _conv(f"{name}.{number}", out, inside, bias=kind == "c")
        elif kind == "b":
            for part in (0, 2, 4):
                yield from _conv(f"{name}.{number}.conv.{part}", 64, 64)


def _kl(channels: int) -> Shapes:
    mult = (1, 2, 4, 4)
    widths = [channels * m for m in mult]
    yield from _conv("encoder.conv_in", channels, 3)
    current = channels
    for level, width in enumerate(widths):
        for number in range(2):
            yield from _kl_block(f"encoder.down.{level}.block.{number}", width, current)
            current = width
        if level < len(widths) - 1:
            yield from _conv(f"encoder.down.{level}.downsample.conv", width, width)
    yield from _kl_middle("encoder.mid", current)
    yield from _norm("encoder.norm_out", current)
    yield from _conv("encoder.conv_out", 8, current)
    yield from _conv("quant_conv", 8, 8, kernel=1)
    yield from _conv("post_quant_conv", 4, 4, kernel=1)
    yield from _conv("decoder.conv_in", current, 4)
    yield from _kl_middle("decoder.mid", current)
    for level, width in reversed(list(enumerate(widths))):
        for number in range(3):
            yield from _kl_block(f"decoder.up.{level}.block.{number}", width, current)
            current = width
        if level > 0:
            yield from _conv(f"decoder.up.{level}.upsample.conv", width, width)
    yield from _norm("decoder.norm_out", current)
    yield from _conv("decoder.conv_out", 3, current)


def _kl_block(name: str, out: int, inside: int) -> Shapes:
    yield from _norm(f"{name}.norm1", inside)
    yield from _conv(f"{name}.conv1", out, inside)
    yield from _norm(f"{name}.norm2", out)
    yield from _conv(f"{name}.conv2", out, out)
    if out != inside:
        yield from _conv(f"{name}.nin_shortcut", out, inside, kernel=1)


def _kl_middle(name: str, width: int) -> Shapes:
    yield from _kl_block(f"{name}.block_1", width, width)
    yield from _norm(f"{name}.attn_1.norm", width)
    for projection in ("q", "k", "v", "proj_out"):
        yield from _conv(f"{name}.attn_1.{projection}", width, width, kernel=1)
    yield from _kl_block(f"{name}.block_2", width, width)
