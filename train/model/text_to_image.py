"""The parts of a text-to-image model in training, and their way from and to the single file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel
from transformers.models.clip.modeling_clip import CLIPTextEmbeddings

from reco_core.checkpoint import describe_checkpoint, extend_checkpoint
from reco_core.checkpoint_info import CheckpointInfo, EncoderInfo
from reco_core.diffusers_keys import pick, text_keys, unet_keys
from reco_core.extension import DEFAULT_BINS, DEFAULT_LENGTH, RECO, check_same, starting_rows
from reco_core.family import SD1, Family
from reco_core.keys import VAE_PREFIX
from reco_core.position_rows import ordered_rows, random_rows
from reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from train.model.architecture import text_config, unet_config, unet_heads
from train.model.embeddings import split_tables
from train.model.latents import LatentCodec, load_codec
from train.model.noise import Diffusion
from train.model.options import ModelConfig
from train.model.words import Words

REGIONS_IN_WORDS = "positional_words"
"""Metadata of a checkpoint that was trained with positional words."""

ROWS = {"ordered": ordered_rows, "random": random_rows}


@dataclass(frozen=True)
class Conditioning:
    """What the UNet is told beside noisy latents and timesteps.

    states: (B, L, C) of the text. pooled: (B, P) of the text, and size: (B, 6) height and width of
    the picture, top and left of the crop, height and width of the crop, where the family has them.
    """

    states: Tensor
    pooled: Tensor | None = None
    size: Tensor | None = None


@dataclass
class TextToImage:
    """What is trained (unet, text_encoder), and the codec between pictures and latents."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    codec: LatentCodec
    info: CheckpointInfo
    """Its family and sizes."""
    positional_words: bool = False
    """Regions are told in words (the paper's baseline) instead of position tokens."""

    @property
    def family(self) -> Family:
        return self.info.family

    @property
    def max_length(self) -> int:
        return self.info.max_length

    @property
    def num_bins(self) -> int:
        return self.info.num_bins

    @property
    def diffusion(self) -> Diffusion:
        """How its latents become noise, and what is predicted of them."""
        return Diffusion(self.family.noise, self.family.prediction)

    def words(self, max_regions: int = 0) -> Words:
        """How it reads layouts."""
        padding = self.family.encoders[0].padding
        return Words(self.max_length, self.num_bins, max_regions, self.positional_words, padding)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of all parts."""
        for module in (self.unet, self.text_encoder, self.codec.autoencoder):
            yield from module.parameters()

    def text_states(self, ids: Tensor) -> Tensor:
        """ids (B, L) -> states (B, L, C) of the layer that the family reads, padding included."""
        (encoder,) = self.family.encoders
        if encoder.layer == -1:
            return self.text_encoder(input_ids=ids).last_hidden_state
        states = self.text_encoder(input_ids=ids, output_hidden_states=True).hidden_states
        chosen = states[encoder.layer]
        return final_norm(self.text_encoder)(chosen) if encoder.final_norm else chosen

    def condition(self, ids: Tensor) -> Conditioning:
        """What texts, of which ids (B, L) are the tokens, tell the UNet."""
        return Conditioning(self.text_states(ids))

    def predict(self, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
        """noisy (B, 4, h, w), timesteps (B,) or () -> what the family predicts, (B, 4, h, w) in
        fp32."""
        more = {"text_embeds": conditioning.pooled, "time_ids": conditioning.size}
        added = more if conditioning.pooled is not None else None
        states = conditioning.states
        return self.unet(noisy, timesteps, states, added_cond_kwargs=added).sample.float()


def final_norm(encoder: CLIPTextModel) -> nn.Module:
    """The norm after the last layer."""
    return next(m for name, m in encoder.named_modules() if name.endswith("final_layer_norm"))


def new_model(config: ModelConfig, codec: LatentCodec, seed: int) -> TextToImage:
    """A small SD 1.x architecture with random weights."""
    tables = new_tables(config)
    torch.manual_seed(seed)
    width = config.text_width
    info = CheckpointInfo(
        family=SD1,
        is_reco=tables.num_bins > 0,
        num_bins=tables.num_bins,
        max_length=tables.max_length,
        encoders=(EncoderInfo(width, config.text_layers, 4 * width, config.text_heads),),
        unet_heads=config.unet_heads,
    )
    levels = len(config.unet_channels)
    unet = UNet2DConditionModel(
        block_out_channels=config.unet_channels,
        layers_per_block=config.unet_layers,
        down_block_types=("CrossAttnDownBlock2D",) * levels,
        up_block_types=("CrossAttnUpBlock2D",) * levels,
        cross_attention_dim=info.context_width,
        attention_head_dim=unet_heads(info, config.unet_channels),
    )
    text_encoder = CLIPTextModel(text_config(info))
    _start_embeddings(text_encoder, config, tables, seed)
    split_tables(text_encoder)
    return TextToImage(unet, text_encoder, codec, info, config.positional_words)


def load_model(
    state: dict[str, Tensor],
    metadata: dict[str, str],
    config: ModelConfig | None = None,
    seed: int = 0,
) -> TextToImage:
    """The modules of a single-file checkpoint; a plain one is extended where `extends` says so.

    config: None takes the checkpoint as it is; seed: of the rows of new position tokens.

    Raises:
        ValueError: the state dict is of no known family, or of other sizes than the options ask
            for.
    """
    info = describe_checkpoint(state, metadata)
    if config is not None and extends(config, info):
        tables = new_tables(config)
        rows = starting_rows(tables.rows)
        state = extend_checkpoint(state, tables.num_bins, tables.max_length, rows, seed)
        info = describe_checkpoint(state, metadata | (RECO if tables.num_bins else {}))
    in_words = (config is not None and config.positional_words) or REGIONS_IN_WORDS in metadata
    if in_words and info.num_bins:
        raise ValueError(
            "model.positional_words = true, but the model has position tokens: start from a plain "
            "checkpoint and set model.num_bins = 0"
        )
    codec = load_codec(state, info.family)
    return TextToImage(*load_networks(state, info), codec, info, in_words)


def extends(config: ModelConfig, base: CheckpointInfo) -> bool:
    """Whether a base gets position tokens, or a longer sequence, or both: to the sizes of
    `new_tables`. Regions in words have as many places as regions in tokens.

    Raises:
        ValueError: the base has position tokens, and the options ask for others; or a sequence
            shorter than the base's is asked for.
    """
    if base.is_reco:
        check_same(base, config.num_bins, config.max_length, config.rows or None)
        return False
    tables = new_tables(config)
    if config.max_length is None and not (tables.num_bins or config.positional_words):
        return False  # captions alone keep the base's length
    if tables.max_length < base.max_length:
        raise ValueError(
            f"model.max_length = {tables.max_length} is less than the {base.max_length} places of "
            "the base's sequence: give as many, or more"
        )
    return tables.num_bins > 0 or tables.max_length > base.max_length


@dataclass(frozen=True)
class Tables:
    """Sizes of the text encoder's two tables, and how rows of position tokens start."""

    num_bins: int
    max_length: int
    rows: str


