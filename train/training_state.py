"""The resumable state of a run, and the averaged weights in place of the raw ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from torch import nn

from train.atomic import save_atomically


def save_state(parts: dict[str, Any], step: int, path: Path) -> None:
    """Write everything with a state_dict, and the number of finished steps."""
    state = {name: part.state_dict() for name, part in parts.items()}
    save_atomically({"step": step, **state}, path)


def restore_state(parts: dict[str, Any], path: Path, device: torch.device) -> int:
    """Read what save_state wrote, if it did; returns the number of finished steps."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location=device, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return state["step"]


@contextmanager
def averaged(ema: EMAModel, parameters: list[nn.Parameter]) -> Iterator[None]:
    """Swap the averaged weights in for the duration of a with block."""
    ema.store(parameters)
    ema.copy_to(parameters)
    try:
        yield
    finally:
        ema.restore(parameters)
