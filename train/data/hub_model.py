"""Models of transformers, from a folder, the hub's cache or the hub."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
SECONDS_TO_ANSWER = 5
"""That the hub has before it counts as out of reach."""


def load_model(name: str, what: str, default: str, load: Callable[[str, bool], T]) -> T:
    """What `load` makes of a name and whether to look at this machine's files only.

    what: the model is, in words. default: on the hub, named where `name` cannot be there.

    Raises:
        ValueError: there is no such model, or it is of another kind.
    """
    on_hub = re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) is not None
    try:
        return load(name, Path(name).is_dir() or not on_hub or not _hub_has(name))
    except OSError as error:
        raise ValueError(
            f"the {what} {name!r} is not here and could not be fetched from the hub: run "
            f"once with access to it, or fetch it elsewhere (hf download "
            f"{name if on_hub else default} --local-dir FOLDER) and give --model FOLDER"
        ) from error
    except (ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{name!r} is no {what}: {reason}") from error


def _hub_has(name: str) -> bool:
    """Whether the hub answers for a model; one question, where loading would ask many times."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(name, timeout=SECONDS_TO_ANSWER)
    except Exception:  # of the network, its certificates, or the hub's answer
        return False
    return True