def new_tables(config: ModelConfig) -> Tables:
    """Those of the options, with defaults for what is left out: where no base has its own."""
    return Tables(
        DEFAULT_BINS if config.num_bins is None else config.num_bins,
        DEFAULT_LENGTH if config.max_length is None else config.max_length,
        config.rows or "ordered",
    )


def load_networks(
    state: dict[str, Tensor], info: CheckpointInfo
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """UNet and text encoder of a single-file checkpoint, in fp32; ValueError as load_model."""
    unet = UNet2DConditionModel(**unet_config(state, info))
    unet.load_state_dict(pick(state, unet_keys(unet.state_dict())))
    text_encoder = CLIPTextModel(text_config(info))
    (encoder,) = info.family.encoders
    text_encoder.load_state_dict(pick(state, text_keys(text_encoder.state_dict(), encoder)))
    split_tables(text_encoder)
    return unet.float(), text_encoder.float()


def with_autoencoder(state: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    """A single file's tensors with the autoencoder of another."""
    kept = {key: value for key, value in state.items() if not key.startswith(VAE_PREFIX)}
    return kept | {key: value for key, value in other.items() if key.startswith(VAE_PREFIX)}


def single_file(model: TextToImage) -> dict[str, Tensor]:
    """All tensors under the keys of the single file, in the precision they are in."""
    (encoder,) = model.family.encoders
    return (
        _renamed(unet := model.unet.state_dict(), unet_keys(unet))
        | _renamed(text := model.text_encoder.state_dict(), text_keys(text, encoder))
        | model.codec.single_file()
    )


def _renamed(tensors: dict[str, Tensor], keys: dict[str, str]) -> dict[str, Tensor]:
    return {ldm: tensors[key] for key, ldm in keys.items()}


@torch.no_grad()
def _start_embeddings(
    encoder: CLIPTextModel, config: ModelConfig, tables: Tables, seed: int
) -> None:
    """Give words, bins and sequence positions rows as large as what the layers will add to them."""
    std, width = config.embedding_std, config.text_width
    tokens = encoder.get_input_embeddings().weight
    tokens.normal_(0.0, std)
    if tables.num_bins:
        rows = starting_rows(tables.rows)
        if isinstance(rows, str):
            rows = ROWS[rows](tables.num_bins, width, std, seed)
        tokens[CLIP_VOCABULARY_SIZE:] = rows
    for module in encoder.modules():
        if isinstance(module, CLIPTextEmbeddings):
            module.position_embedding.weight.copy_(_sinusoids(tables.max_length, width) * std)


def _sinusoids(length: int, width: int) -> Tensor:
    """(length, width) sines and cosines of unit spread: shifts along the sequence are linear."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1) * math.sqrt(2.0)
