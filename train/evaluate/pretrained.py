"""Models of others that scores lean on: named by folder, file or hub id, never fetched unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def load_pretrained(option: str, what: str, name: str, load: Callable[[bool], T]) -> T:
    """What `load` makes of a name; its argument is whether to look at this machine's files only.

    option: of the command line that names the model. what: it is, in words.

    Raises:
        ValueError: there is no such model, or it is of another kind.
    """
    try:
        return load(Path(name).expanduser().is_dir())
    except OSError as error:
        raise ValueError(
            f"{option} {name!r}: no {what} is in such a folder, in the hub's cache or could be "
            "fetched from the hub; run once with access to the hub, or fetch it elsewhere (hf "
            f"download OWNER/NAME --local-dir FOLDER) and give {option} FOLDER"
        ) from error
    except (ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{option} {name!r} is no {what}: {reason}") from error


def pick_device(name: str = "") -> str:
    """The device that is named, else ("" or "auto") CUDA where there is some, else the CPU.

    Raises:
        ValueError: this machine has no such device.
    """
    import torch

    if name in ("", "auto"):
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"device = {name!r}: this machine has no such device ({reason}); give cpu, cuda, "
            "cuda:1 ..., or auto"
        ) from None
    return name


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Items in their order, `size` at a time. Raises ValueError when that is below 1."""
    if size < 1:
        raise ValueError(f"batch_size = {size}: at least 1 picture must go through at once")
    for start in range(0, len(items), size):
        yield items[start : start + size]
