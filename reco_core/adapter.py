"""ReCo adapters: what fine-tuning adds to a plain checkpoint, in a small file.

One .safetensors file holds
  - LoRA matrices of UNet and text encoder, as in lora.py;
  - `reco.token_rows` (num_bins, width): the token table's rows after CLIP's 49408;
  - `reco.position_rows` (max_length - 77, width): the position table's rows after CLIP's 77.

Metadata, all strings: that of a ReCo checkpoint (see checkpoint.py), but format "reco-adapter", and
base (file name), base_sha256 (of the whole file, as model sites show it; empty for a folder),
base_num_bins (position tokens the base had already), rank, text_rank, alpha.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .adapter_info import AdapterInfo, check_base
from .architecture import check_weights, shape_of
from .checkpoint import extend_checkpoint
from .checkpoint_file import read_safetensors
from .checkpoint_info import CheckpointInfo
from .checks import quote
from .family import family_named
from .keys import UNET_PREFIX
from .lora import (
    DOWN,
    UNET_LORA,
    LoraMatrices,
    greatest_rank,
    lora_keys,
    lora_matrices,
)
from .metadata import read_buckets, read_image_size, read_number, read_text, read_words
from .named_base import BASE_KEYS, NamedBase
from .position_tokens import CLIP_LENGTH, CLIP_VOCABULARY_SIZE
from .weights import find_family, select_weights

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]

ADAPTER_FORMAT = "reco-adapter"
TOKEN_ROWS = "reco.token_rows"
POSITION_ROWS = "reco.position_rows"

_FEWEST_ROWS = 2
_READ_BYTES = 16 << 20
_ADAPTER_ONLY = ("base_num_bins", "rank", "text_rank", "alpha")


@dataclass(frozen=True, eq=False)
class Adapter:
    """tensors: as in the file."""

    info: AdapterInfo
    tensors: dict[str, torch.Tensor]

    @property
    def lora_tensors(self) -> dict[str, torch.Tensor]:
        """Those that other programs' LoRA loaders take."""
        rows = (TOKEN_ROWS, POSITION_ROWS)
        return {key: tensor for key, tensor in self.tensors.items() if key not in rows}

    @cached_property
    def lora(self) -> dict[str, LoraMatrices]:
        """By name. Raises ValueError when matrices do not go together."""
        return lora_matrices(self.tensors)


