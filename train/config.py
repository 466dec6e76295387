"""Options of training: documented dataclasses, read from TOML, overridden by name."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from train.autoencoder import AutoencoderConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class DataConfig:
    """ShapeSkills, the synthetic set."""

    samples: int = 20_000
    """Pictures rendered, encoded and cached before training."""
    seed: int = 0
    counts: tuple[int, ...] = (1, 2, 3, 4)
    """Numbers of things in a picture, drawn evenly; repeat one to draw it more often."""


@dataclass(frozen=True)
class ModelConfig:
    """The checkpoint to start from, or the size of a new one."""

    base: str = ""
    """Single-file SD 1.x or ReCo checkpoint to fine-tune; empty makes a small one from scratch."""
    num_bins: int = 1000
    """Position tokens to add; ignored when the base has some."""
    max_length: int = 96
    """L, the length of the token sequence; ignored when the base has position tokens."""
    rows: Literal["ordered", "random"] = "ordered"
    """Start of the position tokens' rows: ordered or random."""
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
class OptimizerConfig:
    """The training loop."""

    steps: int = 8000
    batch_size: int = 32
    learning_rate: float = 8e-4
    warmup_steps: int = 200
    final_learning_rate: float = 0.02
    """End of the cosine schedule, as a share of learning_rate; 1 keeps the rate constant."""
    weight_decay: float = 0.01
    beta2: float = 0.99
    max_grad_norm: float = 1.0
    ema_decay: float = 0.999
    text_dropout: float = 0.1
    """Share of samples trained with the empty text, for guidance (the paper has none: 0)."""
    snr_weight_limit: float = 100.0
    """Loss weight 1 + 1/SNR(t), at most this; 1 is the paper's plain loss."""
    high_noise_share: float = 0.5
    """Share of samples whose timestep is drawn from 600..999; 0 is the paper's uniform draw."""
    grounding_weight: float = 0.0
    """Weight of the loss that draws an attention head to each region's box; 0 is the paper."""
    threads: int = 0
    """CPU threads; 0 leaves torch's default."""


@dataclass(frozen=True)
class SampleConfig:
    """Sample grids, drawn with the EMA weights."""

    every: int = 500
    layouts: int = 16
    steps: int = 20
    guidance: float = 3.0


@dataclass(frozen=True)
class FitConfig:
    """Everything `python -m train fit` needs."""

    output: str = "runs/fit/checkpoint.safetensors"
    """The single-file checkpoint to write."""
    folder: str = "runs/fit"
    """Caches, resumable state, samples and TensorBoard log."""
    seed: int = 0
    image_size: int = 128
    """Side of the square pictures in pixels."""
    save_every: int = 500
    """Steps between resumable states."""
    licence: str = "MIT"
    """Written into the checkpoint's metadata."""
    data: DataConfig = field(default_factory=DataConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    sample: SampleConfig = field(default_factory=SampleConfig)


def load_config(path: Path, overrides: list[str] | tuple[str, ...] = ()) -> FitConfig:
    """Read a TOML file and apply overrides such as `optimizer.steps=100`.

    Raises:
        ValueError: not TOML, an unknown option, or a value of the wrong type; quotes it.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"Cannot read the configuration {str(path)!r}: {error}.") from error
    for override in overrides:
        _set(values, override)
    return _build(FitConfig, values, "")


def to_dict(config: FitConfig) -> dict[str, Any]:
    """The configuration as plain values, for a log or a checkpoint."""
    return dataclasses.asdict(config)


def _set(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"Override {override!r} is not of the form section.option=value.")
    *sections, option = name.lstrip("-").split(".")
    for section in sections:
        values = values.setdefault(section, {})
    try:
        values[option] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[option] = text


def _build(kind: Any, values: dict[str, Any], prefix: str) -> Any:
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
    if is_dataclass(hint):
        return _build(hint, value, f"{name}.")
    if isinstance(hint, types.GenericAlias):
        return tuple(_convert(typing.get_args(hint)[0], item, name) for item in value)
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
