"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, then rename it to `path`.

    When anything fails, what was at `path` before stays and no temporary file is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """As write_atomically, a text file in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_folder_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary folder beside `path`, sync it, then rename it to `path`.

    When anything fails, what was at `path` before stays and no temporary folder is left. Folders
    cannot be exchanged in one step: a machine that dies between the two renames leaves the old
    folder whole, as `.NAME.PID.old`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    try:
        temporary.mkdir()
        write(temporary)
        for part in temporary.rglob("*"):
            if part.is_file():
                with part.open("rb+") as file:
                    os.fsync(file.fileno())
        if path.exists():
            os.rename(path, old)
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not path.exists():
            os.rename(old, path)
        shutil.rmtree(old, ignore_errors=True)


def require_space(path: Path, size: int) -> None:
    """Raise a ValueError unless the disk that `path` is to be on has room for size more bytes."""
    folder = path.resolve().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < size:
        raise ValueError(
            f"{path} needs {size / 1e9:.2f} GB but the disk has {free / 1e9:.2f} GB free: "
            "delete something or write to another disk"
        )
