"""Resumable states of a run: written whole, the newest few kept, continued bit for bit."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from train.atomic import save_atomically
from train.fit.health import check_finite
from train.fit.optimizer import optimizer_bytes
from train.fit.options import FitConfig, from_json, to_dict

FREE_OPTIONS = {
    "output", "save_every", "keep", "export_every", "output_precision", "licence",
    "sample", "validation", "log",
}  # fmt: skip
"""Options that may differ when a run goes on: they do not change the weights."""


def state_path(folder: Path, step: int) -> Path:
    return folder / "states" / f"step-{step:07d}.pt"


def newest_state(folder: Path) -> Path | None:
    """The state to continue from; half-written ones of a killed process are removed."""
    for leftover in (folder / "states").glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
    return max((folder / "states").glob("step-*.pt"), default=None)


def save_state(parts: dict[str, Any], config: FitConfig, step: int, halvings: int) -> None:
    """Write every part's state_dict, the number of finished steps and the options; drop old states.

    Raises:
        ValueError: the state cannot be written; those before it are as they were.
    """
    path = state_path(Path(config.folder), step)
    state = {name: part.state_dict() for name, part in parts.items() if part is not None}
    state |= {"step": step, "halvings": halvings, "options": json.dumps(to_dict(config))}
    try:
        save_atomically(state, path)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"the state of step {step} could not be written to {str(path)!r} ({error}); older "
            "states are as they were: make room and run the same command to continue"
        ) from error
    for old in sorted(path.parent.glob("step-*.pt"))[: -config.keep]:
        old.unlink()


def restore_state(
    parts: dict[str, Any], config: FitConfig, device: torch.device
) -> tuple[int, int]:
    """Read the newest state, if there is one: finished steps, and halvings of the micro-batch.

    Raises:
        ValueError: the state is of a run with other options, damaged, or not finite.
    """
    path = newest_state(Path(config.folder))
    if path is None:
        return 0, 0
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        options, step, halvings = from_json(state["options"]), state["step"], state["halvings"]
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(
            f"the state {str(path)!r} cannot be read ({error}): remove it to continue from the "
            "one before, or to start anew"
        ) from error
    options["model"] |= _table_sizes(state["text_encoder"])
    _check_options(options, config, path)
    remove = "remove it to continue from the one before, or to start anew"
    check_finite({name: state[name] for name in parts if name in state}, str(path), remove)
    for name, part in parts.items():
        if part is not None:
            part.load_state_dict(state[name])
    return step, halvings


def check_folder(config: FitConfig) -> None:
    """Before training: can the folders be written? Raises ValueError if not."""
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


def check_room(config: FitConfig, trained: Sequence[nn.Parameter], weights: int) -> None:
    """Before training: is there room for the states that are kept, one more, and the output?

    trained: what learns; weights: how many numbers are in the model.

    Raises:
        ValueError: there is not; says how much is needed.
    """
    averages = 4 * sum(map(torch.numel, trained)) if config.optimizer.ema_decay else 0
    state = 4 * weights + optimizer_bytes(trained, config.optimizer) + averages
    needed = state * (config.keep + 1) + 4 * weights
    free = shutil.disk_usage(config.folder).free
    if free < needed:
        raise ValueError(
            f"the folder {config.folder!r} has {free / 2**30:.1f} GiB free, but {config.keep + 1} "
            f"states and the output need up to {needed / 2**30:.1f} GiB: make room, choose "
            "another folder, or set keep = 1"
        )


def _table_sizes(text_encoder: dict[str, Tensor]) -> dict[str, int]:
    """Options of sizes as they are, since a base that had its own was not asked what they said."""
    rows = {name: len(x) for name, x in text_encoder.items() if name.endswith("_embedding.weight")}
    sizes = {name.rpartition("embeddings.")[2]: count for name, count in rows.items()}
    bins = sizes["token_embedding.weight"] - CLIP_VOCABULARY_SIZE
    return {"num_bins": bins, "max_length": sizes["position_embedding.weight"]}


def _check_options(before: dict[str, Any], config: FitConfig, path: Path) -> None:
    now = json.loads(json.dumps(to_dict(config)))  # tuples become lists, as in `before`
    before.get("optimizer", {})["steps"] = now["optimizer"]["steps"]  # a run may go on for longer
    changed = [
        f"{name} was {old!r} and is {new!r}"
        for name, old, new in _differences(before, now)
        if name.split(".")[0] not in FREE_OPTIONS
    ]
    if changed:
        raise ValueError(
            f"{str(path)!r} is from a run with other options: {'; '.join(changed)}: use these "
            "options, or another folder (with model.base to go on from its weights)"
        )


def _differences(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif before != now:
        yield name, before, now
