"""Read a diffusers folder of Stable Diffusion 1.x, plain or ReCo, as a single file's tensors.

Neither diffusers nor transformers is needed, and no pickle is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .architecture import check_weights
from .autoencoder import (
    LATENT_SCALE_KEY,
    LATENT_SHIFT_KEY,
    check_autoencoder,
    describe_autoencoder,
)
from .checkpoint import describe_checkpoint, standard_heads
from .checks import quote, shorten
from .diffusers_config import (
    TEXT_ENCODER,
    TINY,
    UNET,
    VAE,
    check_added_tokens,
    check_kind,
    heads,
    read_config,
    read_scheduler,
)
from .diffusers_keys import as_kl, kl_keys, taesd_keys, text_keys, unet_keys, unet_layers
from .family import SD1
from .folder_weights import read_object, read_weights

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS = "diffusion_pytorch_model", "model"
"""How the names of files with weights begin."""
NOTES = "reco.json"
"""What the trainer adds: metadata and single numbers, which the form has no place for."""

_POSITION_IDS = "embeddings.position_ids"  # a buffer: 0, 1, 2, ...
_SCALARS = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "uint8", "bool")


def read_diffusers_folder(path: Path) -> tuple[Tensors, dict[str, str]]:
    """The folder's weights under the keys of a single file, mapped from their files.

    Weights are .safetensors or .bin, whole or in shards, of the current or the older names.

    Returns:
        (state_dict, metadata): metadata are reco.json's, and the numbers of heads where they are
        not Stable Diffusion 1's.

    Raises:
        ValueError: not a diffusers folder, not Stable Diffusion 1.x, incomplete or damaged, or
            its added tokens are not position tokens in order.
        FileNotFoundError: there is no such folder.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"there is no folder {path}")
    try:
        return _read(path)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{path}: {error}") from error


def _read(path: Path) -> tuple[Tensors, dict[str, str]]:
    check_kind(path)
    notes = read_object(path / NOTES) if (path / NOTES).exists() else {}
    unet, vae, text = (read_config(path, part) for part in (UNET, VAE, TEXT_ENCODER))
    state = _read_unet(path / UNET, unet) | _read_text(path / TEXT_ENCODER)
    check_weights(state, SD1)
    state |= _read_vae(path / VAE, vae) | _scalars(notes)
    metadata = {str(key): str(value) for key, value in _object(notes, "metadata").items()}
    metadata |= dict(heads(unet, text).items() - standard_heads(state, SD1).items())
    metadata |= read_scheduler(path)
    check_added_tokens(path, describe_checkpoint(state, metadata).num_bins)
    return state, metadata


def _read_unet(folder: Path, config: Mapping[str, Any]) -> Tensors:
    tensors = read_weights(folder, DIFFUSERS_WEIGHTS)
    keys = _keys(folder, unet_keys, tensors)
    found = {
        "layers_per_block": unet_layers(tensors),
        "block_out_channels": len({key.split(".")[1] for key in tensors if key[:5] == "down_"}),
    }
    _check_count(folder, config, found)
    return {ldm: tensors[key] for key, ldm in keys.items()}


def _read_text(folder: Path) -> Tensors:
    tensors = read_weights(folder, TRANSFORMERS_WEIGHTS)
    kept = {key: tensor for key, tensor in tensors.items() if not key.endswith(_POSITION_IDS)}
    keys = _keys(folder, lambda names: text_keys(names, SD1.encoders[0]), kept)
    return {ldm: kept[key] for key, ldm in keys.items()}


def _read_vae(folder: Path, config: Mapping[str, Any]) -> Tensors:
    import torch

    tensors = read_weights(folder, DIFFUSERS_WEIGHTS)
    if config["_class_name"] == TINY:
        keys = _keys(folder, taesd_keys, tensors)
        state = {ldm: tensors[key] for key, ldm in keys.items()}
        # Its latents are the UNet's own, and ComfyUI hands an autoencoder unscaled ones.
        scales = {LATENT_SCALE_KEY: SD1.latent_scale, LATENT_SHIFT_KEY: 0.0}
        return state | {key: torch.tensor(value) for key, value in scales.items()}
    state = as_kl(tensors, _keys(folder, kl_keys, tensors))
    size = describe_autoencoder(state)
    if size is not None:
        found = {"layers_per_block": size.blocks, "block_out_channels": len(size.channels)}
        _check_count(folder, config, found)
    check_autoencoder(state)
    return state


def _keys(
    folder: Path, keys_of: Callable[[Iterable[str]], dict[str, str]], tensors: Tensors
) -> dict[str, str]:
    try:
        return keys_of(tensors)
    except ValueError as error:
        raise ValueError(f"{folder.name}/: {error}") from error


def _check_count(folder: Path, config: Mapping[str, Any], found: Mapping[str, int]) -> None:
    """Layers and levels that a configuration names must be there: keys are counted by them."""
    for key, count in found.items():
        said = config.get(key, count)
        number = len(said) if isinstance(said, list) and key == "block_out_channels" else said
        if number != count:
            raise ValueError(
                f"{folder.name}/config.json says {key} = {quote(said)}, and the weights have "
                f"{count}: it is incomplete or of another model, fetch it again"
            )


def _object(notes: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = notes.get(key, {})
    if not isinstance(found, dict):
        raise ValueError(f"{NOTES} says {key} = {quote(found)}: expected an object")
    return found


def _scalars(notes: Mapping[str, Any]) -> Tensors:
    """Single numbers that have a name in the single file."""
    import torch

    scalars = {}
    for key, scalar in _object(notes, "scalars").items():
        try:
            kind, value = _SCALARS[_SCALARS.index(scalar["dtype"])], scalar["value"]
            scalars[key] = number = torch.tensor(value, dtype=getattr(torch, kind))
            if number.ndim or (not number.is_floating_point() and number.item() != value):
                raise ValueError(value)  # a list, or a number that the type does not hold
        except (TypeError, KeyError, ValueError, OverflowError, RuntimeError) as error:
            raise ValueError(
                f"{NOTES} says {shorten(key)} = {quote(scalar)}: expected a dtype and a number"
            ) from error
    return scalars
