"""Options of what is trained, and of how its arithmetic is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from train.precision import MixedPrecision, Precision


@dataclass(frozen=True)
class ModelConfig:
    """The checkpoint to start from, or the size of a new one."""

    base: str = ""
    """SD 1.x or ReCo checkpoint to fine-tune: a single file (.safetensors, .ckpt) or a diffusers
    folder. Empty makes a small one from scratch."""
    autoencoder: str = ""
    """Checkpoint whose autoencoder replaces the base's; both must have been made for the same
    latents, or training goes on until the UNet has learned the new ones. Without a base, a new
    model takes it instead of training one."""
    num_bins: int | None = None
    """Position tokens; 0 makes a caption-only model. Left out: the base's own, else 1000."""
    max_length: int | None = None
    """L, the length of the token sequence. Left out: the base's own where it has position tokens or
    none are added, else 616."""
    positional_words: bool = False
    """Tell where regions are in words instead of position tokens, as the paper's baseline does;
    needs num_bins = 0."""
    rows: str = ""
    """Start of the position tokens' rows where the base has none: ordered (if left out), random, or
    a .safetensors file with a tensor `rows` of shape (num_bins, width)."""
    unet_channels: tuple[int, ...] = (64, 128, 128)
    """From scratch: channels per level, multiples of 32."""
    unet_layers: int = 1
    unet_heads: int = 2
    text_width: int = 128
    text_layers: int = 3
    text_heads: int = 4
    embedding_std: float = 0.5
    """From scratch: spread of token and position rows. CLIP's 0.02 drowns in what layers add."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """The small autoencoder of a model from scratch, and its training."""

    base: str = ""
    """Checkpoint whose small autoencoder goes on learning, grown to the sizes below; `model.base`
    then learns its new latents. Empty starts a new one, if there is no `model.base`."""
    width: int = 32
    """Channels everywhere; at most 64."""
    encoder_blocks: tuple[int, ...] = (0, 0, 2, 3)
    """Residual blocks per level from full to 1/8 resolution, at most (1, 3, 3, 3)."""
    decoder_blocks: tuple[int, ...] = (3, 3, 1, 0)
    """Residual blocks per level from 1/8 to full resolution, at most (3, 3, 3, 1)."""
    steps: int = 2000
    encoder_steps: int = 1200
    """Steps after which the encoder is frozen and only the decoder goes on: latents stay the same
    while pictures become sharper."""
    batch_size: int = 16
    crop: int = 64
    """Side in pixels of the crops it learns from."""
    learning_rate: float = 1e-3
    latent_noise: float = 0.1
    """Spread of the noise added to latents before decoding, so that small errors do not show."""
    moment_weight: float = 0.05
    """Weight of the pull towards centred, uncorrelated latents of unit spread."""
    edge_weight: float = 1.0
    """Weight of the L1 error of horizontal and vertical differences (sharp edges)."""


@dataclass(frozen=True)
class LoraConfig:
    """A small adapter instead of the whole model."""

    rank: int = 0
    """Of the UNet's attention; 0 trains the whole model instead."""
    text_rank: int = 0
    """Of the text encoder's attention; 0 trains only its new rows."""
    alpha: float = 1.0
    """Scale of the adapter over its rank."""


@dataclass(frozen=True)
class ComputeConfig:
    """How the arithmetic is done."""

    precision: MixedPrecision = "no"
    """Mixed precision: weights stay fp32, matrix products are done in this."""
    frozen_precision: Precision = "fp32"
    """Of weights that are not trained (autoencoder, and all of the model under LoRA)."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them, in UNet and text encoder."""
    channels_last: bool = True
    """Memory layout of convolutions."""
    attention: Literal["sdpa", "math"] = "sdpa"
    """sdpa: torch's scaled_dot_product_attention; math: plain matrix products."""
    compile: bool = False
    """torch.compile the UNet."""
    tf32: bool = True
    """Allow TF32 on CUDA."""
    threads: int = 0
    """CPU threads; 0 leaves torch's default."""
