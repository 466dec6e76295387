"""Read a diffusers folder of Stable Diffusion 1.x, plain or ReCo, as a single file's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from reco_core.checkpoint import describe_checkpoint, standard_heads
from reco_core.checkpoint_file import PREDICTION_KEY
from reco_core.family import SD1
from reco_core.position_tokens import CLIP_VOCABULARY_SIZE, bin_word
from train.checkpoints.diffusers_folder import (
    DIFFUSERS_WEIGHTS,
    INDEX,
    NOTES,
    TEXT_ENCODER,
    TRANSFORMERS_WEIGHTS,
    UNET,
    VAE,
    vae_keys,
    warn_of_unused,
)
from train.checkpoints.folder_weights import read_json, read_weights
from train.model.keys import text_keys, unet_keys

_DEFAULT_HEADS = 8  # diffusers', where a configuration does not say


def read_diffusers_folder(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
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
        _check_kind(path)
        notes = read_json(path / NOTES) if (path / NOTES).exists() else {}
        state = _read_unet(path / UNET) | _read_vae(path / VAE) | _read_text(path / TEXT_ENCODER)
        for key, scalar in notes.get("scalars", {}).items():
            state[key] = torch.tensor(scalar["value"], dtype=getattr(torch, scalar["dtype"]))
        metadata = {str(key): str(value) for key, value in notes.get("metadata", {}).items()}
        known = standard_heads(state, SD1).items()
        metadata |= dict(_heads(path).items() - known) | _prediction(path)
        _check_added_tokens(path, describe_checkpoint(state, metadata).num_bins)
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f"{path}: {error}") from error
    return state, metadata


def _check_kind(path: Path) -> None:
    """Refuse what is not a Stable Diffusion 1.x folder, by what its configurations say."""
    if not (path / INDEX).is_file():
        raise ValueError(f"this is not a diffusers folder: it has no {INDEX}")
    index = read_json(path / INDEX)
    name = index.get("_class_name", "unknown")
    needed = {UNET: "UNet2DConditionModel", TEXT_ENCODER: "CLIPTextModel"}
    others = [key for key in ("text_encoder_2", "transformer") if key in index]
    if others or any(index.get(part, [0, 0])[1] != kind for part, kind in needed.items()):
        raise ValueError(
            f"this is a {name}, not Stable Diffusion 1.x: use a folder of a "
            "StableDiffusionPipeline with one CLIPTextModel"
        )
    wanted = SD1.encoders[0].activation
    activation = read_json(path / TEXT_ENCODER / "config.json").get("hidden_act", wanted)
    if activation != wanted:
        raise ValueError(
            f"the text encoder's activation is {activation}, as that of Stable Diffusion 2 "
            "(OpenCLIP): use a folder of Stable Diffusion 1.x"
        )


def _read_unet(folder: Path) -> dict[str, Tensor]:
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(read_json(folder / "config.json"))
    tensors = read_weights(folder, DIFFUSERS_WEIGHTS)
    return _renamed(tensors, unet_keys(unet), UNET)


def _read_vae(folder: Path) -> dict[str, Tensor]:
    config = read_json(folder / "config.json")
    kinds = {kind.__name__: kind for kind in (AutoencoderKL, AutoencoderTiny)}
    name = config.get("_class_name")
    if name not in kinds:
        raise ValueError(f"vae/ is a {name}: use {' or '.join(kinds)}")
    if name == "AutoencoderTiny":
        config.pop("block_out_channels", None)  # diffusers writes it and then warns of it
    with torch.device("meta"):
        vae = kinds[name].from_config(config)
    tensors = read_weights(folder, DIFFUSERS_WEIGHTS)
    vae._fix_state_dict_keys_on_load(tensors)  # diffusers' names of attention before 0.14
    tensors = _renamed(tensors, vae_keys(vae), VAE)
    if name == "AutoencoderTiny":
        return tensors
    # LDM's autoencoder has no linear layers: its attention is made of 1x1 convolutions.
    return {
        key: tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        for key, tensor in tensors.items()
    }


def _read_text(folder: Path) -> dict[str, Tensor]:
    with torch.device("meta"):
        model = CLIPTextModel(CLIPTextConfig.from_pretrained(folder))
    keys = text_keys(model.state_dict(), SD1.encoders[0])
    bare = {key.removeprefix("text_model."): ldm for key, ldm in keys.items()}
    tensors = read_weights(folder, TRANSFORMERS_WEIGHTS)
    tensors = {key.removeprefix("text_model."): tensor for key, tensor in tensors.items()}
    tensors.pop("embeddings.position_ids", None)  # a buffer: 0, 1, 2, ...
    return _renamed(tensors, bare, TEXT_ENCODER)


def _renamed(
    tensors: Mapping[str, Tensor], keys: Mapping[str, str], part: str
) -> dict[str, Tensor]:
    missing = [key for key in keys if key not in tensors]
    if missing:
        raise ValueError(
            f"{part}/ lacks {len(missing)} of the tensors in its config.json, for instance "
            f"{missing[0]!r}: it is incomplete, fetch it again"
        )
    warn_of_unused(f"{part}/ {key}" for key in tensors if key not in keys)
    return {ldm: tensors[key] for key, ldm in keys.items()}


def _heads(path: Path) -> dict[str, str]:
    """The configurations' numbers of heads, as metadata."""
    unet = read_json(path / UNET / "config.json")
    heads = unet.get("num_attention_heads") or unet.get("attention_head_dim", _DEFAULT_HEADS)
    if not isinstance(heads, int):
        raise ValueError(
            f"unet/ has {heads!r} heads per level: Stable Diffusion 1.x has one number"
        )
    text_heads = CLIPTextConfig.from_pretrained(path / TEXT_ENCODER).num_attention_heads
    return {"unet_heads": str(heads), "text_heads": str(text_heads)}


def _prediction(path: Path) -> dict[str, str]:
    """What the UNet predicts, as metadata, where that is not the noise."""
    scheduler = path / "scheduler" / "scheduler_config.json"
    kind = read_json(scheduler).get("prediction_type", "epsilon") if scheduler.exists() else ""
    return {PREDICTION_KEY: str(kind)} if kind not in ("", "epsilon") else {}


def _check_added_tokens(path: Path, num_bins: int) -> None:
    """The vocabulary's new rows must be the position tokens, in order."""
    file = path / "tokenizer" / "added_tokens.json"
    if not file.exists():
        return
    for word, number in read_json(file).items():
        if number < CLIP_VOCABULARY_SIZE:
            continue  # CLIP's own marks of begin and end
        position = number - CLIP_VOCABULARY_SIZE
        if word != bin_word(position) or position >= num_bins:
            raise ValueError(
                f"tokenizer/added_tokens.json gives {word!r} the id {number}: expected "
                f"{bin_word(position)!r} there and {num_bins} position tokens in all"
            )
