"""Options of a run: everything `python -m train fit` needs."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import field
from typing import Annotated, Any, Literal

from train.data.options import DataConfig
from train.data.sets import CONFIGS, AnySet
from train.model.options import (
    FROM_SCRATCH,
    AutoencoderConfig,
    ComputeConfig,
    LoraConfig,
    ModelConfig,
    PositiveSpread,
    Spread,
)
from train.options import (
    Count,
    Free,
    Guidance,
    Place,
    Positive,
    Range,
    Rate,
    SamplingSteps,
    Seed,
    Share,
    ShareBelowOne,
    Side,
    Some,
    Weight,
    hints_of,
    options,
    own_options,
    owners,
    refuse_unused,
)
from train.precision import Precision

Timestep = Annotated[int, Range(0, 999)]
"""Of training's noise schedule."""


def _as_chosen(value: Any, run: Any) -> int:
    """A micro-batch, or the run's where it was left open."""
    return value or run.optimizer.micro_batch


@options
class OptimizerConfig:
    """What is learned, and how fast."""

    kind: Literal["adamw", "adamw8bit", "adafactor"] = "adamw"
    """adamw8bit needs CUDA and bitsandbytes. Rates of adafactor are shares of the size of the
    weights they change (torch; usual is 1e-2): AdamW's would hardly change them."""
    steps: Annotated[Positive, Free()] = 8000
    """Of the whole training; more of them continue a finished one."""
    batch_size: Positive = 32
    """Samples of one step over all devices together."""
    micro_batch: Annotated[Count, Free(but=_as_chosen)] = 0
    """Samples that go through the model at once on a device; 0: a device's whole share. Gradients
    are accumulated in between. Halved when memory runs out. With pictures of several sizes samples
    come in an order that depends on it."""
    learning_rate: Rate = 1e-4
    """Of the UNet."""
    text_learning_rate: Share = 0.0
    """Of the text encoder; 0: the UNet's."""
    rows_learning_rate: Share = 0.0
    """Of the new rows of its two tables; 0: the text encoder's. All rates follow the schedule: at
    a high rate that never falls, rows lose the order they start in."""
    train_unet: bool = True
    """false leaves the UNet as it is."""
    train_text_encoder: bool = True
    """false leaves the text encoder as it is."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """After the warm-up."""
    warmup_steps: Count = 0
    """Steps in which the rates rise from nothing."""
    final_learning_rate: Share = 0.0
    """Where linear and cosine end, as a share of the rate."""
    weight_decay: Share = 0.01
    """Rows of the vocabulary decay only in steps that use them."""
    beta1: ShareBelowOne = 0.9
    """Decay of the mean of gradients."""
    beta2: ShareBelowOne = 0.999
    """Decay of the mean of their squares."""
    max_grad_norm: Weight = 1.0
    """0 clips nothing."""
    ema_decay: ShareBelowOne = 0.9999
    """0 keeps no averages."""
    ema_text: bool = True
    """Average the text encoder as well as the UNet (the paper: UNet only)."""

    def __post_init__(self) -> None:
        if not (self.train_unet or self.train_text_encoder):
            raise ValueError(
                "train_unet and train_text_encoder are both false: there is nothing to learn"
            )
        if not self.train_text_encoder:
            rates = ["text_learning_rate", "rows_learning_rate"]
            refuse_unused(self, rates, "with train_text_encoder = false")


@options
class LossConfig:
    """The error that is made smaller; the defaults are the paper's."""

    snr_weight_limit: Annotated[float, Range(1, 1e9)] = 1.0
    """Loss weight 1 + 1/SNR(t), at most this; 1 is the plain loss."""
    min_snr_gamma: Weight = 0.0
    """Loss weight min(SNR, gamma) / SNR (Hang et al., 2023); 0: off."""
    high_noise_share: Share = 0.0
    """Share of samples whose timestep is drawn from 600..999 instead of from all."""
    noise_offset: Spread = 0.0
    """Spread of a constant added to the noise of each channel."""
    region_weight: Weight = 0.0
    """Of the mean error inside each region's box, whether words tell of it or were left out: small
    things count as much as large ones."""
    grounding_weight: Weight = 0.0
    """Of the loss that draws an attention head to each region's box."""
    contrastive_weight: Weight = 0.0
    """Of InfoNCE between predicted and true latents of a micro-batch. Neither the paper nor its
    code has it; summaries in circulation name it."""
    contrastive_temperature: PositiveSpread = 0.07
    """Of InfoNCE."""

    def __post_init__(self) -> None:
        if not self.contrastive_weight:
            refuse_unused(self, ["contrastive_temperature"], "with contrastive_weight = 0")


@options
class SampleConfig:
    """Sample sheets, drawn with the averaged weights: what comes of a layout beside the real
    picture, over caption and regions. That of step 0 is the base's."""

    every: Count = 500
    """Steps between them; 0: none."""
    layouts: Count = 16
    """Pictures of a grid; 0: none."""
    steps: SamplingSteps = 20
    """Of the sampler."""
    guidance: Guidance = 3.0
    """Scale of classifier-free guidance."""


def _keeps_samples_apart(every: int, run: Any) -> bool | None:
    """Whether samples are kept out of training, where none can be made that nobody has seen."""
    made = run.validation.set or not run.validation.samples or run.data.sets[0].unseen(1)
    return None if made else every > 0


