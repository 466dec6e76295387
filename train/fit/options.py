"""Options of a run: everything `python -m train fit` needs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from train.data.options import DataConfig, SetConfig
from train.model.options import AutoencoderConfig, ComputeConfig, LoraConfig, ModelConfig
from train.precision import Precision


@dataclass(frozen=True)
class OptimizerConfig:
    """What is learned, and how fast."""

    kind: Literal["adamw", "adamw8bit", "adafactor"] = "adamw"
    """adamw8bit needs CUDA and bitsandbytes."""
    steps: int = 8000
    batch_size: int = 32
    """Samples of one step over all devices together."""
    micro_batch: int = 0
    """Samples that go through the model at once on a device; 0: a device's whole share. Gradients
    are accumulated in between. Halved when memory runs out."""
    learning_rate: float = 1e-4
    """Of the UNet."""
    text_learning_rate: float = 0.0
    """Of the text encoder; 0: the UNet's."""
    rows_learning_rate: float = 0.0
    """Of the new rows of its two tables; 0: the text encoder's."""
    train_unet: bool = True
    train_text_encoder: bool = True
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """After the warm-up."""
    warmup_steps: int = 0
    final_learning_rate: float = 0.0
    """Where linear and cosine end, as a share of the rate."""
    weight_decay: float = 0.01
    """Rows of the vocabulary decay only in steps that use them."""
    beta1: float = 0.9
    beta2: float = 0.999
    max_grad_norm: float = 1.0
    """0 clips nothing."""
    ema_decay: float = 0.9999
    """0 keeps no averages."""
    ema_text: bool = False
    """Average the text encoder as well as the UNet (the paper: UNet only)."""


@dataclass(frozen=True)
class LossConfig:
    """The error that is made smaller; the defaults are the paper's."""

    snr_weight_limit: float = 1.0
    """Loss weight 1 + 1/SNR(t), at most this; 1 is the plain loss."""
    min_snr_gamma: float = 0.0
    """Loss weight min(SNR, gamma) / SNR (Hang et al., 2023); 0: off."""
    high_noise_share: float = 0.0
    """Share of samples whose timestep is drawn from 600..999 instead of from all."""
    noise_offset: float = 0.0
    """Spread of a constant added to the noise of each channel."""
    region_weight: float = 0.0
    """Of the mean error inside each region's box: small things count as much as large ones."""
    grounding_weight: float = 0.0
    """Of the loss that draws an attention head to each region's box."""
    contrastive_weight: float = 0.0
    """Of InfoNCE between predicted and true latents of a micro-batch. Neither the paper nor its
    code has it; summaries in circulation name it."""
    contrastive_temperature: float = 0.07


@dataclass(frozen=True)
class SampleConfig:
    """Sample grids, drawn with the averaged weights."""

    every: int = 500
    """Steps between them; 0: none."""
    layouts: int = 16
    steps: int = 20
    guidance: float = 3.0


@dataclass(frozen=True)
class ValidationConfig:
    """Loss on samples that are not trained on, at fixed timesteps and with fixed noise."""

    every: int = 500
    """Steps between measurements; 0: none."""
    set: SetConfig | None = None
    """None: unseen ShapeSkills when those are trained on, else the last samples of each set
    are kept out of training."""
    samples: int = 64
    timesteps: tuple[int, ...] = (100, 300, 500, 700, 950)


@dataclass(frozen=True)
class LogConfig:
    """Where figures go: TensorBoard and log.jsonl in the run's folder, and on request wandb."""

    every: int = 20
    wandb: str = ""
    """Project name at wandb; empty: none."""


@dataclass(frozen=True)
class FitConfig:
    """Everything `python -m train fit` needs."""

    output: str = "runs/fit/checkpoint.safetensors"
    """The file to write: a single-file checkpoint, or an adapter with LoRA. A name without suffix
    is a diffusers folder."""
    folder: str = "runs/fit"
    """Caches, resumable states, samples and logs."""
    seed: int = 0
    image_size: int = 512
    """Side of the square pictures in pixels (with buckets: the root of their area)."""
    save_every: int = 500
    """Steps between resumable states."""
    keep: int = 2
    """Newest states kept."""
    export_every: int = 0
    """Steps between files like `output`, written to the run's folder; 0: only at the end."""
    output_precision: Precision = "fp16"
    licence: str = ""
    """Written into the checkpoint's metadata."""
    data: DataConfig = field(default_factory=DataConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    sample: SampleConfig = field(default_factory=SampleConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    log: LogConfig = field(default_factory=LogConfig)


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain values, for a log or a checkpoint."""
    return dataclasses.asdict(config)
