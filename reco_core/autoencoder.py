"""What the autoencoder of a single file is, read off its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .architecture import Shapes, check_shapes, conv, norm, shape_of
from .keys import VAE_PREFIX

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]

TAESD_ENCODER, TAESD_DECODER = f"{VAE_PREFIX}taesd_encoder.", f"{VAE_PREFIX}taesd_decoder."
LATENT_SCALE_KEY, LATENT_SHIFT_KEY = f"{VAE_PREFIX}vae_scale", f"{VAE_PREFIX}vae_shift"
"""Between a TAESD's latents and those that ComfyUI counts with."""
DOWNSAMPLING = 8
"""Pixels along each side of a latent."""
LATENT_CHANNELS = 4
_TAESD_WIDTH = 64

_FIRST, _LATENT = f"{VAE_PREFIX}encoder.conv_in.weight", f"{VAE_PREFIX}decoder.conv_in.weight"


@dataclass(frozen=True)
class KLSize:
    """Sizes of a KL autoencoder.

    width: of the first convolution. channels: of each level. blocks: of a level of the encoder; the
    decoder's have one more.
    """

    width: int
    channels: tuple[int, ...]
    blocks: int
    latent_channels: int
    picture_channels: int


def has_tiny_autoencoder(keys: Mapping[str, object]) -> bool:
    """Whether the autoencoder is a TAESD, which has one size."""
    return any(key.startswith(TAESD_ENCODER) for key in keys)


def describe_autoencoder(state_dict: StateDict) -> KLSize | None:
    """The sizes of a file's KL autoencoder; None where it has a TAESD, or none at all.

    Raises:
        ValueError: it is incomplete, or its convolutions are none.
    """
    if _FIRST not in state_dict:
        return None
    if _LATENT not in state_dict:
        raise ValueError(
            f"the autoencoder is incomplete: it lacks {_LATENT!r}: fetch or convert the file again"
        )
    width, picture_channels = shape_of(state_dict, _FIRST, 4)[:2]
    convolutions = _numbered(state_dict, "encoder.down.{}.block.0.conv1.weight")
    return KLSize(
        width=width,
        channels=tuple(shape_of(state_dict, key, 4)[0] for key in convolutions),
        blocks=len(_numbered(state_dict, "encoder.down.0.block.{}.conv1.weight")),
        latent_channels=shape_of(state_dict, _LATENT, 4)[1],
        picture_channels=picture_channels,
    )


def check_autoencoder(state_dict: StateDict) -> None:
    """Raise a ValueError that names the first weight of an autoencoder, KL of any size or TAESD,
    that is missing or of another shape than the others ask for; also where there is none."""
    size = describe_autoencoder(state_dict)
    if size is not None and size.channels and size.blocks:
        shapes = _kl(size)
    elif has_tiny_autoencoder(state_dict):
        shapes = _taesd()
    else:
        raise ValueError(
            "there is no autoencoder (AutoencoderKL or TAESD) in this checkpoint: fetch it again"
        )
    check_shapes(state_dict, "autoencoder", ((VAE_PREFIX + key, shape) for key, shape in shapes))


def _kl(size: KLSize) -> Shapes:
    latents, pixels, inner = size.latent_channels, size.picture_channels, size.channels[-1]
    yield from conv("encoder.conv_in", size.width, pixels)
    yield from conv("decoder.conv_in", inner, latents)
    for half in ("encoder", "decoder"):
        yield from _kl_middle(f"{half}.mid", inner)
    current = size.width
    for level, width in enumerate(size.channels):
        for number in range(size.blocks):
            yield from _kl_block(f"encoder.down.{level}.block.{number}", width, current)
            current = width
        if level < len(size.channels) - 1:
            yield from conv(f"encoder.down.{level}.downsample.conv", width, width)
    for level, width in reversed(list(enumerate(size.channels))):
        for number in range(size.blocks + 1):
            yield from _kl_block(f"decoder.up.{level}.block.{number}", width, current)
            current = width
        if level > 0:
            yield from conv(f"decoder.up.{level}.upsample.conv", width, width)
    for half, width, out in (("encoder", inner, 2 * latents), ("decoder", current, pixels)):
        yield from norm(f"{half}.norm_out", width)
        yield from conv(f"{half}.conv_out", out, width)
    yield from conv("quant_conv", 2 * latents, 2 * latents, kernel=1)
    yield from conv("post_quant_conv", latents, latents, kernel=1)


def _kl_block(name: str, out: int, inside: int) -> Shapes:
    yield from norm(f"{name}.norm1", inside)
    yield from conv(f"{name}.conv1", out, inside)
    yield from norm(f"{name}.norm2", out)
    yield from conv(f"{name}.conv2", out, out)
    if out != inside:
        yield from conv(f"{name}.nin_shortcut", out, inside, kernel=1)


def _kl_middle(name: str, width: int) -> Shapes:
    for number in (1, 2):
        yield from _kl_block(f"{name}.block_{number}", width, width)
    yield from norm(f"{name}.attn_1.norm", width)
    for projection in ("q", "k", "v", "proj_out"):
        yield from conv(f"{name}.attn_1.{projection}", width, width, kernel=1)


def _taesd() -> Shapes:
    """Of layers that are convolutions (c), convolutions without bias (s), blocks of three (b), or
    without weights (-)."""
    width, pixels = _TAESD_WIDTH, 3
    for half, layers, first, last in (
        (TAESD_ENCODER, "cbsbbbsbbbsbbbc", pixels, LATENT_CHANNELS),
        (TAESD_DECODER, "-c-bbb-sbbb-sbbb-sbc", LATENT_CHANNELS, pixels),
    ):
        inside = first
        for number, kind in enumerate(layers):
            name = f"{half.removeprefix(VAE_PREFIX)}{number}"
            if kind == "b":
                for part in (0, 2, 4):
                    yield from conv(f"{name}.conv.{part}", width, width)
            elif kind in "cs":
                out = last if number == len(layers) - 1 else width
                weight, bias = conv(name, out, inside)
                yield from (weight,) if kind == "s" else (weight, bias)
                inside = width


def _numbered(state_dict: StateDict, name: str) -> list[str]:
    """Keys of that form that are there, counted up from 0 without a gap."""
    keys: list[str] = []
    while (key := VAE_PREFIX + name.format(len(keys))) in state_dict:
        keys.append(key)
    return keys
