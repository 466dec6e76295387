"""An adapter and its base: what it says of the base, and the checkpoint that both make."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

from tqdm import tqdm

from reco_core.adapter import (
    base_warning,
    file_sha256,
    merge_adapter,
    merged_metadata,
    read_adapter,
)
from reco_core.atomic import write_atomically
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import write_checkpoint
from reco_core.checkpoint_input import read_any
from reco_core.named_base import NamedBase, without_base
from reco_core.position_tokens import CLIP_VOCABULARY_SIZE


def merge_adapter_file(adapter: Path, base: Path, output: Path, strength: float = 1.0) -> str:
    """Write the ReCo checkpoint that a base and an adapter make, in the base's precision.

    base: a single file or a diffusers folder.

    Returns:
        A warning when the base is not the file that the adapter was trained on, else "".
        Folders cannot be told apart.

    Raises:
        ValueError: a file cannot be read, or adapter and base do not go together.
    """
    read = read_adapter(adapter)
    state_dict, metadata = read_any(base)
    try:
        merged = merge_adapter(state_dict, read, strength)
    except ValueError as error:
        raise ValueError(f"{adapter.name} with base {base.name}: {error}") from error
    made = merged_metadata(metadata, read.info)
    (encoder,) = read.info.family.encoders
    if len(state_dict[encoder.token_embedding]) == CLIP_VOCABULARY_SIZE:  # else it is a ReCo one
        made = named_after(base, made)
    write_checkpoint(output, merged, made)
    return base_warning(read.info, base.name, base_sha256(base))


def write_lora(adapter: Path, output: Path) -> None:
    """Write an adapter's LoRA alone, which any LoRA loader takes: for a base that has position
    tokens, or to have the look without the boxes.

    Raises:
        ValueError: the file is no adapter, or the output has another suffix.
    """
    matrices = read_adapter(adapter).lora_tensors
    if output.suffix != ".safetensors":
        raise ValueError(f"{str(output)!r}: a LoRA is written as .safetensors")
    from safetensors.torch import save_file

    write_atomically(output, partial(save_file, matrices))


def base_metadata(path: Path) -> dict[str, str]:
    """What an adapter says of its base, a single file or a diffusers folder."""
    info = describe_checkpoint(*read_any(path))
    return {
        "base": path.name,
        "base_sha256": base_sha256(path),
        "base_num_bins": str(info.num_bins),
    }


def plain_base(path: Path) -> NamedBase | None:
    """A plain checkpoint as what is trained from it names it; None for a folder."""
    if path.is_dir():
        return None
    return NamedBase(path.name, base_sha256(path), path.stat().st_size)


def named_after(base: Path, metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata of a ReCo checkpoint that is made of a plain one, which they name.

    metadata: of the plain one, which may name one of its own that counts no longer.
    """
    plain = plain_base(base)
    return without_base(metadata) | (plain.metadata() if plain else {})


def base_sha256(path: Path) -> str:
    """Of a single file, in hexadecimal; empty for a folder, which has none."""
    return "" if path.is_dir() else _sha256(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _sha256(path: Path, modified: int) -> str:
    """modified: when the file was written, so that another under its name is read again."""
    with tqdm(
        total=path.stat().st_size, unit="B", unit_scale=True, desc=f"SHA-256 of {path.name}"
    ) as bar:
        return file_sha256(path, bar.update)
