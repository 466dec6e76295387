"""Options of training: documented dataclasses, read from TOML, overridden by name."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from train.fit.options import FitConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def load_config(path: Path, overrides: Sequence[str] = ()) -> FitConfig:
    """Read a TOML file and apply overrides such as `optimizer.steps=100` or `data.sets.0.path=X`.

    Raises:
        ValueError: not TOML, an unknown option, or a value of the wrong type; quotes it.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"Cannot read the configuration {str(path)!r}: {error}.") from error
    for override in overrides:
        _set(values, override)
    return build_config(FitConfig, values)


def _set(values: Any, override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"Override {override!r} is not of the form section.option=value.")
    *sections, option = name.lstrip("-").split(".")
    for section in sections:
        try:
            values = (
                values[int(section)] if isinstance(values, list) else values.setdefault(section, {})
            )
        except (ValueError, IndexError):
            raise ValueError(
                f"Override {override!r}: {section!r} is not one of the {len(values)} tables there, "
                "numbered from 0."
            ) from None
    try:
        values[option] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[option] = text


def build_config(kind: Any, values: dict[str, Any], prefix: str = "") -> Any:
    """The dataclass `kind` from plain values, checked. Raises ValueError as load_config does."""
    hints = typing.get_type_hints(kind)
    known = {f.name for f in fields(kind)}
    for name in values.keys() - known:
        raise ValueError(
            f"Unknown option {prefix + name!r}: choose from {', '.join(sorted(known))}."
        )
    return kind(
        **{name: _convert(hints[name], value, prefix + name) for name, value in values.items()}
    )


def _convert(hint: Any, value: Any, name: str) -> Any:
    if isinstance(hint, types.UnionType):  # X | None
        hint = typing.get_args(hint)[0]
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise ValueError(f"Option {name!r} is {value!r}: expected a table [{name}].")
        return build_config(hint, value, f"{name}.")
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, list):
            raise ValueError(f"Option {name!r} is {value!r}: expected a list.")
        inner = typing.get_args(hint)[0]
        return tuple(_convert(inner, item, f"{name}.{i}") for i, item in enumerate(value))
    if typing.get_origin(hint) is Literal:
        if value not in typing.get_args(hint):
            choices = ", ".join(typing.get_args(hint))
            raise ValueError(f"Option {name!r} is {value!r}: choose from {choices}.")
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"Option {name!r} is {value!r}: expected {hint.__name__}.")
    return value
