"""Adapters in training: LoRA of UNet and text encoder beside the new rows; written, merged."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from peft import LoraConfig as PeftConfig
from peft import inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from reco_core.adapter import (
    POSITION_ROWS,
    TOKEN_ROWS,
)
from reco_core.lora import ALPHA, DOWN, UNET_LORA, UP, lora_name
from train.model.embeddings import ExtendedEmbedding
from train.model.options import LoraConfig
from train.model.text_to_image import TextToImage

UNET_ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
TEXT_ATTENTION = ["q_proj", "k_proj", "v_proj", "out_proj"]
_NAME = "default"  # peft's, of the one adapter of a module


def add_lora(model: TextToImage, config: LoraConfig, seed: int = 0) -> None:
    """Put LoRA beside the attention of UNet and text encoder; nothing but it and the new rows
    learns from then on. The model computes what it did: LoRA starts at zero.

    seed: of the matrices that do not start at zero.

    Raises:
        ValueError: both ranks are 0, or the model has no position tokens.
    """
    ranks = f"lora.rank = {config.rank} and lora.text_rank = {config.text_rank}"
    if config.rank == config.text_rank == 0:
        raise ValueError(f"{ranks}: of an adapter, one of them at least 1")
    if model.num_bins < 2:
        raise ValueError(
            f"{ranks}, but the model has no position tokens for an adapter to carry: set "
            "model.num_bins = 1000, or train the whole model with both ranks 0"
        )
    torch.manual_seed(seed)  # whatever was drawn before, by some processes and not by others
    for module, rank, names in (
        (model.unet, config.rank, UNET_ATTENTION),
        (model.text_encoder, config.text_rank, TEXT_ATTENTION),
    ):
        module.requires_grad_(False)
        if rank:
            options = PeftConfig(r=rank, target_modules=names)
            options.lora_alpha = config.alpha  # type: ignore[assignment]  # any number will do
            inject_adapter_in_model(options, module)
    for table in _tables(model):
        if isinstance(table, ExtendedEmbedding):
            table.new.requires_grad_(True)


def adapter_tensors(model: TextToImage) -> dict[str, Tensor]:
    """What an adapter file holds, under its keys, in the precision it is in."""
    tensors: dict[str, Tensor] = {}
    (encoder,) = model.family.encoders
    for prefix, module in ((UNET_LORA, model.unet), (encoder.lora, model.text_encoder)):
        for path, layer in _lora_layers(module):
            tensors |= _matrices(lora_name(prefix, path.removeprefix("text_model.")), layer)
    for key, table in zip((TOKEN_ROWS, POSITION_ROWS), _tables(model), strict=True):
        extended = isinstance(table, ExtendedEmbedding)
        tensors[key] = table.new.detach() if extended else table.weight.detach()[:0]
    return tensors


def _lora_layers(module: nn.Module) -> Iterator[tuple[str, LoraLayer]]:
    """(path, layer), paths in diffusers or transformers."""
    for path, layer in module.named_modules():
        if isinstance(layer, LoraLayer):
            yield path, layer


def _matrices(name: str, layer: LoraLayer) -> dict[str, Tensor]:
    return {
        f"{name}{DOWN}": layer.lora_A[_NAME].weight.detach(),
        f"{name}{UP}": layer.lora_B[_NAME].weight.detach(),
        f"{name}{ALPHA}": torch.tensor(float(layer.lora_alpha[_NAME])),
    }


def _tables(model: TextToImage) -> tuple[nn.Module, nn.Module]:
    """Token and position table; plain embeddings where nothing was added."""
    modules = dict(model.text_encoder.named_modules())
    tokens, positions = (
        next(module for name, module in modules.items() if name.endswith(f"{kind}_embedding"))
        for kind in ("token", "position")
    )
    return tokens, positions
