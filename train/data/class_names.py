"""Names of the classes that YOLO's lines have numbers of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reco_core.checks import quote
from train.data.decode import check_file
from train.data.folder import CLASS_FILES, decoded

_ABOVE = 3
"""Folders above the pictures' in which names are looked for too: root/images/train is common."""
_LARGEST = 1_000_000  # bytes of such a file


@dataclass(frozen=True)
class ClassNames:
    """names: by number. keypoints: whether points of a pose follow each box."""

    names: dict[int, str] = field(default_factory=dict)
    keypoints: bool = False


def class_names(folder: Path, file: str = "") -> ClassNames:
    """Names of a set's classes: of `file`, else of the nearest of CLASS_FILES in the folder or
    above it; none where there is no such file. Raises ValueError when it cannot be read."""
    if file:
        return _read(Path(file).expanduser())
    places = [folder.resolve(), *folder.resolve().parents[:_ABOVE]]
    files = (place / name for place in places for name in CLASS_FILES)
    return next((_read(path) for path in files if path.is_file()), ClassNames())


def _read(path: Path) -> ClassNames:
    try:
        if check_file(path).stat().st_size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST:,} bytes")
        text = decoded(path.name, path.read_bytes())
        if path.suffix.lower() in (".yaml", ".yml"):
            return _of_yaml(yaml.safe_load(text))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"cannot read the names of classes in {str(path)!r}: {reason}") from None
    return ClassNames(dict(enumerate(line.strip() for line in text.strip().splitlines())))


def _of_yaml(data: Any) -> ClassNames:
    names = data.get("names") if isinstance(data, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(_is_named(*item) for item in names.items()):
        raise ValueError(f'expected "names", a list of texts, got {quote(names)}')
    return ClassNames(
        {int(number): str(name) for number, name in names.items()}, "kpt_shape" in data
    )


def _is_named(number: Any, name: Any) -> bool:
    return str(number).isdecimal() and isinstance(name, str | int) and not isinstance(name, bool)
