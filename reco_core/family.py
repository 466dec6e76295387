"""What depends on the base: a family of checkpoints of one architecture, as data.

A checkpoint's family is found from its tensors (weights.find_family). Whoever brings another base
describes it as a `Family` and calls `register` before a file of it is read, in the trainer as in
ComfyUI:

    from reco_core.family import Family, Heads, TextEncoder, register
    register(Family("toy", "Toy", encoders=(TextEncoder("text_encoders.toy.", "g", ...),), ...))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .position_tokens import EOS_ID

Prediction = Literal["eps", "v"]
"""What a UNet predicts: the noise, or v = sqrt(a) noise - sqrt(1 - a) latents (Salimans and Ho,
2022), where a is the share of the signal's variance that is left."""

NOISE_STEPS = 1000
"""Timesteps of the noise schedules of all families."""


@dataclass(frozen=True)
class Heads:
    """How many heads an attention has, which its weights do not tell.

    number: in a model of the family's full size; others say it in their metadata.
    channels: of each head, in families where these stay the same and the number follows.

    Raises:
        ValueError: not exactly one of the two is given.
    """

    number: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        if (self.number is None) == (self.channels is None):
            raise ValueError(f"{self}: give either the number of heads, or the channels of each")

    def at(self, width: int) -> int:
        """The number at a width, in a model of full size."""
        return width // self.channels if self.channels else self.number or 0

    def known_at(self, width: int, full: int) -> int | None:
        """The number at a width, where full is that of full size; None where any may be right."""
        return self.at(width) if self.channels or width == full else None


@dataclass(frozen=True)
class TextEncoder:
    """One of a family's text encoders, a CLIP text model, and its full size.

    prefix: of its keys in the single file; those of its weights go on with TEXT_MODEL.
    key: ComfyUI's name of its tokens; its module is `clip_` and this.
    lora: how the names of its LoRA matrices begin.
    heads_key: metadata in which the number of heads is said.
    activation: of its layers, as transformers and ComfyUI name it.
    padding: id of the tokens after the last text.
    layer: whose states are read, counted from the end: -1 is the last.
    final_norm: whether these go through the final layer norm.

    Raises:
        ValueError: the last layer is read without the final norm, which transformers cannot.
    """

    prefix: str
    key: str
    width: int
    layers: int
    intermediate: int
    heads: Heads
    lora: str = "lora_te_text_model_"
    heads_key: str = "text_heads"
    activation: str = "quick_gelu"
    padding: int = EOS_ID
    layer: int = -1
    final_norm: bool = True

    def __post_init__(self) -> None:
        if self.layer > -1 or (self.layer == -1 and not self.final_norm):
            raise ValueError(
                f"layer = {self.layer} with final_norm = {self.final_norm}: layers are counted "
                "from the end, and the last, -1, is read with the final norm"
            )

    @property
    def weights(self) -> str:
        """How the keys of its weights begin."""
        return f"{self.prefix}{TEXT_MODEL}"

    @property
    def token_embedding(self) -> str:
        """Key of the token table."""
        return f"{self.weights}embeddings.token_embedding.weight"

    @property
    def position_embedding(self) -> str:
        """Key of the position table."""
        return f"{self.weights}embeddings.position_embedding.weight"

    @property
    def tables(self) -> tuple[str, str]:
        """Keys of token and position table."""
        return self.token_embedding, self.position_embedding

    @property
    def module(self) -> str:
        """ComfyUI's name of the module."""
        return f"clip_{self.key}"


TEXT_MODEL = "transformer.text_model."


@dataclass(frozen=True)
class NoiseSchedule:
    """Betas whose square roots grow linearly from start to end in NOISE_STEPS timesteps."""

    beta_start: float = 0.00085
    beta_end: float = 0.012


@dataclass(frozen=True)
class Family:
    """The checkpoints of one architecture, of any width.

    name: in metadata and facts. title: in messages.
    encoders: the UNet attends to their states side by side.
    unet_channels, vae_channels: of each level, in a model of full size.
    latent_scale: of the UNet's latents over those of the autoencoder.
    is_sized: whether size and crop of the picture condition the UNet, with the pooled text.
    side: of a picture in pixels, where nothing says what a checkpoint was trained on.

    Raises:
        ValueError: there is no text encoder, or a scale that is not above 0.
    """

    name: str
    title: str
    encoders: tuple[TextEncoder, ...]
    unet_channels: tuple[int, ...]
    unet_heads: Heads
    vae_channels: tuple[int, ...]
    latent_scale: float
    prediction: Prediction = "eps"
    is_sized: bool = False
    side: int = 512
    noise: NoiseSchedule = NoiseSchedule()

    def __post_init__(self) -> None:
        if not self.encoders or not self.latent_scale > 0:
            raise ValueError(
                f"family {self.name!r} has {len(self.encoders)} text encoders and latent_scale = "
                f"{self.latent_scale}: it needs a text encoder, and a scale above 0"
            )

    @property
    def context_width(self) -> int:
        """Of the text states that the UNet attends to, in a model of full size."""
        return sum(encoder.width for encoder in self.encoders)

    @property
    def token_tables(self) -> frozenset[str]:
        """By which a file is known."""
        return frozenset(encoder.token_embedding for encoder in self.encoders)


SD1 = Family(
    name="sd1",
    title="Stable Diffusion 1.x",
    encoders=(
        TextEncoder("cond_stage_model.", "l", 768, layers=12, intermediate=3072, heads=Heads(12)),
    ),
    unet_channels=(320, 640, 1280, 1280),
    unet_heads=Heads(8),
    vae_channels=(128, 256, 512, 512),
    latent_scale=0.18215,
)

_registered = [SD1]


def register(family: Family) -> None:
    """Make files of a family known from now on, in this process.

    Raises:
        ValueError: another family has its name, or the same keys of text encoders; or it has
            several of these or is sized, which neither trainer nor nodes can give it yet.
    """
    if len(family.encoders) > 1 or family.is_sized:
        raise ValueError(
            f"family {family.name!r} has {len(family.encoders)} text encoders, is_sized = "
            f"{family.is_sized}: bases of one text encoder, whose UNet is told no sizes, can be "
            "trained and loaded so far"
        )
    for other in _registered:
        if other != family and (
            other.name == family.name or other.token_tables == family.token_tables
        ):
            raise ValueError(
                f"family {family.name!r} has the name or the text encoders' keys of "
                f"{other.name!r}, which is registered: choose others"
            )
    if family not in _registered:
        _registered.append(family)


def families() -> tuple[Family, ...]:
    """Those that are registered, Stable Diffusion 1.x first."""
    return tuple(_registered)


def family_named(name: str) -> Family:
    """The family that metadata name; without a name, Stable Diffusion 1.x.

    Raises:
        ValueError: none of that name is registered.
    """
    for family in _registered:
        if family.name == (name or SD1.name):
            return family
    known = ", ".join(family.name for family in _registered)
    raise ValueError(
        f"metadata family = {name[:40]!r} is unknown here, where these are known: {known}; update "
        "ReCo, or install what registers it"
    )
