"""Boxes of a ReCo checkpoint for the MODEL and the CLIP of another one, as patches of ComfyUI's.

What comes out is other + strength * (reco - base), made whenever ComfyUI loads it; nothing is
copied. The difference of two UNets is one nested patch, which ComfyUI works out in fp32 before it
is added (comfy/lora.py, calculate_weight). The CLIP is the ReCo checkpoint's, since only that has
room for position tokens: strength * reco + (other - strength * base), where rows of the token and
the position table that only it has stay as they are.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import comfy.lora
import comfy.sd
import folder_paths
import torch
from comfy.model_patcher import ModelPatcher

from ..reco_core.checkpoint import reco_metadata
from ..reco_core.checkpoint_file import SUFFIXES
from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.checks import finite, shorten
from ..reco_core.facts import facts_of
from ..reco_core.family import TEXT_MODEL
from ..reco_core.named_base import find_base, named_base
from ..reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from ..reco_core.transplant import Names, check_alike, check_kinds, check_reco, transplant_metadata
from .checkpoints import Networks, sha256_of
from .stock import loaded_info, loaded_text, loaded_unet, table_names
from .unet import ReCoModelConfig

UNETS = Names("reco_model", "base_model", "other_model")
TEXTS = Names("reco_clip", "base_clip", "other_clip")
_UNET = "diffusion_model."


def transplant(
    reco: Networks, base: Networks, other: Networks, strength_model: float, strength_clip: float
) -> Networks:
    """other + strength * (reco - base), of MODEL and CLIP.

    Raises:
        ValueError: an input is of another kind than it must be, or the three do not fit each other;
            nothing is left out in silence.
    """
    for name, strength in (("strength_model", strength_model), ("strength_clip", strength_clip)):
        finite(name, strength)
    info = _info(reco, UNETS.reco, TEXTS.reco)
    _check((reco, base, other), info)
    model = _model(reco[0], base[0], other[0], strength_model)
    clip = _clip(reco[1], base[1], other[1], strength_clip, info)
    record = {"strength_unet": strength_model, "strength_text": strength_clip}
    return model, _told(clip, info, record)


def base_networks(
    reco: comfy.sd.CLIP,
    model: ModelPatcher | None,
    clip: comfy.sd.CLIP | None,
    embeddings: list[str],
) -> tuple[Networks, str]:
    """MODEL and CLIP of the base, and what it is in words: those that are connected, else of the
    file that the ReCo checkpoint names, which is loaded once.

    Raises:
        ValueError: only one is connected; or none, and the file is not named, not there, or none
            that can be read.
    """
    if model is not None and clip is not None:
        return (model, clip), "as connected"
    for name, lacks in ((UNETS.base, model), (TEXTS.base, clip)):
        if (model, clip) != (None, None) and lacks is None:
            raise ValueError(
                f"{name} is not connected: connect both {UNETS.base} and {TEXTS.base}, or neither"
            )
    check_reco(TEXTS.reco, loaded_text(reco, TEXTS.reco).num_bins)
    path = base_file(reco.tokenizer.info)
    networks = _load_base(path, path.stat().st_mtime_ns, tuple(embeddings))
    return networks, f"{path.name}, found by its SHA-256"


def base_file(info: CheckpointInfo) -> Path:
    """The file in ComfyUI's checkpoints folder that a ReCo checkpoint names as its base.

    Raises:
        ValueError: it names none, or none is there.
    """
    named = named_base(info.metadata)
    if named is None:
        raise ValueError(
            "the ReCo checkpoint does not say which plain checkpoint it was trained from: connect "
            f"{UNETS.base} and {TEXTS.base} of that one (Load Checkpoint); it is sd-v1-4.ckpt for "
            "the weights of ReCo's authors"
        )
    found = find_base(named, _checkpoint_files(), sha256_of)
    if found is None:
        raise ValueError(
            f"the ReCo checkpoint was trained from {named.title}, and no file in ComfyUI's "
            f"checkpoints folder is that one: put it there, under any name, or connect "
            f"{UNETS.base} and {TEXTS.base}"
        )
    return found


def _checkpoint_files() -> list[Path]:
    names = folder_paths.get_filename_list("checkpoints")
    paths = [folder_paths.get_full_path("checkpoints", name) for name in names]
    return [Path(path) for path in paths if path and path.lower().endswith(SUFFIXES)]


@lru_cache(maxsize=1)
def _load_base(path: Path, modified: int, embeddings: tuple[str, ...]) -> Networks:
    """As ComfyUI's own Load Checkpoint. modified: when the file was written, so that another under
    its name is read again."""
    try:
        model, clip, *_ = comfy.sd.load_checkpoint_guess_config(
            str(path), output_vae=False, embedding_directory=list(embeddings)
        )
    except RuntimeError as error:
        raise ValueError(
            f"ComfyUI cannot load {path.name}, which the ReCo checkpoint names as its base: "
            f"{shorten(' '.join(str(error).split()), 300)}"
        ) from error
    return model, clip


def _info(networks: Networks, unet: str, text: str) -> CheckpointInfo:
    """What a MODEL and a CLIP are; heads of the MODEL itself."""
    model, clip = networks
    info = loaded_info(model, clip, (unet, text))
    return replace(info, unet_heads=loaded_unet(model, unet).heads)


def _check(networks: tuple[Networks, Networks, Networks], reco: CheckpointInfo) -> None:
    """Raise ValueError unless a transplant of the three is one, naming the input that is not."""
    plain = [
        _info(pair, unet, text)
        for pair, unet, text in zip(networks[1:], UNETS[1:], TEXTS[1:], strict=True)
    ]
    check_kinds(TEXTS, reco, *plain)
    for (model, _), name in zip(networks[1:], UNETS[1:], strict=True):
        config = model.model.model_config
        if isinstance(config, ReCoModelConfig) and config.facts.metadata.get("format") == "reco":
            raise ValueError(
                f"{name} is the UNet of a ReCo checkpoint: connect that of the plain one, from "
                "Load Checkpoint"
            )
    _check_hooks(networks)
    _check_apart(networks)
    unets = [_shapes(model, _UNET) for model, _ in networks]
    check_alike("UNet", UNETS, unets)
    tables = table_names(reco.family)
    for encoder, size in zip(reco.family.encoders, reco.encoders, strict=True):
        shapes = [_shapes(clip.patcher, f"{encoder.module}.{TEXT_MODEL}") for _, clip in networks]
        # Those of a plain CLIP with an adapter grow when they are patched.
        rows = (CLIP_VOCABULARY_SIZE + reco.num_bins, reco.max_length)
        shapes[0] |= {name: (count, size.width) for name, count in zip(tables, rows, strict=True)}
        check_alike("text encoder", TEXTS, shapes, tables)
    if _are_equal(reco, networks[1], networks[2]):
        raise ValueError(
            f"{UNETS.other} and {UNETS.base} are the same checkpoint: what comes out would be the "
            f"ReCo checkpoint itself; connect the one that is to get boxes as {UNETS.other} and "
            f"{TEXTS.other}"
        )


def _check_apart(networks: tuple[Networks, Networks, Networks]) -> None:
    """Raise ValueError where one UNet is connected as the ReCo checkpoint's and as another's."""
    reco, *plain = (model for model, _ in networks)
    for model, name in zip(plain, UNETS[1:], strict=True):
        if model.model is reco.model and model.patches_uuid == reco.patches_uuid:
            raise ValueError(
                f"{UNETS.reco} and {name} are one and the same UNet: connect {UNETS.reco} to the "
                "ReCo checkpoint's"
            )


def _are_equal(info: CheckpointInfo, one: Networks, two: Networks) -> bool:
    """Whether UNets and text encoders have equal weights, and no patches.

    Only those that a transplant reads: ComfyUI leaves chance in what a file lacks, such as the
    projection of SD 1.x's text encoder.
    """
    pairs = [(one[0], two[0], _UNET)]
    for encoder in info.family.encoders:
        pairs.append((one[1].patcher, two[1].patcher, f"{encoder.module}.{TEXT_MODEL}"))
    for ours, theirs, prefix in pairs:
        others = theirs.get_key_patches(prefix)
        for name, ((weight, _), *patches) in ours.get_key_patches(prefix).items():
            (other, _), *more = others[name]
            if patches or more or not torch.equal(weight, other.to(weight)):
                return False
    return True


def _check_hooks(networks: tuple[Networks, Networks, Networks]) -> None:
    """Raise ValueError for hooks on what is read as weights, where they would be lost."""
    (reco, _), (base, base_clip), (_, other_clip) = networks
    for name, patcher in (
        (UNETS.reco, reco),
        (UNETS.base, base),
        (TEXTS.base, base_clip.patcher),
        (TEXTS.other, other_clip.patcher),
    ):
        if patcher.hook_patches or patcher.forced_hooks:
            raise ValueError(
                f"{name} has hooks, which are not weights: set hooks behind ReCo Transplant"
            )


def _shapes(patcher: ModelPatcher, prefix: str) -> dict[str, tuple[int, ...]]:
    weights = patcher.get_key_patches(prefix)
    return {name: tuple(weight.shape) for name, ((weight, _), *_) in weights.items()}


def _model(
    reco: ModelPatcher, base: ModelPatcher, other: ModelPatcher, strength: float
) -> ModelPatcher:
    model = other.clone()
    ours, theirs = reco.get_key_patches(_UNET), base.get_key_patches(_UNET)
    if strength != 0:
        patches = {name: _minus(ours[name], theirs[name]) for name in ours}
        _add(model, patches, strength)
    return model


def _clip(
    reco: comfy.sd.CLIP,
    base: comfy.sd.CLIP,
    other: comfy.sd.CLIP,
    strength: float,
    info: CheckpointInfo,
) -> comfy.sd.CLIP:
    clip = reco.clone()
    if other.layer_idx is not None:  # clip skip
        clip.layer_idx = other.layer_idx
    tables = table_names(info.family)
    for encoder in info.family.encoders:
        prefix = f"{encoder.module}.{TEXT_MODEL}"
        ours, theirs = (c.patcher.get_key_patches(prefix) for c in (base, other))
        patches: dict[str | tuple, list] = {}
        for name, weight in theirs.items():
            place = _place(name, weight) if name in tables else name
            patches[place] = _minus(weight, ours[name], strength)
        _add(clip.patcher, patches, 1.0, strength)
    return clip


def _minus(one: list, two: list, strength: float = 1.0) -> list:
    """one - strength * two as a patch. one, two: a weight with its patches."""
    return [*one, (-strength, two, 1.0, None, None)]


def _place(name: str, table: list) -> tuple[str, tuple[int, int, int]]:
    """The first rows of a table, as many as another has: axis, first, number."""
    (weight, _), *_ = table
    return name, (0, 0, len(weight))


def _add(
    patcher: ModelPatcher, patches: Mapping, strength: float, strength_model: float = 1.0
) -> None:
    added = patcher.add_patches(patches, strength, strength_model)
    assert len(added) == len(patches), "names were compared before"


def _told(clip: comfy.sd.CLIP, info: CheckpointInfo, record: dict) -> comfy.sd.CLIP:
    """The CLIP with a tokenizer of its own, which says what it is now. Clones share theirs."""
    metadata = transplant_metadata(info.metadata, {}, record)
    made = replace(info, words=(), metadata=metadata)
    tables = {
        key: _value(clip.patcher, name)
        for key, name in zip(
            (key for encoder in info.family.encoders for key in encoder.tables),
            table_names(info.family),
            strict=True,
        )
    }
    clip.tokenizer = copy.copy(clip.tokenizer)
    clip.tokenizer.info = made
    clip.tokenizer.facts = facts_of(tables, metadata | reco_metadata(made), info.family)
    return clip


def _value(patcher: ModelPatcher, name: str) -> torch.Tensor:
    """A weight as its patches make it, in fp32 on the CPU."""
    (weight, convert), *patches = patcher.get_key_patches(name)[name]
    whole = convert(weight.to("cpu", torch.float32, copy=True))
    return comfy.lora.calculate_weight(patches, whole, name)
