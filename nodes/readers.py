"""Who reads a layout: the tokenizers of the checkpoints and adapters that a workflow names, for
counting before it runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import folder_paths

from ..reco_core.adapter import adapted_info, read_adapter
from ..reco_core.checkpoint_info import CheckpointInfo, full_size
from ..reco_core.checks import quote
from ..reco_core.family import SD1
from ..reco_core.position_tokens import DEFAULT_VOCABULARY
from .adapter_files import NO_ADAPTERS, adapter_names, adapter_path, why_no_adapter
from .checkpoints import read_reco_checkpoint, read_reco_parts
from .inputs import OVERFLOW_JOIN
from .loaders import checkpoint_names, checkpoint_path, written
from .parts import TEXT_ENCODER_FOLDER, UNET_FOLDER, part_names, part_paths
from .tokenizer import ReCoTokenizer

NO_CHECKPOINT = full_size(SD1, num_bins=DEFAULT_VOCABULARY.num_bins)
"""For counting before a checkpoint is chosen."""

MAX_READERS = 16
"""Of one layout: each is a count of its own."""

Info = CheckpointInfo | None


class _Step(NamedTuple):
    """One of what a text is read by: `read` makes of what is before it, and of its files, what is
    there after it. name: for people."""

    name: str
    read: Callable[..., Info]
    files: tuple[Path, ...] = ()


class Reader(NamedTuple):
    """name: for people. joins: whether what does not fit is read in further sequences."""

    name: str
    tokenizer: ReCoTokenizer
    joins: bool = False


def find_readers(readers: list) -> list[Reader]:
    """Readers, each a list of steps from the loader on; that of NO_CHECKPOINT without any.

    Steps: {"checkpoint": file of ReCo Load Checkpoint's list}, {"unet": ..., "text_encoder": ...}
    of ReCo Load Parts' lists, {"adapter": file of ReCo Apply Adapter's list} on what is before it
    or on any checkpoint, {"transplant": true}, and at last {"overflow": what the encoding node does
    with it}. A file that is not yet chosen is "". Raises
    ValueError for another step, a file that is not listed, or too many readers.
    """
    if len(readers) > MAX_READERS:
        raise ValueError(
            f"{len(readers)} readers of a layout: at most {MAX_READERS} are counted for"
        )
    found: dict[tuple[_Step, ...], bool] = {}  # steps -> whether all that read by them join
    for reader in readers:
        asked = reader if isinstance(reader, list) else [reader]
        asked, joins = _without_overflow(asked)
        steps = tuple(_step(step) for step in asked)
        if any(step.files for step in steps):
            found[steps] = joins and found.get(steps, True)
    named = {steps: " + ".join(step.name for step in steps if step.name) for steps in found}
    made = [Reader(named[steps], _read_by(steps), joins) for steps, joins in found.items()]
    return made or [Reader("", _read_by(()))]


def _without_overflow(steps: list) -> tuple[list, bool]:
    """The steps before the last, and whether that joins sequences; all if the last says nothing."""
    match steps:
        case [*before, {"overflow": str(overflow), **rest}] if not rest:
            return before, overflow == OVERFLOW_JOIN
    return steps, False


def _read_by(steps: tuple[_Step, ...]) -> ReCoTokenizer:
    return _remembered(steps, tuple(written(file) for step in steps for file in step.files))


@functools.lru_cache(maxsize=4)
def _remembered(steps: tuple[_Step, ...], when: object) -> ReCoTokenizer:
    """when: the files were written, so that a newly trained one is read again."""
    info: Info = None
    for step in steps:
        info = step.read(info, *step.files)
    embeddings = folder_paths.get_folder_paths("embeddings")
    return ReCoTokenizer(embeddings, tokenizer_data={"reco_info": info or NO_CHECKPOINT})


def _step(data: Any) -> _Step:
    match data:
        case {"checkpoint": str(name), **rest} if not rest:
            if name and name not in checkpoint_names():
                raise ValueError(f"there is no checkpoint {quote(name)}")
            return _Step(name, _checkpoint, (checkpoint_path(name),) if name else ())
        case {"unet": str(unet), "text_encoder": str(text), **rest} if not rest:
            for folder, name in ((UNET_FOLDER, unet), (TEXT_ENCODER_FOLDER, text)):
                if name and name not in part_names(folder):
                    raise ValueError(f"there is no {quote(name)} in models/{folder}")
            return _Step(text, _parts, part_paths(unet, text) if unet and text else ())
        case {"adapter": str(name), **rest} if not rest:
            if name == NO_ADAPTERS:
                raise ValueError(why_no_adapter(name))
            if name and name not in adapter_names():
                raise ValueError(f"there is no ReCo adapter {quote(name)} in models/loras")
            return _Step(name, _adapter, (adapter_path(name),) if name else ())
        case {"transplant": True, **rest} if not rest:
            return _Step("ReCo Transplant", _transplant)
    raise ValueError(
        f"the reader's step is {quote(data)}: expected a checkpoint, an adapter, a unet with a "
        "text_encoder, or a transplant"
    )


def _checkpoint(before: Info, path: Path | None = None) -> Info:
    return read_reco_checkpoint(path, is_outline=True)[1] if path else None


def _parts(before: Info, unet: Path | None = None, text_encoder: Path | None = None) -> Info:
    return read_reco_parts(unet, text_encoder, True)[1] if unet and text_encoder else None


def _adapter(before: Info, path: Path | None = None) -> Info:
    """Where nothing is known of the base: what its text is read by is in the adapter."""
    if path is None:
        return before
    adapter = read_adapter(path).info
    if before is None:
        base = full_size(adapter.family)
        (encoder,) = base.encoders
        before = replace(base, encoders=(replace(encoder, width=adapter.text_width),))
    return adapted_info(before, adapter)


def _transplant(before: Info) -> Info:
    """The other checkpoint may know any words."""
    return before and replace(before, words=())
