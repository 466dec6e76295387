"""Files and folders that appear whole or not at all, with the rights that any new file gets.

Temporary ones are called `.NAME.HOST-PID.tmp`: who writes them can be told, and whether it lives.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<host>[0-9a-f]{8})-(?P<pid>[0-9]{1,10})\.(?:tmp|old)")
_OF_EARLIER_VERSIONS = re.compile(r"\.(?P<name>.+)\.[0-9]{1,10}\.(?:tmp|old)")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, sync it, then rename it to `path`.

    When anything fails, what was at `path` before stays and no temporary file is left. Those that
    killed processes have left in that folder are removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clean_once(path.parent.resolve())
    temporary = _temporary(path, "tmp")
    try:
        mode = _ordinary_mode(temporary)
        write(temporary)
        temporary.chmod(mode)  # some writers put a private file of their own in its place
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """As write_atomically, a text file in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_folder_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a folder that appears whole or not at all; see `new_folder`."""
    with new_folder(path) as temporary:
        write(temporary)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` to fill, which is then synced and renamed to `path`.

    When anything fails, what was at `path` before stays and no temporary folder is left. Folders
    cannot be exchanged in one step: a machine that dies between the two renames leaves the old
    folder whole, as `.NAME.HOST-PID.old`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _clean_once(path.parent.resolve())
    temporary, old = (_temporary(path, end) for end in ("tmp", "old"))
    try:
        temporary.mkdir()
        mode = _ordinary_mode(probe := temporary / "probe")
        probe.unlink()
        yield temporary
        for part in temporary.rglob("*"):
            if part.is_file():
                part.chmod(mode)
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


def remove_leftovers(folder: Path, before: float = 0.0) -> list[Path]:
    """Remove what killed processes left beside what they wrote; returns the paths.

    That is: temporary files and folders of this module whose process, of this machine, is gone;
    and, of any machine, those last changed before a time at which nobody else was writing there.
    The former content of a folder stays where it is all that there is.

    before: seconds since 1970.
    """
    removed = []
    for path in [*folder.glob(".*.tmp"), *folder.glob(".*.old")] if folder.is_dir() else ():
        try:
            if _is_leftover(path, before):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed.append(path)
        except OSError:  # it is gone by now, or not ours to remove
            continue
    return removed


def _is_leftover(path: Path, before: float) -> bool:
    ours = _LEFTOVER.fullmatch(path.name)
    found = ours or _OF_EARLIER_VERSIONS.fullmatch(path.name)
    if not found or (path.suffix == ".old" and not path.with_name(found["name"]).exists()):
        return False
    if path.stat().st_mtime < before:
        return True
    return bool(ours and ours["host"] == _host() and not _is_alive(int(ours["pid"])))


@cache
def _clean_once(folder: Path) -> None:
    """Not at every write: a folder may hold many files."""
    remove_leftovers(folder)


def _temporary(path: Path, end: str) -> Path:
    return path.with_name(f".{path.name}.{_host()}-{os.getpid()}.{end}")


@cache
def _host() -> str:
    """Eight digits for the name of this machine: processes of several may share a folder."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _is_alive(pid: int) -> bool:
    import psutil  # which accelerate and ComfyUI bring

    return psutil.pid_exists(pid)


def _ordinary_mode(path: Path) -> int:
    """Make an empty file; the rights that it gets, by the umask and the folder's own rules."""
    path.unlink(missing_ok=True)
    path.touch()
    return path.stat().st_mode & 0o777


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
