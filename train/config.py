"""Options of training: documented dataclasses, read from TOML, overridden by name."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class SetConfig:
    """One data set; train/data has a reader for each kind."""

    kind: Literal["shapeskills", "coco", "paintskills", "json_lines", "bbox", "shards"] = (
        "shapeskills"
    )
    path: str = ""
    """coco: folder of pictures; paintskills: folder of one skill; json_lines: the .jsonl file;
    bbox: folder of pictures with .bbox sidecars; shards: a pattern such as set-{0000..0099}.tar."""
    annotations: str = ""
    """coco: the instances file."""
    captions: str = ""
    """coco: the captions file; without one, the caption lists what is in the picture."""
    region_captions: str = ""
    """JSON lines written by `python -m train data caption`; they replace the regions' texts."""
    split: str = "train"
    """paintskills: train or val; shapeskills: train, test or held_out."""
    samples: int = 0
    """Use the first so many (0: all); shapeskills: how many to render."""
    repeats: int = 1
    """How often one epoch shows each sample."""
    seed: int = 0
    """shapeskills: of the pictures."""
    counts: tuple[int, ...] = (1, 2, 3, 4)
    """shapeskills: numbers of things in a picture, drawn evenly; repeat one to draw it more."""
    skills: tuple[str, ...] = ("mixed",)
    """shapeskills: kinds of scenes, in turn: mixed, object, count, colour, spatial, binding."""
    sides: tuple[float, float] = (0.15, 0.60)
    """shapeskills: shortest and longest side of a box, as fractions of the picture."""


@dataclass(frozen=True)
class DataConfig:
    """What is learned from, and how pictures and words are prepared."""

    sets: tuple[SetConfig, ...] = (SetConfig(samples=20_000),)
    crop: Literal["random", "centre"] = "random"
    """Which square (or bucket) of the picture, after its short side is brought to size."""
    flip: float = 0.5
    """Share of pictures that are mirrored; left and right swap as words."""
    buckets: bool = False
    """Keep aspect ratios: pictures of like shape train together, up to image_size ** 2 pixels."""
    bucket_step: int = 64
    """Sides of buckets are multiples of it, in pixels."""
    max_aspect: float = 2.0
    """Longest side over shortest of a bucket."""
    min_visible: float = 0.1
    """A region stays when at least this share of its box is inside the crop."""
    max_regions: int = 20
    """Regions of a sample; of more, some are drawn by the square root of their area (paper)."""
    text_dropout: float = 0.0
    """Share of samples with the empty text, for guidance (the paper has none)."""
    caption_dropout: float = 0.0
    """Share of samples whose caption is left out, regions kept."""
    region_dropout: float = 0.0
    """Share of regions that are left out."""
    use_regions: bool = True
    """false trains on captions alone, as the base model of the paper was."""
    cache_latents: bool = False
    """Encode every picture once, to disk; needs crop = "centre"."""
    cache_folder: str = ""
    """Where latents are kept; empty: in the run's folder. Runs on the same pictures can share."""
    cache_text: bool = False
    """Encode every text once, to disk; needs a frozen text encoder and use_regions = false, since
    regions come in a new order each time."""
    workers: int = 0
    """Processes that read pictures, per device."""


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
class LoraConfig:
    """A small adapter instead of the whole model."""

    rank: int = 0
    """Of the UNet's attention; 0 trains the whole model instead."""
    text_rank: int = 0
    """Of the text encoder's attention; 0 trains only its new rows."""
    alpha: float = 1.0
    """Scale of the adapter over its rank."""


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
class ComputeConfig:
    """How the arithmetic is done."""

    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision: weights stay fp32, matrix products are done in this."""
    frozen_precision: Literal["fp32", "bf16", "fp16"] = "fp32"
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
    output_precision: Literal["fp16", "bf16", "fp32"] = "fp16"
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


def load_config(path: Path, overrides: list[str] | tuple[str, ...] = ()) -> FitConfig:
    """Read a TOML file and apply overrides such as `optimizer.steps=100` or `data.sets.0.path=X`.

    Raises:
        ValueError: not TOML, an unknown option, or a value of the wrong type; quotes it.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"Cannot read the configuration {str(path)!r}: {error}.") from error
    for override in overrides:
        _set(values, override)
    return build_config(FitConfig, values)


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain values, for a log or a checkpoint."""
    return dataclasses.asdict(config)


def _set(values: Any, override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"Override {override!r} is not of the form section.option=value.")
    *sections, option = name.lstrip("-").split(".")
    for section in sections:
        try:
            values = (
                values[int(section)] if isinstance(values, list) else values.setdefault(section, {})
            )
        except (ValueError, IndexError):
            raise ValueError(
                f"Override {override!r}: {section!r} is not one of the {len(values)} tables there, "
                "numbered from 0."
            ) from None
    try:
        values[option] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[option] = text


def build_config(kind: Any, values: dict[str, Any], prefix: str = "") -> Any:
    """The dataclass `kind` from plain values, checked. Raises ValueError as load_config does."""
    hints = typing.get_type_hints(kind)
    known = {f.name for f in fields(kind)}
    for name in values.keys() - known:
        raise ValueError(
            f"Unknown option {prefix + name!r}: choose from {', '.join(sorted(known))}."
        )
    return kind(
        **{name: _convert(hints[name], value, prefix + name) for name, value in values.items()}
    )


def _convert(hint: Any, value: Any, name: str) -> Any:
    if isinstance(hint, types.UnionType):  # X | None
        hint = typing.get_args(hint)[0]
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise ValueError(f"Option {name!r} is {value!r}: expected a table [{name}].")
        return build_config(hint, value, f"{name}.")
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, list):
            raise ValueError(f"Option {name!r} is {value!r}: expected a list.")
        inner = typing.get_args(hint)[0]
        return tuple(_convert(inner, item, f"{name}.{i}") for i, item in enumerate(value))
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            choices = ", ".join(typing.get_args(hint))
            raise ValueError(f"Option {name!r} is {value!r}: choose from {choices}.")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"Option {name!r} is {value!r}: expected {hint.__name__}.")
    return value
