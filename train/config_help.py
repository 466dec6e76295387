"""The help of a training's options: every one with what it means, its range and its default."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import Field, field, is_dataclass, make_dataclass
from typing import Annotated, Any, get_args, get_origin

import tyro

from train.fit.options import FitConfig
from train.options import bare, help_of, hints_of, kinds_of, metavar

Shown = tuple[str, Any, Field]
"""Name, type and default of a field of a dataclass that tyro shows."""


def describe_options() -> str:
    """All sections of a configuration, and the options of every kind of data set."""
    parser = tyro.extras.get_parser(_section(FitConfig), prog="", use_underscores=True)
    return parser.format_help().partition("\n\n")[2]  # without the usage


def _section(kind: type, before: str = "") -> type:
    """A dataclass like the options of a kind, as tyro shows them; before: its description."""
    shown = [part for name in hints_of(kind) for part in _shown(kind, name)]
    made = make_dataclass(kind.__name__, shown)
    made.__doc__ = f"{before}{kind.__doc__}"
    return made


def _shown(kind: type, name: str) -> Iterator[Shown]:
    hint = hints_of(kind)[name]
    text, default = help_of(kind, name)
    plain, marks = bare(hint)
    if get_origin(plain) is tuple and (kinds := kinds_of(bare(get_args(plain)[0])[1])):
        yield from _tables(name, kinds)
    elif is_dataclass(plain) and not kinds_of(marks):
        yield _folded(name, name, _section(plain))  # type: ignore[arg-type]
    else:  # values as TOML has them: text for tyro, which parses none here
        about = tyro.conf.arg(help=text.replace("%", "%%"), metavar=metavar(hint))
        yield name, Annotated[str, about], _field(default=_as_typed(default))


def _tables(name: str, kinds: Mapping[str, type]) -> Iterator[Shown]:
    """A section for every kind of a list of tables."""
    for number, (kind, one) in enumerate(kinds.items()):
        made = _section(one, f'Table {number}, here of kind = "{kind}": ')
        yield _folded(f"{name}_{number}", f"{name}.{number}", made)


def _folded(attribute: str, name: str, made: type) -> Shown:
    about = tyro.conf.arg(name=name, help=made.__doc__)
    return attribute, Annotated[made, about], _field(default_factory=made)


def _as_typed(default: Any) -> str:
    """A default as it would be given on the command line."""
    if default is None:
        return "left out"
    return default if isinstance(default, str) else json.dumps(default)


def _field(**options: Any) -> Field:
    return field(**options)
