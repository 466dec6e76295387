"""Processes that train one model together: they start with the same weights and stay equal.

Nothing is sent or read where there is one process alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn

from train.model import TextToImage


@torch.no_grad()
def share_weights(model: TextToImage, accelerator: Accelerator) -> None:
    """Give every process the main one's weights: parameters and buffers, frozen ones too."""
    if accelerator.num_processes == 1:
        return
    for tensor in model_tensors(model).values():
        whole = tensor.detach().contiguous()
        broadcast(_bytes(whole))
        tensor.copy_(whole)


def check_agreement(
    tensors: Mapping[str, Tensor], facts: Mapping[str, object], accelerator: Accelerator, when: str
) -> None:
    """Raise ValueError on all processes when one has other values; names what differs.

    facts: what must be equal beside tensors, by name; when: for the message, as "at the start".
    """
    if accelerator.num_processes == 1:
        return
    shapes = {name: (str(x.dtype), *x.shape) for name, x in tensors.items()}
    _compare({**facts, "the names and shapes of weights": shapes}, accelerator, when)
    _compare(tensors, accelerator, when)


def model_tensors(model: TextToImage) -> dict[str, Tensor]:
    """Parameters and buffers of all parts, by name."""
    parts = ("unet", model.unet), ("text_encoder", model.text_encoder)
    return dict(chain(*(_named(*part) for part in (*parts, ("codec", model.codec.autoencoder)))))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers of each parameter, by the parameter's place."""
    states = optimizer.state_dict()["state"]
    return {
        f"optimizer.{place}.{name}": value
        for place, state in states.items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def digest(value: object) -> str:
    """SHA-256 of a tensor's bits, or of anything else's text."""
    if isinstance(value, Tensor):
        return hashlib.sha256(_bytes(value.detach().cpu().contiguous()).numpy()).hexdigest()
    return hashlib.sha256(repr(value).encode()).hexdigest()


def _compare(values: Mapping[str, Any], accelerator: Accelerator, when: str) -> None:
    """All processes get the same answer, since all compare with the main one's digests."""
    words = [int(digest(value)[:15], 16) for value in values.values()]
    mine = torch.tensor([words], dtype=torch.int64, device=accelerator.device)
    same = (all_ := accelerator.gather(mine)) == all_[:1]  # (processes, values)
    if bool(same.all()):
        return
    names = [name for name, is_same in zip(values, same.all(dim=0).tolist(), strict=True) if not is_same]
    others = [str(i) for i, is_same in enumerate(same.all(dim=1).tolist()) if not is_same]
    raise ValueError(
        f"{when}, {len(names)} of {len(values)} values of process {', '.join(others)} are not those "
        f"of process 0, for instance {names[0]}: give all processes the same configuration, the "
        "same files and, where they are on several machines, a folder that all of them share"
    )


def _named(name: str, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for key, tensor in chain(module.named_parameters(name), module.named_buffers(name)):
        yield key, tensor


def _bytes(tensor: Tensor) -> Tensor:
    """The memory of a contiguous tensor, which processes can exchange whatever its type is."""
    return tensor.reshape(-1).view(torch.uint8)
