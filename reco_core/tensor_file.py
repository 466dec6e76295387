"""Write .safetensors files one tensor at a time, so that a model need not fit into memory.

A file is the length of its header (8 bytes, little endian), the header (JSON: type, shape and
place of every tensor) and the tensors' bytes (safetensors' format description). All of the header
follows from types and shapes, so it is written before any tensor is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

_ALIGNMENT = 8
_TYPE_NAMES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


def tensor_file_size(
    tensors: Tensors, metadata: Mapping[str, str], dtype: torch.dtype | None = None
) -> int:
    """Bytes of the file that `write_tensors` makes of the same arguments."""
    return len(_header(tensors, metadata, dtype)) + sum(
        tensor.numel() * stored_dtype(tensor, dtype).itemsize for tensor in tensors.values()
    )


def write_tensors(
    path: Path,
    tensors: Tensors,
    metadata: Mapping[str, str],
    dtype: torch.dtype | None = None,
    on_written: Callable[[int], object] | None = None,
    make: Callable[[str], torch.Tensor] | None = None,
) -> None:
    """Write a .safetensors file; at most one tensor is copied at a time.

    The bytes depend on the arguments alone. Tensors may be transposed, share memory, or lie on
    any device.

    dtype: what floating-point tensors become; None keeps theirs. Single numbers keep theirs.
    on_written: is called with the number of bytes that each tensor took.
    make: gives the tensor of a key when its turn comes; `tensors` then tell shapes and types alone,
        and may lie on the meta device.

    Raises:
        ValueError: a tensor of a type that the format does not know.
    """
    import torch

    with path.open("wb") as file:
        file.write(_header(tensors, metadata, dtype))
        for key in _order(tensors, dtype):
            # First to the CPU, where ComfyUI's patched weights come into being, one by one.
            tensor = (make(key) if make else tensors[key]).to("cpu").detach()
            flat = tensor.to(stored_dtype(tensors[key], dtype)).contiguous().reshape(-1)
            written = file.write(flat.view(torch.uint8).numpy())
            if on_written:
                on_written(written)


def stored_dtype(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """The type that a tensor gets when the model is stored as `dtype`."""
    return dtype if dtype and tensor.is_floating_point() and tensor.ndim else tensor.dtype


def _header(tensors: Tensors, metadata: Mapping[str, str], dtype: torch.dtype | None) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for key in _order(tensors, dtype):
        tensor = tensors[key]
        kind = stored_dtype(tensor, dtype)
        name = str(kind).removeprefix("torch.")
        if name not in _TYPE_NAMES:
            raise ValueError(f"{key!r} is of type {name}, which .safetensors files do not hold")
        start, end = end, end + tensor.numel() * kind.itemsize
        entries[key] = {
            "dtype": _TYPE_NAMES[name],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _order(tensors: Tensors, dtype: torch.dtype | None) -> list[str]:
    """Wide types first, so that each tensor starts at a multiple of its item size."""
    return sorted(tensors, key=lambda key: (-stored_dtype(tensors[key], dtype).itemsize, key))
