"""What the autoencoder of a single file is, read off its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
        ValueError: it is incomplete.
    """
    if _FIRST not in state_dict:
        return None
    if _LATENT not in state_dict:
        raise ValueError(
            f"the autoencoder is incomplete: it lacks {_LATENT!r}: fetch or convert the file again"
        )
    width, picture_channels = state_dict[_FIRST].shape[:2]
    convolutions = _numbered(state_dict, "encoder.down.{}.block.0.conv1.weight")
    return KLSize(
        width=width,
        channels=tuple(state_dict[key].shape[0] for key in convolutions),
        blocks=len(_numbered(state_dict, "encoder.down.0.block.{}.conv1.weight")),
        latent_channels=state_dict[_LATENT].shape[1],
        picture_channels=picture_channels,
    )


def _numbered(state_dict: StateDict, name: str) -> list[str]:
    """Keys of that form that are there, counted up from 0 without a gap."""
    keys: list[str] = []
    while (key := VAE_PREFIX + name.format(len(keys))) in state_dict:
        keys.append(key)
    return keys
