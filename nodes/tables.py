"""Whether a CLIP still has the two tables of its ReCo checkpoint, whatever was merged into it."""

from __future__ import annotations

import comfy.sd

from ..reco_core.family import TEXT_MODEL
from ..reco_core.position_tokens import CLIP_VOCABULARY_SIZE

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
            patches = clip.patcher.patches.get(f"{tables}{name}.weight", [])
            _check_table(name, (rows, size.width), patches)


def _check_table(name: str, shape: tuple[int, int], patches: list) -> None:
    """Raise ValueError when patches leave a table of this shape no table."""
    others = _other_shapes(patches, shape)
    if others:
        raise ValueError(
            f"this CLIP was merged with one whose {name} is of another shape "
            f"({others[0][0]} x {others[0][1]} instead of {shape[0]} x {shape[1]}), so its "
            "words and boxes are lost: merge CLIPs of ReCo checkpoints of the same size only; "
            "for a plain checkpoint, use ReCo Transplant"
        )
    share = _share(patches)
    if abs(share - 1) > TOLERANCE:
        raise ValueError(
            f"the merge behind this CLIP multiplies its {name} by {share:.4g}, so its words "
            "and boxes are lost: merge CLIPs by CLIPMergeSimple, or so that their shares sum "
            "to 1"
        )


def _other_shapes(patches: list, shape: tuple[int, int]) -> list[tuple[int, ...]]:
    """Shapes, unlike a table's, of tables that are merged into it. patches: as of a ModelPatcher:
    (strength, what, strength of the table, place in it, function)."""
    others: list[tuple[int, ...]] = []
    for strength, what, _, place, _ in patches:
        if strength == 0 or not isinstance(what, list):  # a LoRA
            continue
        wanted = shape if place is None else (place[2], shape[1])
        found = tuple(what[0][0].shape)
        others += [found] if found != wanted else _other_shapes(what[1:], wanted)
    return others


def _share(patches: list) -> float:
    """What tables sum to in a merge, each being 1."""
    share = 1.0
    for strength, what, kept, place, _ in patches:
        if isinstance(what, list) and place is None:
            share = share * kept + strength * _share(what[1:])
    return share
