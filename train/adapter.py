"""Adapters in training: LoRA of UNet and text encoder beside the new rows; written, merged."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch
from peft import LoraConfig as PeftConfig
from peft import inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from reco_core.adapter import (
    ADAPTER_FORMAT,
    POSITION_ROWS,
    TOKEN_ROWS,
    base_warning,
    file_sha256,
    merge_adapter,
    merged_metadata,
    read_adapter,
)
from reco_core.atomic import write_atomically
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import write_checkpoint
from reco_core.lora import ALPHA, DOWN, TEXT_LORA, UNET_LORA, UP, lora_name
from train.compute import DTYPES
from train.config import FitConfig, LoraConfig
from train.convert import read_any
from train.embeddings import ExtendedEmbedding
from train.export import precision_advice
from train.health import check_finite
from train.model import TextToImage

UNET_ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
TEXT_ATTENTION = ["q_proj", "k_proj", "v_proj", "out_proj"]
_NAME = "default"  # peft's, of the one adapter of a module


def add_lora(model: TextToImage, config: LoraConfig, seed: int = 0) -> None:
    """Put LoRA beside the attention of UNet and text encoder; nothing but it and the new rows
    learns from then on. The model computes what it did: LoRA starts at zero.

    seed: of the matrices that do not start at zero.

    Raises:
        ValueError: both ranks are 0, one is negative, or the model has no position tokens.
    """
    ranks = f"lora.rank = {config.rank} and lora.text_rank = {config.text_rank}"
    if min(config.rank, config.text_rank) < 0 or config.rank == config.text_rank == 0:
        raise ValueError(f"{ranks}: ranks of an adapter are 0 or more, and one of them at least 1")
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
    for prefix, module in ((UNET_LORA, model.unet), (TEXT_LORA, model.text_encoder)):
        for path, layer in _lora_layers(module):
            tensors |= _matrices(lora_name(prefix, path.removeprefix("text_model.")), layer)
    for key, table in zip((TOKEN_ROWS, POSITION_ROWS), _tables(model), strict=True):
        extended = isinstance(table, ExtendedEmbedding)
        tensors[key] = table.new.detach() if extended else table.weight.detach()[:0]
    return tensors


def write_adapter(
    model: TextToImage, config: FitConfig, path: Path, metadata: dict[str, str]
) -> None:
    """Write the adapter of a model that add_lora prepared; the file appears whole or not at all.

    metadata: that of a checkpoint of this run; what the adapter and its base are is added.

    Raises:
        ValueError: there is no base, the name does not end in .safetensors, or a number would not
            be finite in the file.
    """
    check_adapter_output(config, path)
    precision = DTYPES[config.output_precision]
    tensors = {
        key: tensor.float() if key.endswith(ALPHA) else tensor.to(precision)
        for key, tensor in adapter_tensors(model).items()
    }
    tensors = {key: tensor.cpu().contiguous() for key, tensor in tensors.items()}
    check_finite(tensors, f"{path} is not written", precision_advice(config))
    described = metadata | {
        "format": ADAPTER_FORMAT,
        "num_bins": str(model.num_bins),
        "max_length": str(model.max_length),
        "rank": str(config.lora.rank),
        "text_rank": str(config.lora.text_rank),
        "alpha": f"{config.lora.alpha:g}",
        **base_metadata(Path(config.model.base)),
    }
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=described))


def check_adapter_output(config: FitConfig, path: Path) -> None:
    """Raise ValueError when an adapter cannot be written there; call it before training."""
    if not config.model.base:
        raise ValueError(
            f"lora.rank = {config.lora.rank} trains an adapter of a base, but model.base is empty: "
            "name a checkpoint, or set lora.rank = 0"
        )
    if path.suffix != ".safetensors":
        raise ValueError(f"output = {str(path)!r}: an adapter is written as .safetensors")


def base_metadata(path: Path) -> dict[str, str]:
    """What an adapter says of its base, a single file or a diffusers folder."""
    info = describe_checkpoint(*read_any(path))
    return {
        "base": path.name,
        "base_sha256": base_sha256(path),
        "base_num_bins": str(info.num_bins),
    }


def merge_adapter_file(adapter: Path, base: Path, output: Path, strength: float = 1.0) -> str:
    """Write the ReCo checkpoint that a base and an adapter make, in the base's precision.

    base: a single file or a diffusers folder.

    Returns:
        A warning when the base is not the file that the adapter was trained on, else "".
        Folders cannot be told apart.

    Raises:
        ValueError: a file cannot be read, or adapter and base do not go together.
    """
    read = read_adapter(adapter)
    state_dict, metadata = read_any(base)
    try:
        merged = merge_adapter(state_dict, read, strength)
    except ValueError as error:
        raise ValueError(f"{adapter.name} with base {base.name}: {error}") from error
    write_checkpoint(output, merged, merged_metadata(metadata, read.info))
    return base_warning(read.info, base.name, base_sha256(base))


def base_sha256(path: Path) -> str:
    """Of a single file, in hexadecimal; empty for a folder, which has none."""
    return "" if path.is_dir() else _sha256(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _sha256(path: Path, modified: int) -> str:
    """modified: when the file was written, so that another under its name is read again."""
    with tqdm(
        total=path.stat().st_size, unit="B", unit_scale=True, desc=f"SHA-256 of {path.name}"
    ) as bar:
        return file_sha256(path, bar.update)


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
