"""The weights of one component of a diffusers folder: whole or in shards, .safetensors or .bin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkpoint_file import read_tensors
from .checks import quote, read_json, shorten
from .patterns import pattern

if TYPE_CHECKING:
    import torch

_SHARD = pattern(r".*-\d{5}-of-\d{5}")
_KINDS = ("safetensors", "bin")


def read_weights(folder: Path, stem: str) -> dict[str, torch.Tensor]:
    """A component's tensors under its own names, mapped from the files.

    stem: of the files' names; .bin files of transformers are called pytorch_model. Weights
        without a variant (fp16, ...) are preferred to one, variants in the order of the alphabet,
        and .safetensors to .bin.

    Raises:
        ValueError: there are no weights, a shard is missing, a file is damaged, or holds something
            else than tensors.
    """
    import torch

    tensors: dict[str, torch.Tensor] = {}
    for file in _weight_files(folder, stem):
        try:
            tensors |= read_tensors(file)[0]
        except ValueError as error:
            raise ValueError(f"{folder.name}/{error}") from error
    for key, tensor in tensors.items():
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(
                f"{folder.name}/: {quote(key, 200)} is not a tensor but {type(tensor).__name__}: "
                "fetch it again"
            )
    return tensors


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ValueError, naming the file and its folder, if it is none."""
    name = f"{path.parent.name}/{path.name}"
    try:
        content = read_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{name} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{name} is not JSON ({error}): fetch it again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{name} holds no JSON object: fetch it again")
    return content


def _weight_files(folder: Path, stem: str) -> list[Path]:
    stems = [stem, "pytorch_model"] if stem == "model" else [stem]
    for variant in ("", ".*"):
        for kind in _KINDS:
            for name in stems:
                # A variant stands before the suffix, but at the end of an index's name.
                whole = sorted(folder.glob(f"{name}{variant}.{kind}"))
                indices = sorted(folder.glob(f"{name}.{kind}.index{variant}.json"))
                for found in whole:
                    if not _SHARD.fullmatch(found.stem):
                        return [found]
                if indices:
                    return _shards(indices[0])
    raise ValueError(f"{folder.name}/ has no weights: expected {stem}.safetensors or .bin")


def _shards(index: Path) -> list[Path]:
    places = read_object(index).get("weight_map")
    found = places.values() if isinstance(places, dict) else ()
    names = sorted({str(name) for name in found})
    strange = [name for name in names if Path(name).name != name]
    if not names or strange:
        told = f"names {quote(strange[0])}" if strange else "has no weight_map of files"
        raise ValueError(f"{index.parent.name}/{index.name} {told}: fetch it again")
    files = [index.parent / name for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(
            f"{index.parent.name}/ lacks {shorten(', '.join(missing), 200)} of its "
            f"{len(files)} shards: fetch it again"
        )
    return files
