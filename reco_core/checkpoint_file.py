"""Checkpoint files: read .safetensors and .ckpt without running code, write .safetensors whole."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .atomic import require_space, write_atomically
from .checks import quote, shorten
from .facts import in_facts, take_facts
from .pickle_check import MAX_PROGRAM, CodeInPickle, check_pickle
from .pickle_names import Kind, stand_in
from .tensor_file import tensor_file_size, write_tensors
from .weights import find_family, select_weights, text_part, unet_part

if TYPE_CHECKING:
    import torch

    Read = tuple[dict[str, torch.Tensor], dict[str, str]]

PREDICTION_KEY = "modelspec.predict_key"
"""Metadata in which ComfyUI and others write what the UNet predicts."""

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PARTS = ("protocol", "system", "object", "storages' keys")
_MAX_HEADER = 100 << 20  # safetensors' own limit
_V_PREDICTION = "v_pred"  # an empty tensor by which ComfyUI marks a file
_REMEDY = "the file is truncated, damaged or not what its name says: fetch it again"


def read_checkpoint(path: str | Path, ema: bool = False, is_outline: bool = False) -> Read:
    """Read a single-file checkpoint of the SD1 type, plain or ReCo.

    A .ckpt is unpickled with tensors, plain containers and stand-ins for what trainers leave beside
    them, so code in it never runs; its optimiser state is left out, and its EMA weights unless
    `ema` asks for them in place of the UNet's raw ones. Tensors are mapped from the file, not
    copied. is_outline: as of read_tensors.

    Returns:
        (state_dict, metadata): latent-diffusion keys to CPU tensors as stored; the safetensors
        header's metadata, or {"steps": ...} of a Lightning checkpoint, and what facts among the
        weights say, which are no longer there.

    Raises:
        ValueError: another kind of file, a truncated one, a pickle with code, a model that is
            not of the SD1 type, or one without the averages asked for. The error names the file,
            the cause and what to do.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    weights, metadata = read_tensors(path, is_outline)
    try:
        weights, facts = take_facts(weights)
        find_family(weights)
        prediction = {PREDICTION_KEY: "v"} if _V_PREDICTION in weights else {}
        return select_weights(weights, ema), metadata | prediction | facts
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def read_parts(unet: Path, text_encoder: Path, is_outline: bool = False) -> Read:
    """UNet and text encoder from files of their own, such as ComfyUI's ModelSave and CLIPSave
    write, under the keys of a single file; without an autoencoder. Otherwise as read_checkpoint."""
    weights: dict[str, torch.Tensor] = {}
    metadata: dict[str, str] = {}
    for path, select in ((unet, unet_part), (text_encoder, text_part)):
        tensors, said = read_tensors(path, is_outline)
        try:
            weights |= select(tensors)
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
        metadata |= said
    try:
        weights, facts = take_facts(weights)
    except ValueError as error:
        raise ValueError(f"{text_encoder.name} with {unet.name}: {error}") from None
    return select_weights(weights), metadata | facts