@options
class ValidationConfig:
    """Loss on samples that are not trained on, at fixed timesteps and with fixed noise."""

    every: Annotated[Count, Free(but=_keeps_samples_apart)] = 500
    """Steps between measurements; 0: none, and no sample is kept out of training."""
    set: AnySet | None = None
    """None: unseen samples like the first set's where it can make some, else its last samples,
    which are kept out of training."""
    samples: Count = 64
    """How many; of samples that are kept out of training at most a tenth of the set. 0: none."""
    timesteps: Annotated[Some[Timestep], Free()] = (100, 300, 500, 700, 950)
    """At which the loss is measured, of 0 to 999."""


@options
class LogConfig:
    """Where figures go: TensorBoard and log.jsonl in the run's folder, and on request wandb."""

    every: Positive = 20
    """Steps between lines."""
    wandb: str = ""
    """Project name at wandb; empty: none."""


def _if_it_learns(value: Any, run: Any) -> Any:
    return value if run.trains_autoencoder else None


@options
class FitConfig:
    """Everything `python -m train fit` needs."""

    output: Annotated[Place, Free()] = "runs/fit/checkpoint.safetensors"
    """The file to write: a single-file checkpoint, or an adapter with LoRA. A name without suffix
    is a diffusers folder."""
    folder: Annotated[Place, Free()] = "runs/fit"
    """Caches, resumable states, samples and logs."""
    seed: Seed = 0
    """Of all that is drawn by chance."""
    image_size: Side = 512
    """Side of the square pictures in pixels (with buckets: the root of their area)."""
    save_every: Annotated[Positive, Free()] = 500
    """Steps between resumable states."""
    keep: Annotated[Positive, Free()] = 2
    """Newest states kept."""
    export_every: Annotated[Count, Free()] = 0
    """Steps between files like `output`, written to the run's folder; 0: only at the end."""
    output_precision: Annotated[Precision, Free()] = "fp16"
    """Of the weights in `output`."""
    licence: Annotated[str, Free()] = ""
    """Written into the checkpoint's metadata."""
    data: DataConfig = field(default_factory=DataConfig)
    autoencoder: Annotated[AutoencoderConfig, Free(but=_if_it_learns)] = field(
        default_factory=AutoencoderConfig
    )
    model: ModelConfig = field(default_factory=ModelConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    sample: Annotated[SampleConfig, Free()] = field(default_factory=SampleConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    log: Annotated[LogConfig, Free()] = field(default_factory=LogConfig)

    def __post_init__(self) -> None:
        if self.lora.rank or self.lora.text_rank:
            own = ["train_unet", "train_text_encoder"]
            refuse_unused(self.optimizer, own, "on an adapter (lora)", "optimizer.")
        if self.model.base:
            refuse_unused(
                self.model, FROM_SCRATCH, "beside model.base, which has its own", "model."
            )
        if not self.trains_autoencoder:
            names, given = own_options(AutoencoderConfig), "model.base or model.autoencoder"
            why = f"beside {given}, unless autoencoder.base is given"
            refuse_unused(self.autoencoder, names, why, "autoencoder.")
        if self.trains_autoencoder and self.autoencoder.crop > self.image_size:
            raise ValueError(
                f"autoencoder.crop = {self.autoencoder.crop} is larger than image_size = "
                f"{self.image_size}: crops are cut out of the pictures; give at most that"
            )

        if self.compute.engine == "fsdp":
            self._check_fsdp()

    def _check_fsdp(self) -> None:
        """Raise ValueError for what is not spread over processes, or was never seen to work so."""
        for name, value, works in (
            ("lora.rank", self.lora.rank, 0),
            ("lora.text_rank", self.lora.text_rank, 0),
            ("optimizer.kind", self.optimizer.kind, "adamw"),
            ("compute.compile", self.compute.compile, False),
        ):
            if value != works:
                raise ValueError(
                    f"{name} = {value!r} does not go with compute.engine = 'fsdp': give {works!r}, "
                    "or compute.engine = 'ddp'"
                )
        if self.compute.precision == "fp16":
            raise ValueError(
                "compute.precision = 'fp16' does not go with compute.engine = 'fsdp': give 'bf16'"
            )

    @property
    def trains_autoencoder(self) -> bool:
        """Whether the small autoencoder is trained, first."""
        return bool(self.autoencoder.base or not (self.model.base or self.model.autoencoder))


def to_dict(config: FitConfig) -> dict[str, Any]:
    """A configuration as plain values, for a log, a state or a checkpoint."""
    return dataclasses.asdict(config)


def from_json(text: str) -> dict[str, Any]:
    """The plain values that a state or a checkpoint tells.

    Those written before kinds of data sets had options of their own tell those of all kinds for
    every set; what is not of its kind meant nothing and is left out.
    """
    values = json.loads(text)
    for one in filter(None, [*values["data"]["sets"], values["validation"]["set"]]):
        kind: type | None = CONFIGS.get(one["kind"])
        own = hints_of(kind) if kind else one
        for name in [name for name in one if name not in own and owners(name, CONFIGS)]:
            del one[name]
    return values
