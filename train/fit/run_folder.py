"""A run's folder: one run at a time writes to it."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate import Accelerator
from filelock import FileLock, Timeout

from reco_core.atomic import remove_leftovers, write_text_atomically
from train.fit.agreement import together
from train.fit.options import FitConfig

LOCK, HOLDER = "run.lock", "run.lock.json"


@contextmanager
def alone_in_folder(config: FitConfig, accelerator: Accelerator) -> Iterator[None]:
    """Within, no other run writes to this run's folder; what killed ones left is removed first.

    The main process holds the lock, which is the operating system's: it ends with the process,
    however that ends.

    Raises:
        ValueError: another run is there, or a folder cannot be written.
    """
    folder = Path(config.folder)
    lock = FileLock(folder / LOCK)
    try:
        with together(accelerator):
            check_folder(config)
            if accelerator.is_main_process:
                _lock(folder, lock)
                _remove_leftovers(folder)
        yield
    finally:
        lock.release()


def check_folder(config: FitConfig) -> None:
    """Can the folders be written? Raises ValueError if not."""
    for folder in (Path(config.folder), Path(config.output).resolve().parent):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ValueError(
                f"the folder {str(folder)!r} cannot be written ({error.strerror or error}): "
                "choose another with folder=FOLDER or output=FILE"
            ) from error


def _remove_leftovers(folder: Path) -> None:
    """Only who holds the lock writes states and exports; other runs may share a cache."""
    for own in ("states", "exports"):
        remove_leftovers(folder / own, before=time.time())
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        remove_leftovers(place)


def _lock(folder: Path, lock: FileLock) -> None:
    """Raises ValueError that says who holds it."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"another run is going on in the folder {str(folder)!r} ({_holder(folder)}): wait for "
            "it, stop it, or choose another with folder=FOLDER"
        ) from None
    told = {"pid": os.getpid(), "host": socket.gethostname()}
    write_text_atomically(folder / HOLDER, json.dumps(told))


def _holder(folder: Path) -> str:
    """Which process holds the lock, as it said."""
    try:
        told = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {told['pid']} on {told['host']}"
    except (OSError, ValueError, KeyError, TypeError):  # it has not said so yet
        return "a process that has just begun"
