"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, then rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Save any state as a torch file (.pt), or tensors as safetensors."""
    if path.suffix == ".pt":
        write_atomically(path, lambda temporary: torch.save(state, temporary))
    else:
        tensors = {name: tensor.contiguous() for name, tensor in state.items()}
        write_atomically(path, lambda temporary: save_file(tensors, temporary))
