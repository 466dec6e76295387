"""The weights of one component of a diffusers folder: whole or in shards, .safetensors or .bin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from reco_core.checkpoint_file import read_tensors


def read_weights(folder: Path, stem: str) -> dict[str, Tensor]:
    """A component's tensors under its own names, mapped from the files.

    stem: of the files' names; .bin files of transformers are called pytorch_model. Weights of
        full precision are preferred to a variant (stem.fp16.safetensors), .safetensors to .bin.

    Raises:
        ValueError: there are no weights, a shard is missing, or a file is damaged.
    """
    tensors: dict[str, Tensor] = {}
    for file in _weight_files(folder, stem):
        tensors |= read_tensors(file)[0]
    return tensors


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ValueError, naming the file and its folder, if it is none."""
    name = f"{path.parent.name}/{path.name}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{name} is not JSON ({error}): fetch it again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{name} holds no JSON object: fetch it again")
    return content


def _weight_files(folder: Path, stem: str) -> list[Path]:
    stems = [stem, "pytorch_model"] if stem == "model" else [stem]
    patterns = [
        f"{name}{variant}.{kind}{end}"
        for variant in ("", ".*")
        for kind in ("safetensors", "bin")
        for name in stems
        for end in ("", ".index.json")
    ]
    patterns += [f"{name}.*.index.*.json" for name in stems]
    for pattern in patterns:
        for found in sorted(folder.glob(pattern)):
            return _shards(found) if found.suffix == ".json" else [found]
    raise ValueError(f"{folder.name}/ has no weights: expected {stem}.safetensors or .bin")


def _shards(index: Path) -> list[Path]:
    files = [index.parent / name for name in sorted(set(read_json(index)["weight_map"].values()))]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(
            f"{index.parent.name}/ lacks {', '.join(missing)} of its {len(files)} shards: "
            "fetch it again"
        )
    return files
