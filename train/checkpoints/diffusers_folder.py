"""Write a single file's tensors as a diffusers folder of Stable Diffusion 1.x, plain or ReCo.

    model_index.json                what diffusers.StableDiffusionPipeline.from_pretrained opens
    unet/ vae/ text_encoder/        config.json and weights
    tokenizer/                      with <bin000> <bin001> ... as added tokens, ids from 49408
    scheduler/
    reco.json                       what the form has no place for: the single file's metadata,
                                    and the scale and shift of TAESD's latents in ComfyUI

The tokens are named as in the port of the released weights (j-min/reco_sd14_coco).
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import PNDMScheduler
from torch import Tensor
from transformers import AddedToken

from reco_core.atomic import require_space, write_folder_atomically
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_info import CheckpointInfo
from reco_core.diffusers_config import INDEX, KL, TEXT_ENCODER, UNET, VAE
from reco_core.diffusers_folder import DIFFUSERS_WEIGHTS, NOTES, TRANSFORMERS_WEIGHTS
from reco_core.diffusers_keys import kl_keys, pick, pick_kl, taesd_keys, text_keys, unet_keys
from reco_core.family import Family
from reco_core.position_tokens import CLIP_VOCABULARY_SIZE, bin_word
from reco_core.tensor_file import tensor_file_size, write_tensors
from train.model.architecture import empty_text_encoder, empty_unet, empty_vae
from train.model.noise import scheduler_options

_SMALL_FILES = 10_000_000
"""Bytes that tokenizer and configurations take at most."""
_OUTPUT_METADATA = {"format": "pt"}
"""Without it transformers refuses a file."""


def write_diffusers_folder(
    path: Path,
    state: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    dtype: torch.dtype | None = None,
    on_written: Callable[[int], object] | None = None,
) -> None:
    """Write a folder for StableDiffusionPipeline, whole or not at all, tensor by tensor.

    state: a single file's tensors. dtype, on_written: as of tensor_file.write_tensors.

    Raises:
        ValueError: the tensors are not those of one Stable Diffusion 1.x, `path` is something
            else than such a folder, or the disk has too little room.
    """
    check_folder_output(path)
    info = describe_checkpoint(state, metadata)
    parts = _parts(state, info)
    sizes = [tensor_file_size(part.tensors, _OUTPUT_METADATA, dtype) for part in parts]
    require_space(path, sum(sizes) + _SMALL_FILES)

    def write(folder: Path) -> None:
        for part in parts:
            (folder / part.folder).mkdir()
            part.save_config(folder / part.folder)
            weights = folder / part.folder / f"{part.stem}.safetensors"
            write_tensors(weights, part.tensors, _OUTPUT_METADATA, dtype, on_written)
        _scheduler(info.family).save_config(folder / "scheduler")
        _write_tokenizer(folder / "tokenizer", info)
        scalars = {
            key: {"dtype": str(value.dtype).removeprefix("torch."), "value": value.item()}
            for key, value in state.items()
            if not value.ndim
        }
        if metadata or scalars:
            _write_json(folder / NOTES, {"metadata": dict(metadata), "scalars": scalars})
        _write_json(folder / INDEX, _index(parts))

    write_folder_atomically(path, write)


def check_folder_output(path: Path) -> None:
    """Raise a ValueError if something else than a diffusers folder is at `path`."""
    if path.is_file():
        raise ValueError(f"{path} is a file: name another place for the diffusers folder")
    if path.is_dir() and any(path.iterdir()) and not (path / INDEX).is_file():
        raise ValueError(
            f"{path} is a folder with other things in it (no {INDEX}), which writing would "
            "replace: name a new folder"
        )


@dataclass(frozen=True)
class _Part:
    """One component to be written: tensors under its own names."""

    folder: str
    module: str
    kind: str
    stem: str
    tensors: dict[str, Tensor]
    save_config: Callable[[Path], object]


def _parts(state: Mapping[str, Tensor], info: CheckpointInfo) -> list[_Part]:
    unet, vae, text = empty_unet(state, info), empty_vae(state, info), empty_text_encoder(info)
    (encoder,) = info.family.encoders
    kind = type(vae).__name__
    vae_keys, pick_vae = (kl_keys, pick_kl) if kind == KL else (taesd_keys, pick)
    maps = {
        UNET: unet_keys(unet.state_dict()),
        VAE: vae_keys(vae.state_dict()),
        TEXT_ENCODER: text_keys(text.state_dict(), encoder),
    }
    tensors = {
        part: pick_vae(state, keys) if part == VAE else pick(state, keys)
        for part, keys in maps.items()
    }
    used = {ldm for keys in maps.values() for ldm in keys.values()}
    _warn_of_unused(key for key in state if key not in used and state[key].ndim)
    for name, module in ((UNET, unet), (VAE, vae), (TEXT_ENCODER, text)):
        _check_shapes(name, module.state_dict(), tensors[name])
    # Older transformers want the prefix, newer ones accept it.
    tensors[TEXT_ENCODER] = {
        "text_model." + key.removeprefix("text_model."): tensor
        for key, tensor in tensors[TEXT_ENCODER].items()
    }
    return [
        _Part(
            UNET,
            "diffusers",
            "UNet2DConditionModel",
            DIFFUSERS_WEIGHTS,
            tensors[UNET],
            unet.save_config,
        ),
        _Part(VAE, "diffusers", kind, DIFFUSERS_WEIGHTS, tensors[VAE], vae.save_config),
        _Part(
            TEXT_ENCODER,
            "transformers",
            "CLIPTextModel",
            TRANSFORMERS_WEIGHTS,
            tensors[TEXT_ENCODER],
            text.config.save_pretrained,
        ),
    ]


def _index(parts: Iterable[_Part]) -> dict[str, Any]:
    optional = ("feature_extractor", "image_encoder", "safety_checker")
    return {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": diffusers.__version__,
        "requires_safety_checker": False,
        "scheduler": ["diffusers", "PNDMScheduler"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        **{name: [None, None] for name in optional},
        **{part.folder: [part.module, part.kind] for part in parts},
    }


def _scheduler(family: Family) -> PNDMScheduler:
    """PLMS with a family's noise schedule, the sampler of the paper's evaluation."""
    schedule = scheduler_options(family)
    return PNDMScheduler(
        beta_start=schedule["beta_start"],
        beta_end=schedule["beta_end"],
        beta_schedule=schedule["beta_schedule"],
        prediction_type=schedule["prediction_type"],
        skip_prk_steps=True,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def _write_tokenizer(folder: Path, info: CheckpointInfo) -> None:
    """In the newer form and in the older one (vocab.json, merges.txt, added_tokens.json)."""
    from train.model.tokenizer import clip_tokenizer

    tokenizer = copy.deepcopy(clip_tokenizer())
    words = [bin_word(number) for number in range(info.num_bins)]
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in words])
    tokenizer.model_max_length = info.max_length
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))
    if words:
        ids = {word: CLIP_VOCABULARY_SIZE + number for number, word in enumerate(words)}
        _write_json(folder / "added_tokens.json", ids)


def _check_shapes(part: str, wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        if tensor.shape != wanted[key].shape:
            raise ValueError(
                f"{key} of {part} is of shape {tuple(tensor.shape)}, not "
                f"{tuple(wanted[key].shape)}: it is not of Stable Diffusion 1's architecture"
            )


def _warn_of_unused(keys: Iterable[str]) -> None:
    """Say that a conversion loses these tensors."""
    unused = list(keys)
    if unused:
        warnings.warn(
            f"left out {len(unused)} tensors that the architecture has no place for, for instance "
            f"{unused[0]!r}",
            stacklevel=2,
        )


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