def read_tensors(path: Path, is_outline: bool = False) -> Read:
    """Any file of tensors, under its own keys; otherwise as read_checkpoint.

    is_outline: of a .safetensors file, only what facts are and speak of has content. The others are
        on torch's meta device: to map a tensor reads its first page, and disks read megabytes more.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint file {path}")
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{path.name}: checkpoints end in {', '.join(_READERS)}")
    try:
        if is_outline and read is read_safetensors:
            return read_safetensors(path, in_facts)
        return read(path)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error.__cause__


def write_checkpoint(
    path: str | Path,
    state_dict: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str],
    dtype: torch.dtype | None = None,
    on_written: Callable[[int], object] | None = None,
    make: Callable[[str], torch.Tensor] | None = None,
) -> None:
    """Write a .safetensors file that appears whole or not at all, one tensor after the other.

    dtype, on_written, make: as of tensor_file.write_tensors.

    Raises:
        ValueError: another suffix, metadata that are not strings, values that are not tensors,
            or a disk with too little room.
    """
    import torch

    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name}: checkpoints are written as .safetensors")
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise ValueError(f"metadata {quote(key, 200)}: {quote(value)} must be strings")
    for key, tensor in state_dict.items():
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(f"{quote(key, 200)} is not a tensor but {type(tensor).__name__}")
    require_space(path, tensor_file_size(state_dict, metadata, dtype))
    write_atomically(
        path, lambda file: write_tensors(file, state_dict, metadata, dtype, on_written, make)
    )


def read_safetensors(path: Path, is_wanted: Callable[[str], bool] = lambda key: True) -> Read:
    """Any .safetensors file: its tensors, mapped from the file, and its metadata.

    is_wanted: by key; other tensors have a shape and no content.

    Raises:
        ValueError: it is truncated or no such file; the error says what to do.
    """
    from safetensors import safe_open

    _check_content(path, "safetensors")
    try:
        with safe_open(path, "pt") as file:
            tensors = {
                key: file.get_tensor(key) if is_wanted(key) else _without_content(file, key)
                for key in file.keys()
            }
            return tensors, file.metadata() or {}
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(f"{_REMEDY} ({shorten(' '.join(str(error).split()), 300)})") from error


def _without_content(file: Any, key: str) -> torch.Tensor:
    import torch

    return torch.empty(file.get_slice(key).get_shape(), device="meta")


def _read_pickle(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    import torch

    _check_content(path, "pickle")
    try:
        is_zip = zipfile.is_zipfile(path)
        inert: dict[str, Kind] = {}
        (_check_zip if is_zip else _check_legacy)(path, inert)
        stand_ins = [stand_in(name, kind) for name, kind in inert.items()]
        with torch.serialization.safe_globals(stand_ins):
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except CodeInPickle as error:
        raise ValueError(
            f"reading this pickle would run code ({error}); nothing was run: use a .safetensors "
            "file, or a .ckpt that holds weights only"
        ) from error
    except Exception as error:  # a damaged pickle can raise anything
        cause = f": {error}" if type(error) is ValueError else ""
        raise ValueError(f"{_REMEDY} ({type(error).__name__}{cause})") from error
    return _lightning_parts(loaded)


def _check_zip(path: Path, inert: dict[str, Kind]) -> None:
    """Raise ValueError unless the pickle in an archive, as torch.save writes one, is of weights.

    inert: as of check_pickle."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("an archive whose files are compressed, which torch does not write")
        if sum(entry.file_size for entry in entries) > size:
            raise ValueError("an archive whose files are larger than it")
        programs = [entry for entry in entries if entry.filename.lower().endswith("/data.pkl")]
        if len(programs) != 1:
            raise ValueError("an archive that torch did not write")
        if programs[0].file_size > MAX_PROGRAM:
            raise ValueError(f"its pickle takes more than {MAX_PROGRAM >> 20} MB")
        with archive.open(programs[0]) as file:
            check_pickle(BytesIO(file.read()), size, inert)


def _check_legacy(path: Path, inert: dict[str, Kind]) -> None:
    """The same of what torch.save wrote before version 1.6: several pickles, then the storages."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if check_pickle(file, size, inert) != _LEGACY_MAGIC:
            raise ValueError("not what torch.save writes")
        for _ in _LEGACY_PARTS:
            check_pickle(file, size, inert)


def _check_content(path: Path, kind: str) -> None:
    """Raise ValueError when a file is plainly not of the kind that its name says."""
    with path.open("rb") as file:
        head = file.read(1024)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    is_safetensors = head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") < _MAX_HEADER
    if head.startswith(b"version https://git-lfs"):
        cause = "it is a Git LFS pointer, which only names the file; `git lfs pull` brings it"
    elif text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<script")):
        cause = "it is a web page: the address needs a login, or is not that of the file"
    elif kind == "pickle" and is_safetensors:
        cause = "it is a .safetensors file under another name: rename it to .safetensors"
    elif (
        kind == "safetensors"
        and not is_safetensors
        and (head.startswith(b"PK\x03\x04") or head[:1] == b"\x80")
    ):
        cause = "it looks like a .ckpt under another name: rename it to .ckpt"
    elif head.startswith(b"GGUF"):
        cause = "it is a GGUF file"
    elif text.startswith((b"{", b"[")):
        cause = "it is text: the server's answer, perhaps, in place of the file"
    else:
        return
    raise ValueError(f"{_REMEDY} ({cause})")


def _lightning_parts(loaded: object) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Weights and metadata of what Lightning's trainer saved, or of a bare state dict."""
    weights = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else loaded
    if not isinstance(weights, Mapping):
        raise ValueError(f"expected a dict of tensors, found a {type(weights).__name__}")
    steps = loaded.get("global_step") if isinstance(loaded, Mapping) else None
    metadata = {"steps": str(steps)} if isinstance(steps, int) else {}
    return {str(key): value for key, value in weights.items()}, metadata


_READERS = {
    ".safetensors": read_safetensors,
    ".ckpt": _read_pickle,
    ".pt": _read_pickle,
    ".pth": _read_pickle,
    ".bin": _read_pickle,
}
SUFFIXES = tuple(_READERS)
"""Of files that may be checkpoints."""
