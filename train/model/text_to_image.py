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
from reco_core.checkpoint_info import CheckpointInfo
from reco_core.extension import DEFAULT_BINS, DEFAULT_LENGTH, RECO, check_same, starting_rows
from reco_core.keys import VAE_PREFIX
from reco_core.position_rows import ordered_rows, random_rows
from reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from train.model.architecture import text_config, unet_config
from train.model.embeddings import split_tables
from train.model.keys import pick, text_keys, unet_keys
from train.model.latents import LatentCodec, load_codec
from train.model.options import ModelConfig
from train.model.words import Words

REGIONS_IN_WORDS = "positional_words"
"""Metadata of a checkpoint that was trained with positional words."""

ROWS = {"ordered": ordered_rows, "random": random_rows}


@dataclass
class TextToImage:
    """What is trained (unet, text_encoder), and the codec between pictures and latents."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    codec: LatentCodec
    positional_words: bool = False
    """Regions are told in words (the paper's baseline) instead of position tokens."""

    @property
    def max_length(self) -> int:
        return self.text_encoder.config.max_position_embeddings

    @property
    def num_bins(self) -> int:
        return self.text_encoder.config.vocab_size - CLIP_VOCABULARY_SIZE

    def words(self, max_regions: int = 0) -> Words:
        """How it reads layouts."""
        return Words(self.max_length, self.num_bins, max_regions, self.positional_words)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of all parts."""
        for module in (self.unet, self.text_encoder, self.codec.autoencoder):
            yield from module.parameters()

    def text_states(self, ids: Tensor) -> Tensor:
        """ids (B, L) -> states (B, L, C): last layer after the final norm, padding included."""
        return self.text_encoder(input_ids=ids).last_hidden_state


def new_model(config: ModelConfig, codec: LatentCodec, seed: int) -> TextToImage:
    """A small SD 1.x architecture with random weights."""
    tables = new_tables(config)
    torch.manual_seed(seed)
    levels = len(config.unet_channels)
    unet = UNet2DConditionModel(
        block_out_channels=config.unet_channels,
        layers_per_block=config.unet_layers,
        down_block_types=("CrossAttnDownBlock2D",) * levels,
        up_block_types=("CrossAttnUpBlock2D",) * levels,
        cross_attention_dim=config.text_width,
        attention_head_dim=config.unet_heads,  # SD 1.x configurations name the heads so
    )
    info = CheckpointInfo(
        is_reco=tables.num_bins > 0,
        num_bins=tables.num_bins,
        max_length=tables.max_length,
        text_width=config.text_width,
        text_layers=config.text_layers,
        text_intermediate=4 * config.text_width,
        text_heads=config.text_heads,
        unet_heads=config.unet_heads,
    )
    text_encoder = CLIPTextModel(text_config(info))
    _start_embeddings(text_encoder, config, tables, seed)
    split_tables(text_encoder)
    return TextToImage(unet, text_encoder, codec, config.positional_words)


def load_model(
    state: dict[str, Tensor],
    metadata: dict[str, str],
    config: ModelConfig | None = None,
    seed: int = 0,
) -> TextToImage:
    """The modules of a single-file checkpoint; a plain one is extended, unless num_bins is 0.

    config: None takes the checkpoint as it is; seed: of the rows of new position tokens.

    Raises:
        ValueError: the state dict is not of a Stable Diffusion 1.x architecture, or of other sizes
            than the options ask for.
    """
    info = describe_checkpoint(state, metadata)
    if config is not None and extends(config, info):
        tables = new_tables(config)
        rows = starting_rows(tables.rows)
        state = extend_checkpoint(state, tables.num_bins, tables.max_length, rows, seed)
        info = describe_checkpoint(state, metadata | RECO)
    in_words = (config is not None and config.positional_words) or REGIONS_IN_WORDS in metadata
    if in_words and info.num_bins:
        raise ValueError(
            "model.positional_words = true, but the model has position tokens: start from a plain "
            "checkpoint and set model.num_bins = 0"
        )
    return TextToImage(*load_networks(state, info), load_codec(state), in_words)


def extends(config: ModelConfig, base: CheckpointInfo) -> bool:
    """Whether position tokens are added to a base.

    Raises:
        ValueError: the base has some, and the options ask for others; or a length is asked for that
            nothing would give the base.
    """
    if base.is_reco:
        check_same(base, config.num_bins, config.max_length, config.rows or None)
        return False
    if config.num_bins == 0 and config.max_length not in (None, base.max_length):
        raise ValueError(
            f"model.max_length = {config.max_length} with model.num_bins = 0: without position "
            f"tokens the base keeps its {base.max_length} places; leave max_length out"
        )
    return config.num_bins != 0


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
    unet.load_state_dict(pick(state, unet_keys(unet)))
    text_encoder = CLIPTextModel(text_config(info))
    text_encoder.load_state_dict(pick(state, text_keys(text_encoder.state_dict())))
    split_tables(text_encoder)
    return unet.float(), text_encoder.float()


def with_autoencoder(state: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, Tensor]:
    """A single file's tensors with the autoencoder of another."""
    kept = {key: value for key, value in state.items() if not key.startswith(VAE_PREFIX)}
    return kept | {key: value for key, value in other.items() if key.startswith(VAE_PREFIX)}


def single_file(model: TextToImage) -> dict[str, Tensor]:
    """All tensors under the keys of the single file, in the precision they are in."""
    return (
        _renamed(model.unet.state_dict(), unet_keys(model.unet))
        | _renamed(text := model.text_encoder.state_dict(), text_keys(text))
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
