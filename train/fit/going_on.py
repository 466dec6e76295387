"""Options of a run beside those that it began with, and as they are told to others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from train.fit.options import FitConfig
from train.options import IS_PLACE, Free, bare, help_of, hints_of, name_of_place

Difference = tuple[str, Any, Any]
"""An option's dotted name, and its values before and now, as JSON has them."""


def changed_options(before: Mapping[str, Any], now: FitConfig) -> list[Difference]:
    """Options that differ and would change the weights; Free ones may differ. Places are the same
    when they lead to the same file.

    before: as JSON has them; what an earlier version did not know yet is taken to be as usual.
    """
    return list(_differences(FitConfig, before, now, "", now))


def _differences(
    hint: Any, before: Any, now: Any, name: str, run: FitConfig
) -> Iterator[Difference]:
    plain, marks = bare(hint)
    if any(isinstance(x, Free) and x.but(before, run) == x.but(now, run) for x in marks):
        return
    if (kind := _kind(now)) and isinstance(before, Mapping):
        for option, inner in hints_of(kind).items():
            old = before[option] if option in before else _as_json(help_of(kind, option)[1])
            yield from _differences(inner, old, getattr(now, option), _dotted(name, option), run)
        for option in sorted(before.keys() - hints_of(kind).keys()):
            yield _dotted(name, option), before[option], None
    elif _has_tables(now) and isinstance(before, list) and len(before) == len(now):
        for place, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _differences(get_args(plain)[0], old, new, _dotted(name, place), run)
    elif before != (value := _as_json(now)) and not (
        IS_PLACE in marks and _same_place(str(before), now)
    ):
        yield name, before, value


def without_folders(options: Any) -> Any:
    """Options as plain values, for files that are given away: of places only the names."""
    return _told(type(options), options)


def _told(hint: Any, value: Any) -> Any:
    plain, marks = bare(hint)
    if kind := _kind(value):
        return {name: _told(one, getattr(value, name)) for name, one in hints_of(kind).items()}
    if _has_tables(value):
        return [_told(get_args(plain)[0], one) for one in value]
    return name_of_place(value) if IS_PLACE in marks else value


def _kind(value: Any) -> Any:
    """The class of options; None of other values."""
    return type(value) if dataclasses.is_dataclass(value) else None


def _has_tables(value: Any) -> bool:
    return isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value))


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value, default=dataclasses.asdict))


def _same_place(before: str, now: str) -> bool:
    """Whether two names that are not empty lead to the same file or folder."""
    if not (before and now):
        return False
    one, other = (Path(place).expanduser().resolve() for place in (before, now))
    return one == other


def _dotted(*names: object) -> str:
    return ".".join(str(name) for name in names if name != "")
