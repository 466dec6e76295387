"""A state that processes write together: each its own rows of the tensors that are spread, by
torch.distributed.checkpoint as safetensors; any number of them read it.

What is not spread is a torch file beside them, in which spread tensors are of the meta device:
names, shapes and types. It is read as every state is, without executing what it may hold.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from accelerate import Accelerator
from torch import Tensor
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.tensor import DTensor, Shard, zeros
from torch.utils._pytree import tree_flatten_with_path, tree_map, tree_map_with_path

from reco_core.atomic import new_folder
from train.atomic import save_atomically
from train.fit.agreement import from_main, together
from train.fit.sharding import is_part, start_mesh
from train.model.compute import first_line

REST = "rest.pt"


def write_in_parts(state: dict[str, Any], path: Path, accelerator: Accelerator) -> None:
    """Write a state as a folder, which appears whole or not at all; every process has to call it.

    Raises:
        OSError, ValueError: it cannot be written.
    """
    parts = {_name(place): x.detach() for place, x in _flat(state) if is_part(x)}
    rest = tree_map(_outline, state)
    with ExitStack() as stack:
        folder = from_main(accelerator, lambda: stack.enter_context(new_folder(path)))
        with together(accelerator):
            writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
            _told(lambda: dcp.save(parts, storage_writer=writer))
            if accelerator.is_main_process:
                save_atomically(rest, folder / REST)


def read_parts(rest: dict[str, Any], path: Path, device: torch.device) -> dict[str, Any]:
    """A state with what is spread, as so many processes have it; every one has to call it.

    rest: what the torch file in the folder `path` holds.

    Raises:
        OSError: parts are missing, damaged, or of other sizes.
    """
    mesh = start_mesh(device)

    def room(place: Any, value: Any) -> Any:
        if not _is_outline(value):
            return value
        return zeros(value.shape, dtype=value.dtype, device_mesh=mesh, placements=[Shard(0)])

    state = tree_map_with_path(room, rest)
    parts = {_name(place): x for place, x in _flat(state) if isinstance(x, DTensor)}
    _told(lambda: dcp.load(parts, storage_reader=HuggingFaceStorageReader(str(path))))
    return state


def _flat(state: Any) -> list[tuple[Any, Any]]:
    return tree_flatten_with_path(state)[0]


def _name(place: Any) -> str:
    """ "optimizer.state.0.exp_avg" of where a tensor is in a state."""
    return ".".join(str(getattr(key, "key", getattr(key, "idx", key))) for key in place)


def _outline(value: Any) -> Any:
    """What the torch file has of a value."""
    if is_part(value):
        return torch.empty(value.shape, dtype=value.dtype, device="meta")
    return value


def _is_outline(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_meta


def _told(action: Callable[[], object]) -> None:
    """Do what processes do together; what fails in any of them is an OSError in all."""
    try:
        action()
    except CheckpointException as error:
        rank, (failure, _) = next(iter(error.failures.items()))
        raise OSError(f"process {rank}: {type(failure).__name__}: {first_line(failure)}") from None
