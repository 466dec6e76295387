"""ComfyUI's MODEL, CLIP and VAE of the files that hold them: checkpoints, adapters, and parts that
were saved apart."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import comfy.sd
import comfy.utils
from comfy.model_patcher import ModelPatcher

from ..reco_core.adapter import (
    base_warning,
    extend_with_adapter_rows,
    file_sha256,
    lora_changes,
    merged_metadata,
    read_adapter,
)
from ..reco_core.checkpoint import describe_checkpoint
from ..reco_core.checkpoint_file import read_parts
from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.checkpoint_input import read_any
from ..reco_core.trainable import check_prediction
from .clip import build_clip
from .unet import build_model
from .vae import build_vae

Read = Callable[[], tuple[dict, CheckpointInfo]]
"""Reads a ReCo checkpoint's weights, anew at each call."""

Networks = tuple[ModelPatcher, comfy.sd.CLIP]
Parts = tuple[ModelPatcher, comfy.sd.CLIP, comfy.sd.VAE]


def read_reco_checkpoint(path: Path, is_outline: bool = False) -> tuple[dict, CheckpointInfo]:
    """Read a checkpoint, a file or a diffusers folder. Raises ValueError when it is not a ReCo
    checkpoint.

    is_outline: weights may lack content, for who asks what it is (read_tensors).
    """
    state_dict, metadata = read_any(path, is_outline=is_outline)
    info = describe_checkpoint(state_dict, metadata)
    if not info.is_reco:
        raise ValueError(
            f"{path.name!r} is a plain Stable Diffusion 1 checkpoint: its text encoder has no "
            "position tokens, so it cannot follow boxes: open it with an adapter in "
            "ReCo Load Adapter or alone in ComfyUI's own Load Checkpoint, or make a ReCo "
            "checkpoint of it with `python -m train fit` (see the README)"
        )
    try:
        check_prediction(metadata, info.family)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    return state_dict, info


def read_extended(base: Path, adapter_path: Path) -> tuple[dict, CheckpointInfo]:
    """A base's weights with an adapter's rows in its tables, its LoRA not yet applied.

    Raises ValueError when a file is unreadable, or base and adapter do not go together.
    """
    state_dict, metadata = read_any(base)
    adapter = read_adapter(adapter_path)
    try:
        extended = extend_with_adapter_rows(state_dict, adapter)
        lora_changes(extended, adapter)  # ComfyUI only logs what does not fit
    except ValueError as error:
        raise ValueError(f"{adapter_path.name!r} with {base.name!r}: {error}") from error
    return extended, describe_checkpoint(extended, merged_metadata(metadata, adapter.info))


def read_reco_parts(
    unet: Path, text_encoder: Path, is_outline: bool = False
) -> tuple[dict, CheckpointInfo]:
    """Read UNet and text encoder that were saved apart, without an autoencoder.

    is_outline: as of read_reco_checkpoint. Raises ValueError when a file is no such part, or they
    make no ReCo checkpoint together.
    """
    state_dict, metadata = read_parts(unet, text_encoder, is_outline)
    try:
        info = describe_checkpoint(state_dict, metadata)
        if not info.is_reco:
            raise ValueError(
                "the text encoder has no position tokens: choose that of a ReCo "
                "checkpoint, or open both with ComfyUI's own Load Diffusion Model and Load CLIP"
            )
    except ValueError as error:
        raise ValueError(f"{unet.name!r} with {text_encoder.name!r}: {error}") from error
    return state_dict, info


def load_checkpoint(path: Path, embedding_directory: list[str] | None = None) -> Parts:
    """MODEL, CLIP and VAE of a ReCo checkpoint, a file or a diffusers folder.

    Raises ValueError when it is unreadable or not a ReCo checkpoint.
    """
    return build_parts(partial(read_reco_checkpoint, path), embedding_directory)


def load_with_adapter(
    base: Path,
    adapter_path: Path,
    strength_model: float = 1.0,
    strength_clip: float = 1.0,
    embedding_directory: list[str] | None = None,
) -> Parts:
    """MODEL, CLIP and VAE of a base with an adapter. Strengths are those of the LoRA; the position
    tokens are there at any. Raises ValueError as read_extended."""
    model, clip, vae = build_parts(partial(read_extended, base, adapter_path), embedding_directory)
    adapter = read_adapter(adapter_path)
    clip.tokenizer.adapters = ((adapter, strength_clip),)
    lora = adapter.lora_tensors
    model, clip = comfy.sd.load_lora_for_models(model, clip, lora, strength_model, strength_clip)
    return model, clip, vae


def load_parts(
    unet: Path, text_encoder: Path, embedding_directory: list[str] | None = None
) -> Networks:
    """MODEL and CLIP of files that ComfyUI's ModelSave and CLIPSave wrote.

    Raises ValueError as read_reco_parts.
    """
    read = partial(read_reco_parts, unet, text_encoder)
    return build_networks(*read(), read, embedding_directory)


def build_parts(read: Read, embedding_directory: list[str] | None = None) -> Parts:
    """MODEL, CLIP and VAE of the weights that `read` returns, here and whenever ComfyUI rebuilds a
    patcher: for torch.compile, other devices and static offloading."""
    state_dict, info = read()
    model, clip = build_networks(state_dict, info, read, embedding_directory)
    vae = build_vae(state_dict)
    if vae.first_stage_model is not None:
        vae.patcher.cached_patcher_init = (_reload_vae, (read,))
    return model, clip, vae


def build_networks(
    state_dict: dict, info: CheckpointInfo, read: Read, embedding_directory: list[str] | None
) -> Networks:
    """MODEL and CLIP of the weights that `read` returned; takes them out of state_dict."""
    model = build_model(state_dict, info)
    clip = build_clip(state_dict, info, embedding_directory)
    model.cached_patcher_init = (_reload_model, (read,))
    clip.patcher.cached_patcher_init = (_reload_clip, (read, embedding_directory))
    return model, clip


def _reload_model(read: Read, disable_dynamic: bool = False) -> ModelPatcher:
    return build_model(*read(), disable_dynamic=disable_dynamic)


def _reload_clip(
    read: Read, embedding_directory: list[str] | None, disable_dynamic: bool = False
) -> ModelPatcher:
    return build_clip(*read(), embedding_directory, disable_dynamic=disable_dynamic).patcher


def _reload_vae(read: Read, disable_dynamic: bool = False) -> ModelPatcher:
    return build_vae(read()[0]).patcher


def warning_of(base: Path, adapter_path: Path) -> str:
    """What to tell a user whose base is not the one that the adapter names; empty if it is, or if
    it is a folder, which has no checksum."""
    info = read_adapter(adapter_path).info
    if not info.base_sha256 or base.is_dir():
        return ""
    return base_warning(info, base.name, sha256_of(base))


def sha256_of(path: Path) -> str:
    """Of a file, in hexadecimal, with a progress bar: it takes seconds for a full-size one."""
    status = path.stat()
    return _sha256(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=256)
def _sha256(path: Path, modified: int, size: int) -> str:
    """modified, size: of the file, so that another under its name is read again."""
    progress = comfy.utils.ProgressBar(size)
    return file_sha256(path, progress.update)
