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
from torch.distributed.tensor import Shard, zeros
from torch.utils._pytree import tree_flatten_with_path, tree_map, tree_map_with_path

from reco_core.atomic import new_folder
from train.atomic import save_atomically
from train.fit.agreement import from_main, together
from train.fit.sharding import is_part, start_mesh
from train.model.compute import is_out_of_memory, memory_errors_told

REST = "rest.pt"
FILES = "files"
"""In the torch file: how many bytes each of the other files has."""


def write_in_parts(state: dict[str, Any], path: Path, accelerator: Accelerator) -> None:
    """Write a state as a folder, which appears whole or not at all; every process has to call it.

    Raises:
        OSError, ValueError: it cannot be written.
    """
    parts = {_name(place): x.detach() for place, x in _flat(state) if is_part(x)}
    with ExitStack() as stack:
        folder = from_main(accelerator, lambda: stack.enter_context(new_folder(path)))
        with together(accelerator):
            writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
            _told(lambda: dcp.save(parts, storage_writer=writer))
            if accelerator.is_main_process:
                sizes = _sizes(folder)
                if len(sizes) != accelerator.num_processes:
                    raise OSError(
                        f"{len(sizes)} of {accelerator.num_processes} parts are there: the run's "
                        "folder has to be one that all machines share"
                    )
                save_atomically(tree_map(_outline, state) | {FILES: sizes}, folder / REST)


def read_parts(
    rest: dict[str, Any], path: Path, now: dict[str, Any], accelerator: Accelerator
) -> dict[str, Any]:
    """A state with what is spread, as so many processes have it; every one has to call it.

    rest: what the torch file in the folder `path` holds. now: the state as it is: tensors in it are
    read over, so that there need be no room for a second model.

    Raises:
        OSError: a part cannot be read.
        ValueError: parts are missing, damaged or of other sizes, or memory runs out.
    """
    sizes = _sizes(path)
    if sizes != (told := rest.get(FILES)):
        raise ValueError(f"its parts have {sizes} bytes, and were written with {told}")
    mesh = start_mesh(accelerator.device)
    mine = {_name(place): x for place, x in _flat(now) if is_part(x)}

    def room(place: Any, value: Any) -> Any:
        if not _is_outline(value):
            return value
        if (name := _name(place)) in mine:
            return mine[name].detach()
        return zeros(value.shape, dtype=value.dtype, device_mesh=mesh, placements=[Shard(0)])

    with together(accelerator), memory_errors_told("while a state was read"):
        state = tree_map_with_path(room, rest)
        parts = {_name(place): x for place, x in _flat(state) if is_part(x)}
    _told(lambda: dcp.load(parts, storage_reader=HuggingFaceStorageReader(str(path))))
    return state


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.glob("*.safetensors"))}


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
    """Do what processes do together. What fails in any of them fails in all: as it is when they
    were stopped, have no memory or cannot read or write, and as ValueError when files are bad."""
    try:
        action()
    except CheckpointException as error:
        rank, (failure, _) = next(iter(error.failures.items()))
        as_it_is = isinstance(failure, KeyboardInterrupt | OSError)
        if as_it_is or (isinstance(failure, Exception) and is_out_of_memory(failure)):
            raise failure from None
        raise ValueError(f"process {rank}: {type(failure).__name__}: {failure}") from None
