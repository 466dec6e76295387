"""Tensors and training states, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from reco_core.atomic import write_atomically


def save_atomically(state: dict[str, Any], path: Path) -> None:
    """Save any state as a torch file (.pt), or tensors as safetensors."""
    if path.suffix == ".pt":
        write_atomically(path, lambda temporary: torch.save(state, temporary))
    else:
        tensors = {name: tensor.contiguous() for name, tensor in state.items()}
        write_atomically(path, lambda temporary: save_file(tensors, temporary))
