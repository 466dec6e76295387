"""Checkpoints in: a single file or a diffusers folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .checkpoint_file import read_checkpoint

if TYPE_CHECKING:
    import torch


def read_any(
    path: str | Path, ema: bool = False, is_outline: bool = False
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """A single file or a diffusers folder as a single file's tensors, mapped, and its metadata.

    ema: take a Lightning checkpoint's averaged UNet weights in place of the raw ones.
    is_outline: weights of a .safetensors file may lack content (read_tensors).

    Raises:
        ValueError: not Stable Diffusion 1.x, damaged, or without the averages asked for.
        FileNotFoundError: there is no such file or folder.
    """
    path = Path(path)
    if not path.is_dir():
        return read_checkpoint(path, ema, is_outline)
    if ema:
        raise ValueError(f"{path} is a diffusers folder, which has no averages: take its weights")
    from .diffusers_folder import read_diffusers_folder

    return read_diffusers_folder(path)
