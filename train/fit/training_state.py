"""Resumable states of a run: written whole, the newest few kept, continued bit for bit."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from train.atomic import save_atomically
from train.fit.agreement import from_main
from train.fit.going_on import changed_options
from train.fit.health import check_finite
from train.fit.optimizer import optimizer_bytes
from train.fit.options import FitConfig, from_json, to_dict
from train.fit.state_parts import FROZEN, check_frozen
from train.model.compute import OutOfMemory, first_line, is_out_of_memory

REMOVE = "remove it to continue from the one before, or to start anew"
_NAME = re.compile(r"step-([0-9]{7,18})(?:\.pt)?")


@dataclass(frozen=True)
class Restored:
    """What a run goes on from: finished steps, halvings of the micro-batch, and what is to be said
    of states that were passed over."""

    step: int = 0
    halvings: int = 0
    remarks: tuple[str, ...] = ()


def state_path(folder: Path, step: int, in_parts: bool = False) -> Path:
    """Of a torch file, or of a folder that processes write together."""
    return folder / "states" / f"step-{step:07d}{'' if in_parts else '.pt'}"


def find_states(folder: Path) -> list[Path]:
    """A run's states, the newest first; what has other names is none."""
    found = ((_NAME.fullmatch(path.name), path) for path in (folder / "states").glob("step-*"))
    return [path for _, path in sorted(((int(n[1]), path) for n, path in found if n), reverse=True)]


def save_state(
    parts: dict[str, Any], config: FitConfig, step: int, halvings: int, accelerator: Accelerator
) -> None:
    """Write every part's state_dict, the number of finished steps and the options; drop old states.

    Every process has to call it; the main one alone writes what is not spread over them.

    Raises:
        ValueError: the state cannot be written; those before it are as they were.
    """
    in_parts = config.compute.engine == "fsdp"
    if not (in_parts or accelerator.is_main_process):
        return
    path = state_path(Path(config.folder), step, in_parts)
    state = {name: part.state_dict() for name, part in parts.items() if part is not None}
    state |= {"step": step, "halvings": halvings, "options": json.dumps(to_dict(config))}
    state["processes"] = accelerator.num_processes
    try:
        if in_parts:
            from train.fit.state_in_parts import write_in_parts

            write_in_parts(state, path, accelerator)
        else:
            save_atomically(state, path)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"the state of step {step} could not be written to {str(path)!r} ({error}); older "
            "states are as they were: make room and run the same command to continue"
        ) from error
    if accelerator.is_main_process:
        for old in find_states(Path(config.folder))[config.keep :]:
            old.unlink() if old.suffix else shutil.rmtree(old)


def restore_state(parts: dict[str, Any], config: FitConfig, accelerator: Accelerator) -> Restored:
    """Go on from the newest state that can be read, if there is one.

    Damaged ones that are newer are set aside, under another name. Every process has to call it.

    Raises:
        ValueError: no state can be read, or the newest that can is of a run with other options or
            frozen weights, or not finite; memory runs out.
    """
    damaged: list[tuple[Path, str]] = []
    for path in from_main(accelerator, lambda: find_states(Path(config.folder))):
        try:
            state = _read(path) if path.suffix else _read_by_main(path, accelerator)
            _check_run(state, parts, config, path)
            _check_stream(state, config, accelerator.num_processes, path)
            if not path.suffix:
                state = _filled(state, path, parts, accelerator)
            check_finite({name: state[name] for name in parts if name in state}, str(path), REMOVE)
            _load(state, parts, path)
        except DamagedState as error:
            damaged.append((path, str(error)))
            continue
        mine = accelerator.is_main_process
        remarks = tuple(_set_aside(one, why, path, mine) for one, why in damaged)
        return Restored(state["step"], state["halvings"], remarks)
    if damaged:
        path, why = damaged[0]
        raise ValueError(f"the state {str(path)!r} cannot be read ({why}): {REMOVE}")
    return Restored()


class DamagedState(Exception):
    """A file that is no state, or not all of one; says how."""


