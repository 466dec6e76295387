"""The options of a training: read from TOML, overridden by name, shown with their help."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.fit.options import FitConfig
from train.options import build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def load_config(path: Path, overrides: Sequence[str] = ()) -> FitConfig:
    """Read a TOML file and apply overrides such as `optimizer.steps=100` or `data.sets.0.path=X`.

    Raises:
        ValueError: not TOML, an unknown option, or a value that cannot be; quotes it.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"the configuration {str(path)!r} cannot be read: {error}") from error
    for override in overrides:
        _set(values, override)
    return build(FitConfig, values)


def _set(values: Any, override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals:
        raise ValueError(f"{override!r} is not of the form section.option=value")
    *sections, option = name.lstrip("-").split(".")
    for section in sections:
        if isinstance(values, dict):
            values = values.setdefault(section, {})
        else:
            values = values[_place(values, section, override)]
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    values[option if isinstance(values, dict) else _place(values, option, override)] = value


def _place(values: Any, number: str, override: str) -> int:
    """A number of a list as it stands in an override; ValueError where there is none such."""
    if not isinstance(values, list):
        raise ValueError(f"{override!r}: {number!r} stands in {values!r}, which is no table")
    if not (number.isdecimal() and int(number) < len(values)):
        raise ValueError(
            f"{override!r}: {number!r} is not one of the {len(values)} tables there, "
            "numbered from 0"
        )
    return int(number)
