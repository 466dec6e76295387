"""Options of what is trained, and of how its arithmetic is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from reco_core.position_tokens import PositionVocabulary
from train.options import (
    Count,
    Free,
    Place,
    Positive,
    Processes,
    Range,
    Rate,
    Side,
    Some,
    Weight,
    bare,
    hints_of,
    options,
    refuse_unused,
)
from train.precision import MixedPrecision, Precision

Bins = Annotated[int, Range(0, 100_000)]
Length = Annotated[int, Range(3, 100_000)]
"""Of a token sequence, with its first and last token."""
Channels = Annotated[int, Range(32, 8192, step=32)]
"""Stable Diffusion's normalisation has 32 groups."""
Width = Annotated[int, Range(8, 8192, step=8)]
Layers = Annotated[int, Range(1, 64)]
Heads = Annotated[int, Range(1, 256)]
Rank = Annotated[int, Range(0, 4096)]
Spread = Annotated[float, Range(0, 100)]
"""Standard deviation."""
PositiveSpread = Annotated[float, Range(0, 100, above=True)]
UpTo1 = Annotated[int, Range(0, 1)]
UpTo3 = Annotated[int, Range(0, 3)]


def _of_a_new_model(value: Any, run: Any) -> Any:
    return None if run.model.base else value


OF_NEW = Free(but=_of_a_new_model)
"""Marks an option of new models, which a base has no use for."""


@options
class ModelConfig:
    """The checkpoint to start from, or the size of a new one."""

    base: Place = ""
    """SD 1.x or ReCo checkpoint to fine-tune: a single file (.safetensors, .ckpt) or a diffusers
    folder. Empty makes a small one from scratch."""
    autoencoder: Place = ""
    """Checkpoint whose autoencoder replaces the base's; both must have been made for the same
    latents, or training goes on until the UNet has learned the new ones. Without a base, a new
    model takes it instead of training one."""
    num_bins: Bins | None = None
    """Position tokens; 0 makes a caption-only model. Left out: the base's own, else 1000."""
    max_length: Length | None = None
    """L, the length of the token sequence; a plain base's grows to it, with or without position
    tokens. Left out: the base's own where it has position tokens or learns captions alone, else
    616, for positional words too."""
    positional_words: bool = False
    """Tell where regions are in words instead of position tokens, as the paper's baseline does;
    needs num_bins = 0."""
    rows: Place = ""
    """Start of the position tokens' rows where the base has none: ordered (if left out), random, or
    a .safetensors file with a tensor `rows` of shape (num_bins, width)."""
    unet_channels: Annotated[Some[Channels], OF_NEW] = (64, 128, 128)
    """From scratch: channels per level, multiples of 32 and of the heads."""
    unet_layers: Annotated[Layers, OF_NEW] = 1
    """From scratch: residual blocks per level."""
    unet_heads: Annotated[Heads, OF_NEW] = 2
    """From scratch: attention heads at every level."""
    text_width: Annotated[Width, OF_NEW] = 128
    """From scratch: of the text encoder's states, a multiple of its heads."""
    text_layers: Annotated[Layers, OF_NEW] = 3
    """From scratch: of the text encoder."""
    text_heads: Annotated[Heads, OF_NEW] = 4
    """From scratch: of the text encoder's attention."""
    embedding_std: Annotated[PositiveSpread, OF_NEW] = 0.5
    """From scratch: spread of token and position rows. CLIP's 0.02 drowns in what layers add."""

    def __post_init__(self) -> None:
        if self.num_bins:
            PositionVocabulary(self.num_bins)
        _check_heads("unet_heads", self.unet_heads, "unet_channels", self.unet_channels)
        _check_heads("text_heads", self.text_heads, "text_width", (self.text_width,))


FROM_SCRATCH = tuple(
    name for name, hint in hints_of(ModelConfig).items() if OF_NEW in bare(hint)[1]
)
"""Options of new models alone."""


@options
class AutoencoderConfig:
    """The small autoencoder of a model from scratch, and its training."""

    base: Place = ""
    """Checkpoint whose small autoencoder goes on learning, grown to the sizes below; `model.base`
    then learns its new latents. Empty starts a new one, if there is no `model.base`."""
    width: Annotated[int, Range(3, 64)] = 32
    """Channels everywhere; the first three start with the colours."""
    encoder_blocks: tuple[UpTo1, UpTo3, UpTo3, UpTo3] = (0, 0, 2, 3)
    """Residual blocks per level from full to 1/8 resolution, at most (1, 3, 3, 3)."""
    decoder_blocks: tuple[UpTo3, UpTo3, UpTo3, UpTo1] = (3, 3, 1, 0)
    """Residual blocks per level from 1/8 to full resolution, at most (3, 3, 3, 1)."""
    steps: Positive = 2000
    """Of its whole training."""
    encoder_steps: Count = 1200
    """Steps after which the encoder is frozen and only the decoder goes on: latents stay the same
    while pictures become sharper."""
    batch_size: Positive = 16
    """Crops of a step."""
    crop: Side = 64
    """Side in pixels of the crops it learns from."""
    learning_rate: Rate = 1e-3
    """The highest of its schedule."""
    latent_noise: Spread = 0.1
    """Spread of the noise added to latents before decoding, so that small errors do not show."""
    moment_weight: Weight = 0.05
    """Weight of the pull towards centred, uncorrelated latents of unit spread."""
    edge_weight: Weight = 1.0
    """Weight of the L1 error of horizontal and vertical differences (sharp edges)."""


@options
class LoraConfig:
    """A small adapter instead of the whole model."""

    rank: Rank = 0
    """Of the UNet's attention; 0 trains the whole model instead."""
    text_rank: Rank = 0
    """Of the text encoder's attention; 0 trains only its new rows."""
    alpha: Annotated[float, Range(0, 1e6, above=True)] = 1.0
    """Scale of the adapter over its rank."""

    def __post_init__(self) -> None:
        if not (self.rank or self.text_rank):
            refuse_unused(self, ["alpha"], "with rank = 0 and text_rank = 0")


@options
class ComputeConfig:
    """How the arithmetic is done."""

    precision: MixedPrecision = "no"
    """Mixed precision: weights stay fp32, matrix products are done in this."""
    frozen_precision: Precision = "fp32"
    """Of weights that are not trained (autoencoder, and all of the model under LoRA)."""
    engine: Literal["ddp", "fsdp"] = "ddp"
    """What several processes train with: ddp keeps the whole model on each; fsdp spreads weights,
    gradients, moments and averages over them."""
    gradient_precision: Literal["fp32", "bf16"] = "fp32"
    """In which processes send each other gradients; bf16 sends half as much, and rounds it."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them, in UNet and text encoder."""
    channels_last: bool = True
    """Memory layout of convolutions; on a CPU in fp32 of those that do not learn."""
    attention: Literal["sdpa", "math"] = "sdpa"
    """sdpa: torch's scaled_dot_product_attention; math: plain matrix products."""
    compile: bool = False
    """torch.compile the UNet."""
    tf32: bool = True
    """Allow TF32 on CUDA, in matrix products and convolutions."""
    threads: Annotated[Processes, Free()] = 0
    """CPU threads; 0 leaves torch's default."""


def _check_heads(name: str, heads: int, wide: str, widths: Sequence[int]) -> None:
    if any(width % heads for width in widths):
        told = ", ".join(map(str, widths))
        raise ValueError(f"{name} = {heads} does not divide {wide} = {told}: give a divisor")
