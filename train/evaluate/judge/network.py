"""The judge: a small network that says which thing a window of a picture shows, and where in it.

Its file holds the weights (safetensors), and in its metadata the names of the things it tells apart
and the digest of the pictures it learned from.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from reco_core.atomic import write_atomically
from train.data.cutouts.things import Thing

SIDE = 48
"""Pixels of a window's side as the network sees it."""
WIDTHS = (24, 48, 64, 96, 96)
"""Channels of its convolutions; all but the third halve the side."""
KEY = "judge"
"""Of the metadata."""


class Network(nn.Module):
    """Windows (N, 3, SIDE, SIDE) in [-1, 1] -> logits (N, things + 1), the last of no thing, and
    the thing's box (N, 4): xyxy, fractions of the window."""

    def __init__(self, things: int):
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for number, width in enumerate(WIDTHS):
            stride = 1 if number == 2 else 2
            kernel = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
            layers += [kernel, nn.BatchNorm2d(width), nn.ReLU()]
            before = width
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.1))
        side = SIDE // 2 ** (len(WIDTHS) - 1)
        self.head = nn.Linear(before * side * side, things + 1 + 4)

    def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        told = self.head(self.body(windows))
        return told[:, :-4], told[:, -4:] + 0.5


@dataclass(frozen=True)
class Judge:
    """A trained network. names: of the things it tells apart. digest: of their pictures."""

    network: Network
    names: tuple[str, ...]
    digest: str

    @torch.inference_mode()
    def look(self, windows: np.ndarray, batch_size: int = 256) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (N, things + 1) and boxes (N, 4) in windows (N, SIDE, SIDE, 3) uint8."""
        if not len(windows):
            return np.zeros((0, len(self.names) + 1), np.float32), np.zeros((0, 4), np.float32)
        parts = [
            self.network(to_input(windows[start : start + batch_size]))
            for start in range(0, len(windows), batch_size)
        ]
        logits, boxes = (torch.cat(part) for part in zip(*parts, strict=True))
        return logits.softmax(1).numpy(), boxes.numpy()


def to_input(windows: np.ndarray) -> torch.Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(windows).permute(0, 3, 1, 2).float() / 127.5 - 1


def digest_of(things: Sequence[Thing]) -> str:
    """Changes with the things' names, their colours and the content of their pictures."""
    digest = hashlib.sha256()
    for thing in things:
        digest.update(repr((thing.name, thing.colour, len(thing.files))).encode())
        for file in thing.files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def save_judge(judge: Judge, path: Path) -> None:
    """Write a judge's file, its weights as fp16, whole or not at all."""
    told = json.dumps({"things": judge.names, "digest": judge.digest}, ensure_ascii=False)
    network = copy.deepcopy(judge.network).half()
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, partial(save_file, tensors, metadata={KEY: told}))


def read_judge(path: Path) -> Judge:
    """A judge from its file.

    Raises:
        ValueError: no such file, or none of `python -m train judge`.
    """
    advice = "make one with `python -m train judge`"
    try:
        with safe_open(path, "pt") as file:
            told = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        names, digest = tuple(map(str, told["things"])), str(told["digest"])
        network = Network(len(names))
        network.load_state_dict(tensors)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"cannot read the judge {str(path)!r}: {error}; {advice}") from None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{str(path)!r} is no judge ({reason}): {advice}") from None
    return Judge(network.eval(), names, digest)


def check_judge(judge: Judge, things: Sequence[Thing], path: Path) -> None:
    """Raise ValueError when a judge learned from other things than these."""
    names = tuple(thing.name for thing in things)
    if judge.names != names:
        other = sorted(set(names) ^ set(judge.names))[:3]
        raise ValueError(
            f"the judge {str(path)!r} tells {len(judge.names)} things apart, the list has "
            f"{len(names)} ({', '.join(other) or 'in another order'}): train it on this list, "
            "`python -m train judge`"
        )
    digest = digest_of(things)
    if judge.digest != digest:
        raise ValueError(
            f"the judge {str(path)!r} learned from other pictures ({judge.digest}, these are "
            f"{digest}): train it on these, `python -m train judge`"
        )