def _read(path: Path) -> dict[str, Any]:
    """A state, on the CPU: on the device there may be no room for a second model."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise _unreadable(error, path) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state["options"] = from_json(state["options"])
        if not (isinstance(state["step"], int) and isinstance(state["halvings"], int)):
            raise ValueError("it does not say at which step it is")
    except Exception as error:  # a damaged file can raise anything
        _check_cause(error, path)
        raise DamagedState(first_line(error)) from error
    return state


def _read_by_main(path: Path, accelerator: Accelerator) -> dict[str, Any]:
    """What is not spread of a state in parts, which the main process reads for all."""
    from train.fit.state_in_parts import REST

    def read() -> dict[str, Any] | str:
        try:
            return _read(path / REST)
        except DamagedState as error:
            return str(error)

    found = from_main(accelerator, read)
    if isinstance(found, str):
        raise DamagedState(found)
    return found


def _filled(
    state: dict[str, Any], path: Path, parts: dict[str, Any], accelerator: Accelerator
) -> dict[str, Any]:
    """A state with what processes have of it in parts."""
    from train.fit.state_in_parts import read_parts

    now = {name: part.state_dict() for name, part in parts.items() if part is not None}
    try:
        return read_parts(state, path, now, accelerator)
    except OutOfMemory:
        raise
    except OSError as error:
        raise _unreadable(error, path) from error
    except Exception as error:
        _check_cause(error, path)
        raise DamagedState(first_line(error)) from error


def _unreadable(error: OSError, path: Path) -> Exception:
    """What to raise where a state cannot be opened."""
    if isinstance(error, FileNotFoundError):  # another process has set it aside
        return DamagedState(first_line(error))
    return ValueError(
        f"the state {str(path)!r} cannot be read ({error.strerror or error}): see that it can be, "
        "and run the same command to continue"
    )


def _load(state: dict[str, Any], parts: dict[str, Any], path: Path) -> None:
    try:
        for name, part in parts.items():
            if part is not None and name != FROZEN:
                part.load_state_dict(state[name])
    except Exception as error:  # what was loaded so far is replaced by an older state, or not used
        _check_cause(error, path)
        raise DamagedState(first_line(error)) from error


def _check_run(state: dict[str, Any], parts: dict[str, Any], config: FitConfig, path: Path) -> None:
    """Raise ValueError unless a state is of this run."""
    options = state["options"]
    if isinstance(text_encoder := state.get("text_encoder"), dict):
        options["model"] |= _table_sizes(text_encoder)
    changed = [
        f"{name} was {old!r} and is {new!r}" for name, old, new in changed_options(options, config)
    ]
    if changed:
        raise ValueError(
            f"{str(path)!r} is from a run with other options: {'; '.join(changed)}: use these "
            "options, or another folder (with model.base to go on from its weights)"
        )
    check_frozen(state.get(FROZEN), parts.get(FROZEN), path)


def _check_stream(state: dict[str, Any], config: FitConfig, processes: int, path: Path) -> None:
    """Raise ValueError where what is read from front to back was shared out otherwise."""
    before = state.get("processes", processes)
    if config.data.sets[0].is_stream and before != processes:
        raise ValueError(
            f"{str(path)!r} is of a run in {before} process(es), and now there are {processes}: "
            f"{config.data.sets[0].kind} are shared out by their number, so go on with {before}, "
            "or pack them (python -m train data pack) for a new run with any number"
        )


def _check_cause(error: Exception, path: Path) -> None:
    """Raise OutOfMemory where an error is no damage of the state's."""
    if is_out_of_memory(error):
        when = f"while the state {str(path)!r} was read, which is as it was"
        raise OutOfMemory(first_line(error), when) from error


def _set_aside(path: Path, why: str, used: Path, may_rename: bool) -> str:
    """Give a damaged state a name that is none of a state's; says so."""
    place = path.with_name(f"{path.name}.damaged")
    number = 1
    while place.exists():
        number += 1
        place = path.with_name(f"{path.name}.damaged-{number}")
    if may_rename and path.exists():
        path.rename(place)
    return (
        f"WARNING: the state {str(path)!r} is damaged ({why}): it is now {place.name!r}, and the "
        f"run goes on from {used.name!r}, before it"
    )


def check_room(config: FitConfig, trained: Sequence[nn.Parameter], weights: int) -> None:
    """Before training: is there room for the states that are kept, one more, and the output?

    trained: what learns; weights: how many numbers are in the model.

    Raises:
        ValueError: there is not; says how much is needed.
    """
    learned = 4 * sum(map(torch.numel, trained))
    averages = learned if config.optimizer.ema_decay else 0
    state = learned + optimizer_bytes(trained, config.optimizer) + averages
    needed = state * (config.keep + 1) + 4 * weights
    free = shutil.disk_usage(config.folder).free
    if free < needed:
        raise ValueError(
            f"the folder {config.folder!r} has {free / 2**30:.1f} GiB free, but {config.keep + 1} "
            f"states and the output need up to {needed / 2**30:.1f} GiB: make room, choose "
            "another folder, or set keep = 1"
        )


def _table_sizes(text_encoder: Mapping[str, Tensor]) -> dict[str, int]:
    """Options of sizes as they are, which states of earlier versions tell by their tables alone."""
    rows = {name: len(x) for name, x in text_encoder.items() if name.endswith("_embedding.weight")}
    sizes = {name.rpartition("embeddings.")[2]: count for name, count in rows.items()}
    found = {}
    if tokens := sizes.get("token_embedding.weight"):
        found["num_bins"] = tokens - CLIP_VOCABULARY_SIZE
    if positions := sizes.get("position_embedding.weight"):
        found["max_length"] = positions
    return found
