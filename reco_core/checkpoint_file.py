"""Checkpoint files: read .safetensors and .ckpt without running code, write .safetensors whole."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .atomic import require_space, write_atomically
from .checkpoint import check_keys, select_weights, text_part, unet_part
from .facts import take_facts
from .tensor_file import tensor_file_size, write_tensors

if TYPE_CHECKING:
    import torch

PREDICTION_KEY = "modelspec.predict_key"
"""Metadata in which ComfyUI and others write what the UNet predicts."""

_V_PREDICTION = "v_pred"  # an empty tensor by which ComfyUI marks a file
_REMEDY = "the file is truncated, damaged or not what its name says: fetch it again"


class _Inert:
    """Stands in for a class of a pickle whose content is thrown away."""

    def __init__(self, *args: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _inert(name: str) -> type:
    module, _, qualname = name.rpartition(".")
    return type(qualname, (_Inert,), {"__module__": module})


# What Lightning leaves beside the weights: its checkpoint callback with the best score so far.
# Anything else that is not a tensor or a plain container is refused by torch.
_INERT_CLASSES: list[Any] = [
    _inert(name)
    for name in (
        "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
        "lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        "numpy.dtype",
        "_codecs.encode",
    )
]


def read_checkpoint(
    path: str | Path, ema: bool = False
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a single-file checkpoint of the SD1 type, plain or ReCo.

    A .ckpt is unpickled with tensors and plain containers only, so code in it never runs; its
    optimiser state is left out, and its EMA weights unless `ema` asks for them in place of the
    UNet's raw ones. Tensors are mapped from the file, not copied.

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
    weights, metadata = read_tensors(path)
    try:
        weights, facts = take_facts(weights)
        check_keys(weights)
        prediction = {PREDICTION_KEY: "v"} if _V_PREDICTION in weights else {}
        return select_weights(weights, ema), metadata | prediction | facts
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def read_parts(unet: Path, text_encoder: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """UNet and text encoder from files of their own, such as ComfyUI's ModelSave and CLIPSave
    write, under the keys of a single file; without an autoencoder. Otherwise as read_checkpoint."""
    weights: dict[str, torch.Tensor] = {}
    metadata: dict[str, str] = {}
    for path, select in ((unet, unet_part), (text_encoder, text_part)):
        tensors, said = read_tensors(path)
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


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Any file of tensors, under its own keys; otherwise as read_checkpoint."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint file {path}")
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{path.name}: checkpoints end in {', '.join(_READERS)}")
    try:
        return read(path)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error.__cause__


def write_checkpoint(
    path: str | Path,
    state_dict: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str],
    dtype: torch.dtype | None = None,
    on_written: Callable[[int], object] | None = None,
) -> None:
    """Write a .safetensors file that appears whole or not at all, one tensor after the other.

    dtype, on_written: as of tensor_file.write_tensors.

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
            raise ValueError(f"metadata {key!r}: {value!r} must be strings")
    for key, tensor in state_dict.items():
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(f"{key!r} is not a tensor but {type(tensor).__name__}")
    require_space(path, tensor_file_size(state_dict, metadata, dtype))
    write_atomically(
        path, lambda file: write_tensors(file, state_dict, metadata, dtype, on_written)
    )


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Any .safetensors file: its tensors, mapped from the file, and its metadata.

    Raises:
        ValueError: it is truncated or no such file; the error says what to do.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{_REMEDY} ({error})") from error


def _read_pickle(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    import torch

    try:
        with torch.serialization.safe_globals(_INERT_CLASSES):
            loaded = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except pickle.UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        name = f" ({code[1]})" if code else ""
        raise ValueError(
            f"reading this pickle would run code{name}; nothing was run: use a .safetensors file, "
            "or a .ckpt that holds weights only"
        ) from error
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"{_REMEDY} ({type(error).__name__})") from error
    return _lightning_parts(loaded)


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
