"""What a checkpoint is, as a small tensor among its weights.

Programs that save or merge a model drop its file's metadata and keep its tensors, so whatever
weights do not tell is put among them: JSON in UTF-8 as uint8, of which a cast to fp16 or bf16
loses nothing. Each half, UNet and text encoder, carries all of it, since halves are saved apart.
The tensor is no parameter, so merges, which average those, leave it alone.

The facts also hold norms of some rows of both tables: a merge with a checkpoint whose tables have
other shapes scales them and adds nothing, which nothing else would show.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .checks import read_json
from .family import Family, TextEncoder, families, family_named
from .keys import FACTS, UNET_FACTS
from .named_base import BASE_KEYS, without_base

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]

VERSION = 1
_UNET_KEYS = ("unet_heads", "image_size", "buckets", "licence")
_TEXT_KEYS = ("format", "family", "num_bins", "max_length")
_ROWS = 16  # of each table
_SCALED = 0.002  # relative change of a norm; rounding to bf16 stays below 0.0005
_MAX_BYTES = 1 << 20
_REMEDY = "save it again from the file it was made of"


@dataclass(frozen=True)
class Facts:
    """metadata: those of a checkpoint's that concern its weights.

    row_norms: of rows at even distances, from the first to the last, of each text encoder's token
        and position table.
    """

    metadata: dict[str, str] = field(default_factory=dict)
    row_norms: tuple[tuple[float, ...], ...] = ()

    def tensor(self) -> torch.Tensor:
        """uint8 (bytes,), anew at each call: files do not take tensors that share memory."""
        import torch

        data = {"version": VERSION, "metadata": self.metadata, "row_norms": self.row_norms}
        text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
        return torch.tensor(list(text.encode()), dtype=torch.uint8)


def encoder_facts(encoder: TextEncoder) -> str:
    """Key of the facts in a text encoder."""
    return encoder.prefix + FACTS


def facts_of(state_dict: StateDict, metadata: Mapping[str, str], family: Family) -> Facts:
    """The facts of a family's checkpoint of which metadata say everything that weights do not."""
    keys = (*_text_keys(family), *_UNET_KEYS, *BASE_KEYS)
    known = {key: metadata[key] for key in keys if key in metadata}
    return Facts(known, tuple(_row_norms(state_dict[key]) for key in _tables(family)))


def read_facts(tensor: torch.Tensor) -> Facts:
    """The facts in a tensor, which may have been cast to another precision.

    Raises:
        ValueError: the precision is too low, or it holds something else.
    """
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.ndim != 1 or len(tensor) > _MAX_BYTES:
        raise ValueError(f"the tensor {FACTS!r} is not what ReCo writes: {_REMEDY}")
    if tensor.dtype.itemsize == 1 and tensor.dtype != torch.uint8:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ValueError(
            f"the tensor {FACTS!r} was rounded to {kind}, so it no longer says what this "
            f"checkpoint is: {_REMEDY}, in fp16 or bf16"
        )
    try:
        content = bytes(tensor.double().round().to(torch.int64).tolist())
        data = read_json(content.decode())
        version, metadata, norms = data["version"], data["metadata"], data["row_norms"]
        if version != VERSION:
            raise ValueError(f"they are of version {version!r}, and this program reads {VERSION}")
        return Facts(_strings(metadata), tuple(tuple(map(float, table)) for table in norms))
    except (ValueError, TypeError, KeyError, OverflowError, RuntimeError) as error:
        raise ValueError(
            f"the facts in the tensor {FACTS!r} cannot be read ({error}): {_REMEDY}, or update "
            "ReCo if a newer one wrote it"
        ) from None


def take_facts(weights: StateDict) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The weights of a file without facts, and the metadata that these stand for.

    Where the halves are of different checkpoints, each speaks for itself; they name a base only if
    both name the same.

    Raises:
        ValueError: facts cannot be read, or the tables are not those that they describe.
    """
    places = _places()
    kept = {key: tensor for key, tensor in weights.items() if key not in (UNET_FACTS, *places)}
    unet = read_facts(weights[UNET_FACTS]) if UNET_FACTS in weights else Facts()
    place = next((key for key in places if key in weights), None)
    text = read_facts(weights[place]) if place else Facts()
    if text.row_norms:
        family = family_named(text.metadata.get("family", ""))
        for key, norms in zip(_tables(family), text.row_norms, strict=False):
            if key in kept:
                _check_table(key, kept[key], norms)
    metadata = {**unet.metadata, **text.metadata}
    halves = [facts.metadata for facts in (unet, text) if facts.metadata]
    if len({half.get("base_sha256") for half in halves}) > 1:
        metadata = without_base(metadata)
    return kept, metadata | {key: unet.metadata[key] for key in _UNET_KEYS if key in unet.metadata}


def in_facts(key: str) -> bool:
    """Whether a tensor of a file holds facts, or is one that they speak of."""
    tables = {table for family in families() for table in _tables(family)}
    return key in {UNET_FACTS, *_places(), *tables}


def _places() -> set[str]:
    """Keys of facts in text encoders."""
    return {encoder_facts(family.encoders[0]) for family in families()}


def _check_table(key: str, table: torch.Tensor, norms: Sequence[float]) -> None:
    """A merge of checkpoints moves each row in its own way; rows that were multiplied keep their
    proportions."""
    name = key.split(".")[-2]
    if table.ndim != 2:
        return  # told where shapes are checked
    pairs = zip(_row_norms(table), norms, strict=False)
    ratios = [new / old for new, old in pairs if old > 0] or [1.0]
    scale = sum(ratios) / len(ratios)
    alike = max(ratios) - min(ratios) <= 2 * _SCALED * max(scale, _SCALED)
    if alike and abs(scale - 1) > _SCALED:
        raise ValueError(
            f"the {name} of this checkpoint was multiplied by {scale:.3g}, as a merge with the "
            "text encoder of a checkpoint without position tokens does, so it reads neither words "
            "nor boxes: merge text encoders of ReCo checkpoints only, or keep the text encoder and "
            "merge the UNets"
        )


def _row_norms(table: torch.Tensor) -> tuple[float, ...]:
    import torch

    rows = torch.linspace(0, max(len(table) - 1, 0), min(_ROWS, len(table))).long()
    return tuple(float(f"{norm:.6g}") for norm in table[rows].double().norm(dim=1).tolist())


def _strings(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(x, str) for x in metadata.values()):
        raise ValueError("their metadata are not texts")
    known = {*_UNET_KEYS, *BASE_KEYS, *(key for family in families() for key in _text_keys(family))}
    return {key: text for key, text in metadata.items() if key in known}


def _text_keys(family: Family) -> tuple[str, ...]:
    """Metadata of its text encoders."""
    return *_TEXT_KEYS, *(encoder.heads_key for encoder in family.encoders), "words"


def _tables(family: Family) -> list[str]:
    return [key for encoder in family.encoders for key in encoder.tables]