def read_adapter(path: str | Path) -> Adapter:
    """Read an adapter file; its tensors are mapped, not copied.

    Raises:
        ValueError: another kind of file, or a truncated one; names the file and what to do.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no adapter file {path}")
    if path.suffix.lower() != ".safetensors":
        raise ValueError(f"{path.name}: adapters end in .safetensors")
    try:
        tensors, metadata = read_safetensors(path)
        adapter = Adapter(describe_adapter(tensors, metadata), tensors)
        _ = adapter.lora
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error.__cause__
    return adapter


def describe_adapter(tensors: StateDict, metadata: Mapping[str, str]) -> AdapterInfo:
    """Read off an adapter's tensors and metadata what it is.

    Raises:
        ValueError: it is no ReCo adapter (the error says what it looks like), its rows do not go
            together, or its family is unknown.
    """
    if TOKEN_ROWS not in tensors or POSITION_ROWS not in tensors:
        raise ValueError(f"this is not a ReCo adapter but looks like {_foreign_kind(tensors)}")
    tokens, positions = tensors[TOKEN_ROWS], tensors[POSITION_ROWS]
    shapes = (*tokens.shape, *positions.shape)
    if len(shapes) != 4 or tokens.ndim != 2 or shapes[1] != shapes[3] or not shapes[1]:
        raise ValueError(
            f"its token rows have shape {tuple(tokens.shape)} and its position rows "
            f"{tuple(positions.shape)}, but both must be (rows, width): write the adapter again"
        )
    for name, rows in ((TOKEN_ROWS, tokens), (POSITION_ROWS, positions)):
        if not rows.is_floating_point():
            raise ValueError(f"{quote(name, 200)} is of type {rows.dtype}: write the adapter again")
    if len(tokens) < _FEWEST_ROWS:
        raise ValueError(
            f"it brings {len(tokens)} rows and an adapter brings at least {_FEWEST_ROWS} position "
            "tokens: write the adapter again"
        )
    family = family_named(read_text(metadata, "family"))
    (encoder,) = family.encoders
    for key in ("unet_heads", encoder.heads_key):
        read_number(metadata, key)
    read_words(metadata), read_image_size(metadata), read_buckets(metadata)
    return AdapterInfo(
        family=family,
        num_bins=len(tokens),
        max_length=CLIP_LENGTH + len(positions),
        text_width=tokens.shape[1],
        rank=greatest_rank(tensors, UNET_LORA),
        text_rank=greatest_rank(tensors, encoder.lora),
        base=read_text(metadata, "base"),
        base_sha256=read_text(metadata, "base_sha256"),
        base_is_reco=_base_is_reco(metadata),
        metadata=dict(metadata),
    )


def extend_with_adapter_rows(state_dict: StateDict, adapter: Adapter) -> dict[str, torch.Tensor]:
    """A plain SD1 checkpoint with the adapter's rows in its two tables; a ReCo one when the adapter
    was trained on such. The given dict and its tensors stay as they are.

    Raises:
        ValueError: the checkpoint is not of the adapter's family, is ReCo where the adapter wants a
            plain one, or has other sizes than the adapter.
    """
    import torch

    family, info = find_family(state_dict), adapter.info
    (encoder,) = family.encoders
    extended = select_weights(state_dict)
    check_weights(extended, family)
    tokens, width = shape_of(extended, encoder.token_embedding, 2)
    positions, _ = shape_of(extended, encoder.position_embedding, 2)
    check_base(info, family, width, tokens - CLIP_VOCABULARY_SIZE, positions)
    if tokens == CLIP_VOCABULARY_SIZE:
        extended = extend_checkpoint(extended, info.num_bins, info.max_length)
    for key, name, count in (
        (encoder.token_embedding, TOKEN_ROWS, CLIP_VOCABULARY_SIZE),
        (encoder.position_embedding, POSITION_ROWS, CLIP_LENGTH),
    ):
        rows = adapter.tensors[name]
        extended[key] = torch.cat([extended[key][:count], rows.to(extended[key])])
    return extended


def lora_changes(state_dict: StateDict, adapter: Adapter) -> dict[str, LoraMatrices]:
    """The adapter's LoRA matrices by the key of the weight they change.

    Raises:
        ValueError: the checkpoint lacks such a weight, or has it in another shape.
    """
    keys, changes = lora_keys(state_dict, adapter.info.family), {}
    for name, lora in adapter.lora.items():
        if name not in keys:
            raise ValueError(
                f"the adapter changes {quote(name, 200)}, which this checkpoint does not have: "
                "choose a base of the architecture it was trained on"
            )
        weight = state_dict[keys[name]]
        if lora.shape != (weight.shape[0], weight[0].numel()):
            raise ValueError(
                f"the adapter changes {quote(name, 200)} as a matrix of {lora.shape}, but this "
                f"checkpoint has {tuple(weight.shape)}: choose a base of the size it was trained on"
            )
        changes[keys[name]] = lora
    return changes


def merge_adapter(
    state_dict: StateDict, adapter: Adapter, strength: float = 1.0
) -> dict[str, torch.Tensor]:
    """A ReCo checkpoint of a base and an adapter, in the base's precision.

    strength: of the LoRA matrices; the rows are taken whole.

    Raises:
        ValueError: as extend_with_adapter_rows and lora_changes.
    """
    merged = extend_with_adapter_rows(state_dict, adapter)
    for key, lora in lora_changes(merged, adapter).items():
        weight = merged[key]
        change = lora.delta().reshape(weight.shape)
        merged[key] = (weight.float() + strength * change).to(weight.dtype)
    return merged


def merged_metadata(base: Mapping[str, str], adapter: AdapterInfo) -> dict[str, str]:
    """Metadata of the ReCo checkpoint that a base and an adapter make.

    A ReCo base goes on naming its plain one. The checksum of the adapter's base is left out, since
    the plain one in use may be another.
    """
    learned = ("words", "buckets")  # by the adapter, where it says so
    theirs = {key: text for key, text in base.items() if key not in learned}
    _, *checks = BASE_KEYS
    not_own = (*_ADAPTER_ONLY, *(BASE_KEYS if theirs.keys() & checks else checks))
    own = {key: text for key, text in adapter.metadata.items() if key not in not_own}
    sizes = {"num_bins": str(adapter.num_bins), "max_length": str(adapter.max_length)}
    return {**theirs, **own, **sizes, "format": "reco"}


def adapted_info(base: CheckpointInfo, adapter: AdapterInfo) -> CheckpointInfo:
    """What a checkpoint is with an adapter on it."""
    metadata = merged_metadata(base.metadata, adapter)
    return replace(
        base,
        is_reco=True,
        num_bins=adapter.num_bins,
        max_length=adapter.max_length,
        words=read_words(metadata),
        image_size=read_image_size(metadata),
        buckets=read_buckets(metadata),
        metadata=metadata,
    )


def base_warning(info: AdapterInfo, name: str, sha256: str) -> str:
    """What to tell who uses an adapter with a file that it was not trained on; empty if it was, or
    if either checksum is not known.

    Not an error: fine-tunes and merges of a base often take its adapters well.
    """
    if not info.base_sha256:
        return ""
    told = NamedBase(info.base, info.base_sha256).warning("this adapter", name, sha256)
    return told and f"{told} Pictures may follow the boxes less well."


def file_sha256(path: Path, on_read: Callable[[int], object] = lambda count: None) -> str:
    """SHA-256 of a file in hexadecimal. on_read: told the number of bytes after each piece."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            digest.update(piece)
            on_read(len(piece))
    return digest.hexdigest()


def _base_is_reco(metadata: Mapping[str, str]) -> bool:
    if read_text(metadata, "base_num_bins") in ("", "0"):
        return False
    return read_number(metadata, "base_num_bins") is not None


def _foreign_kind(keys: Iterable[str]) -> str:
    keys = list(keys)
    if any(key.endswith((DOWN, ".lora_A.weight")) for key in keys):
        return "a LoRA without position tokens: open it with ComfyUI's own Load LoRA"
    if any(key.startswith(UNET_PREFIX) for key in keys):
        return "a whole checkpoint: open it with ReCo Load Checkpoint or Load Checkpoint"
    found = f"with keys like {quote(sorted(keys)[:3], 200)}" if keys else "empty"
    return f"something else, {found}: use a file that `python -m train fit` wrote with lora.rank"
