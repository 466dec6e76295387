"""A ReCo adapter on a loaded MODEL and CLIP, as patches of clones: nothing is copied, and what they
were cloned from stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import comfy.sd
import torch
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import CallbacksMP
from comfy.utils import get_attr

from ..reco_core.adapter import (
    POSITION_ROWS,
    TOKEN_ROWS,
    Adapter,
    adapted_info,
    lora_changes,
    read_adapter,
)
from ..reco_core.adapter_info import check_base, training_words
from ..reco_core.adapter_rows import Applied, mean_rows, rows_warning
from ..reco_core.checkpoint import family_metadata, reco_metadata
from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.facts import facts_of
from ..reco_core.metadata import read_number
from ..reco_core.position_tokens import CLIP_LENGTH, CLIP_VOCABULARY_SIZE
from ..reco_core.remarks import Remark
from .stock import file_shapes, loaded_info, table_names
from .tables import check_tables, is_merged, padding, unpatched
from .tokenizer import ReCoTokenizer

Rows = dict[str, torch.Tensor]

_WHOLE_TABLES = "reco_whole_tables"  # key of a callback


def apply_adapter(
    model: ModelPatcher,
    clip: comfy.sd.CLIP,
    path: Path,
    strength_model: float = 1.0,
    strength_clip: float = 1.0,
) -> tuple[ModelPatcher, comfy.sd.CLIP]:
    """Clones of MODEL and CLIP with an adapter.

    The LoRA matrices are added to those of other adapters and LoRAs. The rows of several adapters
    become their mean, by the size of their strength_clip.

    Raises:
        ValueError: the file is no adapter, or does not go with the models or an earlier adapter.
    """
    adapter = read_adapter(path)
    try:
        info = loaded_info(model, clip)
        _check_fit(info, model, clip, adapter)
        applied = (*_applied(clip), (adapter, strength_clip))
        rows = mean_rows(applied)
        extended = adapted_info(info, adapter.info)
    except ValueError as error:
        raise ValueError(f"{path.name!r}: {error}") from error
    lora = adapter.lora_tensors
    model, clip = comfy.sd.load_lora_for_models(model, clip, lora, strength_model, strength_clip)
    clip.tokenizer = _tokenizer(clip, extended, rows, applied)
    _add_rows(clip.patcher, extended, rows)
    return model, clip


def described(clip: comfy.sd.CLIP) -> tuple[str, list[Remark]]:
    """What is to be told of the adapter that was applied last, in words, and the remarks."""
    applied = clip.tokenizer.adapters
    warning = rows_warning(applied)
    return training_words(applied[-1][0].info), [Remark("file", warning)] if warning else []


def _applied(clip: comfy.sd.CLIP) -> Applied:
    return clip.tokenizer.adapters if isinstance(clip.tokenizer, ReCoTokenizer) else ()


def _check_fit(
    info: CheckpointInfo, model: ModelPatcher, clip: comfy.sd.CLIP, adapter: Adapter
) -> None:
    """Raise ValueError unless the adapter goes with the checkpoint that was loaded."""
    if info.is_reco:
        check_tables(clip)
    if _applied(clip) and is_merged(clip.patcher, table_names(info.family)[0]):
        raise ValueError(
            "this CLIP is a merge of CLIPs that have adapters, and another would take the place of "
            "its position tokens: apply all adapters first and merge then"
        )
    tokens, positions = (len(unpatched(clip.patcher, name)) for name in table_names(info.family))
    is_plain = any(not one.info.base_is_reco for one, _ in _applied(clip))
    num_bins = 0 if is_plain else tokens - CLIP_VOCABULARY_SIZE
    check_base(adapter.info, info.family, info.context_width, num_bins, positions)
    lora_changes(file_shapes(model, clip, info.family), adapter)
    for key, value in family_metadata(info).items():
        said = read_number(adapter.info.metadata, key) if key.endswith("_heads") else None
        if said is not None and said != int(value):
            raise ValueError(
                f"the adapter was trained with {key} = {said} and these models have {value}: "
                "choose the base that it was trained on"
            )


def _tokenizer(
    clip: comfy.sd.CLIP, info: CheckpointInfo, rows: Rows, applied: Applied
) -> ReCoTokenizer:
    tables = {
        key: torch.cat([table[:count].cpu(), new.to("cpu", table.dtype)])
        for (_, count, new), (key, table) in zip(
            _tables(info, rows), _loaded_tables(clip, info), strict=True
        )
    }
    facts = facts_of(tables, info.metadata | reco_metadata(info), info.family)
    data = {"reco_info": info, "reco_facts": facts, "reco_adapters": applied}
    own = getattr(clip.tokenizer, info.family.encoders[0].module)
    return ReCoTokenizer(own.embedding_directory, data)


def _loaded_tables(clip: comfy.sd.CLIP, info: CheckpointInfo) -> Iterator[tuple[str, torch.Tensor]]:
    """Key in a single file and weight of each table, as it was loaded."""
    keys = [key for encoder in info.family.encoders for key in encoder.tables]
    for key, name in zip(keys, table_names(info.family), strict=True):
        yield key, unpatched(clip.patcher, name)


def _tables(info: CheckpointInfo, rows: Rows) -> Iterator[tuple[str, int, torch.Tensor]]:
    """Name in the CLIP of each table, the rows that are CLIP's own, and those after them."""
    tokens, positions = table_names(info.family)
    yield tokens, CLIP_VOCABULARY_SIZE, rows[TOKEN_ROWS]
    yield positions, CLIP_LENGTH, rows[POSITION_ROWS]


def _add_rows(patcher: ModelPatcher, info: CheckpointInfo, rows: Rows) -> None:
    """Put rows behind CLIP's own in both tables, or in place of what is there.

    They are set, not added, since ComfyUI may apply a patch to what holds it already: in saving
    what dynamic VRAM has loaded whole (comfy/model_patcher.py, force_load_param).
    """
    for name, count, new in _tables(info, rows):
        shape = (count + len(new), new.shape[1])
        if tuple(unpatched(patcher, name).shape) != shape:
            patcher.add_patches({name: padding(shape)}, 0.0)
        place = (0, count, len(new))
        patcher.add_patches({(name, place): ("set", (new,))})
    patcher.remove_callbacks_with_key(CallbacksMP.ON_LOAD, _WHOLE_TABLES)
    patcher.add_callback_with_key(CallbacksMP.ON_LOAD, _WHOLE_TABLES, _load_tables_whole)


def _load_tables_whole(patcher: ModelPatcher, device: torch.device, *_: object) -> None:
    """Where memory is short, ComfyUI leaves patches to the layers; but CLIP reads the position
    table without asking its layer (comfy/clip_model.py, CLIPEmbeddings)."""
    if patcher.is_dynamic():  # loads whole what a patch gives another shape
        return
    for name in [name for name in patcher.patches if name.endswith("_embedding.weight")]:
        layer = get_attr(patcher.model, name.removesuffix(".weight"))
        if not getattr(layer, "comfy_patched_weights", False):
            layer.weight_function = []
            patcher.patch_weight_to_device(name, device_to=device)
            layer.comfy_patched_weights = True
