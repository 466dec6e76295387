"""The token and position table of a ReCo CLIP among ComfyUI's patches: whether it still has them,
whatever was merged into it, and how a plain one gets them."""

from __future__ import annotations

import comfy.sd
import torch
from comfy.model_patcher import ModelPatcher

from ..reco_core.family import TEXT_MODEL
from ..reco_core.position_tokens import CLIP_VOCABULARY_SIZE

Shape = tuple[int, ...]

TOLERANCE = 0.001
"""Of the sum of shares that a merge gives its tables: 1 is an average."""


def check_tables(clip: comfy.sd.CLIP) -> None:
    """Raise ValueError when a merge spoils the token or position table of a ReCo CLIP.

    ComfyUI multiplies a table and then, with a line in its log, leaves out one of another shape
    (comfy/lora.py, calculate_weight).
    """
    info = clip.tokenizer.info
    for encoder, size in zip(info.family.encoders, info.encoders, strict=True):
        tables = f"{encoder.module}.{TEXT_MODEL}embeddings."
        for name, rows in (
            ("token_embedding", CLIP_VOCABULARY_SIZE + info.num_bins),
            ("position_embedding", info.max_length),
        ):
            key = f"{tables}{name}.weight"
            patches = clip.patcher.patches.get(key, [])
            _check_table(name, (rows, size.width), [(unpatched(clip.patcher, key),), *patches])


def unpatched(patcher: ModelPatcher, key: str) -> torch.Tensor:
    """A weight as it was loaded, whichever clone's patches the model holds now."""
    weight, convert = patcher.get_key_patches(key)[key][0]
    return convert(weight)


def _check_table(name: str, shape: Shape, table: list) -> None:
    """Raise ValueError when patches leave a table of this shape no table. table: as of
    get_key_patches: (the weight, ...), and then its patches."""
    found, others = _shapes(table)
    if found != shape or others:
        other = others[0] if others else found
        raise ValueError(
            f"this CLIP was merged with one whose {name} is of another shape "
            f"({other[0]} x {other[1]} instead of {shape[0]} x {shape[1]}), so its "
            "words and boxes are lost: merge CLIPs of ReCo checkpoints of the same size only; "
            "for a plain checkpoint, use ReCo Transplant"
        )
    share = _share(table)
    if abs(share - 1) > TOLERANCE:
        raise ValueError(
            f"the merge behind this CLIP multiplies its {name} by {share:.4g}, so its words "
            "and boxes are lost: merge CLIPs by CLIPMergeSimple, or so that their shares sum "
            "to 1"
        )


def _shapes(table: list) -> tuple[Shape, list[Shape]]:
    """The shape that a table gets, and those of others that are merged into it while it has
    another. A patch is (strength, what, strength of the table, place in it, function)."""
    (weight, *_), *patches = table
    shape, others = tuple(weight.shape), []
    for strength, what, _, place, _ in patches:
        if is_padding(what):
            shape = tuple(what[1][0].shape)
        elif strength and isinstance(what, list):  # else a LoRA, or an adapter's rows
            found, nested = _shapes(what)
            wanted = shape if place is None else (place[2], shape[1])
            others += [*nested, *([found] if found != wanted else [])]
    return shape, others


def is_merged(patcher: ModelPatcher, key: str) -> bool:
    """Whether other tables were merged into one after an adapter's rows were put there."""
    merged = False
    for _, what, _, place, _ in patcher.patches.get(key, []):
        if isinstance(what, list):
            merged = merged or place is None
        elif isinstance(what, tuple) and what[0] == "set":
            merged = False
    return merged


def padding(shape: Shape) -> tuple:
    """A patch that gives a table more rows, of zeros, when it is added at strength 0."""
    return "diff", (torch.zeros(1, 1).expand(shape), {"pad_weight": True})


def is_padding(what: object) -> bool:
    """Whether a patch is one that gives a weight another shape, ours or a LoRA's."""
    if not isinstance(what, tuple) or len(what) != 2 or what[0] != "diff":
        return False
    return len(what[1]) > 1 and bool(what[1][1]["pad_weight"])


def _share(table: list) -> float:
    """What tables sum to in a merge, each being 1."""
    share = 1.0
    for strength, what, kept, place, _ in table[1:]:
        if place is None and isinstance(what, list):
            share = share * kept + strength * _share(what)
    return share
