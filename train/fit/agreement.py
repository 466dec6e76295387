"""Processes that train one model together: they start with the same weights and stay equal.

Nothing is sent or read where there is one process alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, broadcast_object_list
from torch import Tensor, nn

from train.model.text_to_image import TextToImage

T = TypeVar("T")


@contextmanager
def together(accelerator: Accelerator) -> Iterator[None]:
    """What fails in one process within the block ends all of them, rather than leaving the others
    waiting for it.

    Raises:
        ValueError: what went wrong here, or that it did in another process.
    """
    failure: Exception | None = None
    try:
        yield
    except (ValueError, OSError) as error:
        failure = error
    if any_process(failure is not None, accelerator):
        raise failure or ValueError("another process failed, and says why")


def from_main(accelerator: Accelerator, make: Callable[[], T]) -> T:
    """What the main process makes; the others get copies, and make nothing.

    Raises:
        ValueError: on all processes, when it cannot be made, or one cannot take its copy.
    """
    made: list[Any] = [None]
    with together(accelerator):
        if accelerator.is_main_process:
            made[0] = make()
    if accelerator.num_processes > 1:
        with together(accelerator):
            broadcast_object_list(made)
    return made[0]


def any_process(flag: bool, accelerator: Accelerator) -> bool:
    """Whether any process says so; all get the same answer."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.reduce(torch.tensor(float(flag), device=accelerator.device)) > 0)


@torch.no_grad()
def share_weights(model: TextToImage, accelerator: Accelerator) -> None:
    """Give every process the main one's weights: parameters and buffers, frozen ones too.

    Raises:
        ValueError: another process has a model of other names or sizes.
    """
    if accelerator.num_processes == 1:
        return
    check_agreement({}, {"the shapes of weights": _shapes(model)}, accelerator, "At the start")
    for tensor in model_tensors(model).values():
        whole = tensor.detach().contiguous()
        broadcast(_bytes(whole))
        tensor.copy_(whole)


def check_agreement(
    tensors: Mapping[str, Tensor], facts: Mapping[str, object], accelerator: Accelerator, when: str
) -> None:
    """Compare digests of values that processes must have in common.

    tensors, facts: by the names that an error says; when: "At the start", for instance.

    Raises:
        ValueError: on all processes, when one has other values; names what differs.
    """
    if accelerator.num_processes > 1:
        _compare(facts, accelerator, when)  # first: how many tensors there are hangs on them
        _compare(tensors, accelerator, when)


def model_tensors(model: TextToImage) -> dict[str, Tensor]:
    """Parameters and buffers of all parts, by name."""
    parts = ("unet", model.unet), ("text_encoder", model.text_encoder)
    return dict(chain(*(_named(*part) for part in (*parts, ("codec", model.codec.autoencoder)))))


def trained_tensors(model: TextToImage, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All of a model, and what an optimiser remembers of each parameter, by its place."""
    moments = {
        f"optimizer.{place}.{name}": value
        for place, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }
    return model_tensors(model) | moments


def digest(value: object) -> str:
    """SHA-256 of a tensor's bits, or of anything else's text."""
    if isinstance(value, Tensor):
        return hashlib.sha256(_bytes(value.detach().cpu().contiguous()).numpy()).hexdigest()
    return hashlib.sha256(repr(value).encode()).hexdigest()


def _compare(values: Mapping[str, object], accelerator: Accelerator, when: str) -> None:
    numbers = [int(digest(value)[:15], 16) for value in values.values()]
    mine = torch.tensor([numbers], dtype=torch.int64, device=accelerator.device)
    found = accelerator.gather(mine)  # (processes, values)
    same = found == found[:1]
    if bool(same.all()):
        return
    names = [name for name, equal in zip(values, same.all(0).tolist(), strict=True) if not equal]
    others = [str(place) for place, equal in enumerate(same.all(1).tolist()) if not equal]
    raise ValueError(
        f"{when} process {', '.join(others)} differs from process 0 in {len(names)} of "
        f"{len(values)} values, first in {names[0]}: all processes need the same configuration and "
        "files, and on several machines a run's folder that they share"
    )


def _shapes(model: TextToImage) -> list[tuple[object, ...]]:
    return [(name, x.dtype, *x.shape) for name, x in model_tensors(model).items()]


def _named(name: str, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from chain(module.named_parameters(name), module.named_buffers(name))


def _bytes(tensor: Tensor) -> Tensor:
    """The memory of a contiguous tensor, which processes can exchange whatever its type is."""
    return tensor.reshape(-1).view(torch.uint8)
