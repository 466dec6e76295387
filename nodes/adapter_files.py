"""Which files of ComfyUI's loras folder are ReCo adapters, by the beginning of each alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

import folder_paths

from .registration import is_registering

FOLDER = "loras"
NO_ADAPTERS = "none yet: put a ReCo adapter into models/loras"
"""Stands in the list where there is nothing to choose."""
HOW_TO_GET_ONE = (
    "`python -m train fit` writes a ReCo adapter when lora.rank is set; put the .safetensors file "
    "into ComfyUI's models/loras and press R"
)

_TENSOR = re.compile(rb'"reco\.token_rows"\s*:\s*\{')  # in a header of JSON: only adapters have it
_MAX_HEADER = 100_000_000  # bytes, of the safetensors format

_known: dict[str, tuple[int, int, bool]] = {}
"""By path: when the file was written, its size, and whether it is an adapter."""


def adapter_names() -> list[str]:
    """Names of the adapters in ComfyUI's loras folder, or one line that says what to put there."""
    if is_registering():
        return []
    names = folder_paths.get_filename_list(FOLDER)
    return [name for name in names if _is_listed(name)] or [NO_ADAPTERS]


def adapter_path(name: str) -> Path:
    """The file of a name. Raises FileNotFoundError when it is gone."""
    return Path(folder_paths.get_full_path_or_raise(FOLDER, name))


def why_no_adapter(name: str | None) -> bool | str:
    """For validate_inputs: True, or why there is no file of this name. None: it is linked.

    A file of another kind is left to the run, which says what it is.
    """
    if name is None or folder_paths.get_full_path(FOLDER, name):
        return True
    if name == NO_ADAPTERS:
        return f"there is no ReCo adapter yet: {HOW_TO_GET_ONE}"
    return f"there is no file {name[:200]!r} in models/{FOLDER}: choose another, or fetch it again"


def _is_listed(name: str) -> bool:
    path = folder_paths.get_full_path(FOLDER, name)
    return bool(path) and path.lower().endswith(".safetensors") and is_adapter(path)


def is_adapter(path: str) -> bool:
    """Whether the header of a .safetensors file is an adapter's; remembered while the file stays as
    it is. A file that cannot be read is none."""
    try:
        stat = os.stat(path)
        known = _known.get(path)
        if known and known[:2] == (stat.st_mtime_ns, stat.st_size):
            return known[2]
        found = _TENSOR.search(_header(path, stat.st_size)) is not None
    except OSError:
        return False
    _known[path] = (stat.st_mtime_ns, stat.st_size, found)
    return found


def _header(path: str, size: int) -> bytes:
    """The JSON at the beginning of a .safetensors file; empty where there is none."""
    with open(path, "rb", buffering=0) as file:
        length = int.from_bytes(file.read(8), "little")
        return file.read(length) if length <= min(_MAX_HEADER, size - 8) else b""
