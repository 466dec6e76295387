"""What learns, how fast, and what decays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from transformers import CLIPTextModel

from train.fit.options import FitConfig, OptimizerConfig
from train.fit.sharding import own_part
from train.model.embeddings import ExtendedEmbedding
from train.model.text_to_image import TextToImage

TOKEN_TABLE = "token_embedding"
FP32, BYTES_OF_STEP = 4, 4
SMALL, BLOCK = 4096, 256
"""bitsandbytes: weights below SMALL numbers have fp32 moments; each BLOCK shares an fp32 scale."""


def choose_trained(model: TextToImage, config: FitConfig) -> None:
    """Freeze what is not to learn; with LoRA, add what learns instead (ValueErrors: its own)."""
    if config.lora.rank or config.lora.text_rank:
        from train.model.lora import add_lora

        return add_lora(model, config.lora, config.seed)
    options = config.optimizer
    model.unet.requires_grad_(options.train_unet)
    model.text_encoder.requires_grad_(options.train_text_encoder)


def trained_parameters(*modules: nn.Module) -> list[nn.Parameter]:
    """The parameters that learn, in their modules' order."""
    return [p for module in modules for p in module.parameters() if p.requires_grad]


def build_optimizer(
    model: TextToImage, config: OptimizerConfig, device: torch.device
) -> torch.optim.Optimizer:
    """The optimiser over UNet, text encoder and new rows, each at its own rate.

    Raises:
        ValueError: adamw8bit without CUDA or bitsandbytes.
    """
    groups = list(_groups(model, config))
    betas = (config.beta1, config.beta2)
    if config.kind == "adamw":
        return torch.optim.AdamW(groups, betas=betas, fused=_has_fused_step(device))
    if config.kind == "adafactor":
        return torch.optim.Adafactor(groups)
    if device.type != "cuda":
        raise ValueError("optimizer.kind = 'adamw8bit' needs CUDA: use 'adamw' or 'adafactor'")
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise ValueError(
            "optimizer.kind = 'adamw8bit' needs bitsandbytes: pip install bitsandbytes"
        ) from error
    return AdamW8bit(groups, betas=betas)


def build_schedule(
    optimizer: torch.optim.Optimizer, config: OptimizerConfig
) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate as a share of each group's own."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, config))


def rate(step: int, config: OptimizerConfig) -> float:
    """Share of the learning rate in a step: linear warm-up, then the schedule."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    left = {
        "constant": 1.0,
        "linear": 1 - min(done, 1.0),
        "cosine": 0.5 * (1 + math.cos(math.pi * min(done, 1.0))),
    }[config.schedule]
    return config.final_learning_rate + (1 - config.final_learning_rate) * left


@torch.no_grad()
def decay_used_rows(optimizer: torch.optim.Optimizer, weight_decay: float) -> None:
    """AdamW's weight decay for vocabulary rows, but only those that this step's texts use.

    Call between the backward pass and the optimiser's step: a used row has a gradient.
    """
    for group in optimizer.param_groups:
        for table in group["params"] if group["decays_by_use"] else ():
            if table.grad is not None:
                rows, grad = own_part(table), own_part(table.grad)
                used = grad.ne(0).any(dim=1).nonzero().squeeze(1)
                rows[used] = rows[used] * (1 - group["lr"] * weight_decay)


def _groups(model: TextToImage, config: OptimizerConfig) -> Iterator[dict[str, Any]]:
    text_rate = config.text_learning_rate or config.learning_rate
    rows_rate = config.rows_learning_rate or text_rate
    new_rows, vocabulary, positions = _tables(model.text_encoder)
    apart = {id(p) for p in (*new_rows, *vocabulary, *positions)}
    rest = [p for p in trained_parameters(model.text_encoder) if id(p) not in apart]
    for parameters, learning_rate, by_use in (
        (trained_parameters(model.unet), config.learning_rate, False),
        (rest, text_rate, False),
        (vocabulary, text_rate, True),
        (new_rows, rows_rate, True),
        (positions, rows_rate, False),
    ):
        if parameters:
            yield {
                "params": parameters,
                "lr": learning_rate,
                "weight_decay": 0.0 if by_use else config.weight_decay,
                "decays_by_use": by_use,
            }


def _tables(
    encoder: CLIPTextModel,
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """Rows of position tokens, rows of words, and new rows of the position table that learn."""
    new_rows: list[nn.Parameter] = []
    vocabulary: list[nn.Parameter] = []
    positions: list[nn.Parameter] = []
    for name, module in encoder.named_modules():
        is_tokens = name.endswith(TOKEN_TABLE)
        if isinstance(module, ExtendedEmbedding):
            (new_rows if is_tokens else positions).append(module.new)
            if is_tokens:
                vocabulary.append(module.old)
        elif is_tokens and isinstance(module, nn.Embedding):
            vocabulary.append(module.weight)
    return tuple([p for p in ps if p.requires_grad] for ps in (new_rows, vocabulary, positions))  # type: ignore[return-value]


def _has_fused_step(device: torch.device) -> bool:
    return device.type in ("cpu", "cuda", "mps", "xpu")


def optimizer_bytes(parameters: Iterable[nn.Parameter], options: OptimizerConfig) -> int:
    """Of an optimiser's states, after its first step."""
    return sum(_state_bytes(parameter.shape, options.kind) for parameter in parameters)


def _state_bytes(shape: torch.Size, kind: str) -> int:
    numbers = shape.numel()
    if kind == "adamw8bit":  # two moments of a byte each; not run here: read in bitsandbytes
        if numbers < SMALL:
            return 2 * FP32 * numbers
        return 2 * numbers + 2 * FP32 * -(-numbers // BLOCK)
    if kind == "adamw":
        return 2 * FP32 * numbers + BYTES_OF_STEP
    if len(shape) < 2:  # adafactor
        return FP32 * numbers + BYTES_OF_STEP
    rows, columns = numbers // shape[-1], numbers // shape[-2]
    return FP32 * (rows + columns) + BYTES_OF_STEP
