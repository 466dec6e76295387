"""Pictures to latents and back, for the two autoencoders a file can carry."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor

from reco_core.autoencoder import LATENT_SCALE_KEY, LATENT_SHIFT_KEY, has_tiny_autoencoder
from reco_core.diffusers_keys import kl_keys, pick, pick_kl, taesd_keys
from reco_core.family import Family
from reco_core.keys import VAE_PREFIX
from train.model.architecture import kl_config
from train.model.autoencoder import build_autoencoder, narrow_autoencoder, widen_autoencoder


class TinyCodec:
    """AutoencoderTiny: latents are the UNet's own, no sampling.

    family: of the UNet, whose scale ComfyUI puts between its latents and an autoencoder's. tensors:
    what it was read from, under single-file keys.
    """

    def __init__(
        self,
        autoencoder: AutoencoderTiny,
        family: Family,
        tensors: Mapping[str, Tensor] | None = None,
    ):
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.family = family
        self.tensors = tensors

    def posterior(self, images: Tensor) -> tuple[Tensor, None]:
        """images (B, 3, H, W) in [-1, 1] -> latents (B, 4, H/8, W/8), and no spread."""
        return self.autoencoder.encoder(images.to(self.autoencoder.dtype)).float(), None

    def decode(self, latents: Tensor) -> Tensor:
        """latents (B, 4, h, w) -> images (B, 3, 8h, 8w) in [-1, 1]."""
        return self.autoencoder.decoder(latents.to(self.autoencoder.dtype)).float().clamp(-1, 1)

    def single_file(self) -> dict[str, Tensor]:
        """TAESD tensors at TAESD's full size; those it was read from, if it was."""
        if self.tensors is not None:
            return dict(self.tensors)
        stock = widen_autoencoder(self.autoencoder)
        values = stock.state_dict()
        tensors = {ldm: values[key] for key, ldm in taesd_keys(values).items()}
        scale = torch.tensor(self.family.latent_scale)
        return tensors | {LATENT_SCALE_KEY: scale, LATENT_SHIFT_KEY: torch.tensor(0.0)}


class KLCodec:
    """SD's AutoencoderKL: latents are drawn from its posterior (paper's recipe) and scaled."""

    def __init__(self, state: Mapping[str, Tensor], family: Family):
        self.scale = family.latent_scale
        self.tensors = {key: value for key, value in state.items() if key.startswith(VAE_PREFIX)}
        config = kl_config(self.tensors, family.side)
        self.autoencoder = AutoencoderKL(**config).eval().requires_grad_(False)
        keys = kl_keys(self.autoencoder.state_dict())
        self.autoencoder.load_state_dict(pick_kl(self.tensors, keys))

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """images (B, 3, H, W) in [-1, 1] -> mean and standard deviation (B, 4, H/8, W/8)."""
        drawn = self.autoencoder.encode(images.to(self.autoencoder.dtype)).latent_dist
        return drawn.mean.float() * self.scale, drawn.std.float() * self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """latents (B, 4, h, w) -> images (B, 3, 8h, 8w) in [-1, 1]."""
        scaled = latents.to(self.autoencoder.dtype) / self.scale
        return self.autoencoder.decode(scaled).sample.float().clamp(-1, 1)

    def single_file(self) -> dict[str, Tensor]:
        """The tensors as they were read: the autoencoder is never trained."""
        return self.tensors


LatentCodec = TinyCodec | KLCodec


def load_codec(state: Mapping[str, Tensor], family: Family) -> LatentCodec:
    """The autoencoder inside a single-file state dict, TAESD or AutoencoderKL of any width, for a
    UNet of a family."""
    if not has_tiny_autoencoder(state):
        return KLCodec(state, family)
    autoencoder = build_autoencoder()
    autoencoder.load_state_dict(pick(state, taesd_keys(autoencoder.state_dict())))
    tensors = {key: value for key, value in state.items() if key.startswith(VAE_PREFIX)}
    return TinyCodec(narrow_autoencoder(autoencoder.float()), family, tensors)
