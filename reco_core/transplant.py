"""A ReCo checkpoint minus the plain one that it was trained from, times a strength, plus another
checkpoint: boxes for a fine-tune that never saw any.

The difference of two such checkpoints is what training with boxes changed. Rows of the token and
the position table that only the ReCo checkpoint has are taken whole, at any strength.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from .checkpoint_info import CheckpointInfo
from .checks import quote
from .metadata import read_text, read_words
from .named_base import without_base

if TYPE_CHECKING:
    import torch

Shapes = Mapping[str, tuple[int, ...]]

_ADVICE = (
    "all three must be of one architecture, as SD 1.4, a ReCo checkpoint trained from it and a "
    "fine-tune of SD 1.5 are"
)
_OF_BOTH = ("words", "licence")


class Names(NamedTuple):
    """What the three checkpoints are called in messages."""

    reco: str
    base: str
    other: str


def transplanted(
    reco: torch.Tensor, base: torch.Tensor, other: torch.Tensor, strength: float
) -> torch.Tensor:
    """other + strength * (reco - base) in fp32, followed by the rows that only `reco` has."""
    import torch

    rows = len(base)
    made = other.float() + strength * (reco[:rows].float() - base.float())
    return torch.cat([made, reco[rows:].float()]) if len(reco) > rows else made


def check_reco(name: str, num_bins: int) -> None:
    """Raise ValueError when what is called so has no position tokens."""
    if not num_bins:
        raise ValueError(
            f"{name} is of a plain checkpoint, without position tokens: give the ReCo checkpoint "
            "whose boxes are wanted"
        )


def check_kinds(
    names: Names, reco: CheckpointInfo, base: CheckpointInfo, other: CheckpointInfo
) -> None:
    """Raise ValueError unless the first is a ReCo checkpoint and the others are plain ones of its
    family, with as many heads."""
    check_reco(names.reco, reco.num_bins)
    for name, info, wanted in (
        (names.base, base, "the plain checkpoint that the ReCo one was trained from"),
        (names.other, other, "the plain checkpoint that is to get boxes"),
    ):
        if info.is_reco:
            raise ValueError(
                f"{name} is of a ReCo checkpoint, with {info.num_bins} position tokens of its "
                f"own: give {wanted}"
            )
        if info.family != reco.family:
            raise ValueError(
                f"{name} is of {info.family.title} and {names.reco} of {reco.family.title}: "
                f"{_ADVICE}"
            )
        ours, theirs = ([i.unet_heads, *(e.heads for e in i.encoders)] for i in (reco, info))
        if ours != theirs:
            raise ValueError(
                f"UNet and text encoder have {theirs} attention heads in {name} and {ours} in "
                f"{names.reco}: {_ADVICE}"
            )


def check_alike(
    part: str, names: Names, shapes: Iterable[Shapes], tables: Collection[str] = ()
) -> None:
    """Raise ValueError unless three UNets, or three text encoders, have the same weights; it names
    the first that differs, with its sizes.

    part: what they are. shapes: by key, of each. tables: keys of which the ReCo checkpoint has more
        rows.
    """
    reco, base, other = shapes
    _check_keys(part, (names.reco, reco), (names.base, base))
    _check_keys(part, (names.reco, reco), (names.other, other))
    for key, shape in base.items():
        (rows, *sizes), ours = shape, reco[key]
        grown = key in tables and rows < ours[0]
        if shape != ours and not (grown and tuple(sizes) == tuple(ours[1:])):
            raise _unlike(part, key, (names.base, shape), (names.reco, ours))
        if other[key] != shape:
            raise _unlike(part, key, (names.other, other[key]), (names.base, shape))


def transplant_metadata(
    reco: Mapping[str, str], other: Mapping[str, str], record: Mapping[str, object]
) -> dict[str, str]:
    """Metadata of what is made: the ReCo checkpoint's, without its base, and the licences of both.

    It knows the words of both; where one lists none, which means any, none are listed.

    record: how it was made, kept as JSON under `transplant`.
    """
    made = {key: text for key, text in without_base(reco).items() if key not in _OF_BOTH}
    ours, theirs = read_words(reco), read_words(other)
    if ours and theirs:
        made["words"] = json.dumps(sorted({*ours, *theirs}))
    licences = dict.fromkeys(filter(None, (read_text(m, "licence") for m in (reco, other))))
    if licences:
        made["licence"] = "; ".join(licences)
    return {**made, "transplant": json.dumps(record)}


def _check_keys(part: str, one: tuple[str, Shapes], two: tuple[str, Shapes]) -> None:
    for (has, some), (lacks, others) in ((one, two), (two, one)):
        if missing := some.keys() - others.keys():
            raise ValueError(
                f"the {part} of {lacks} lacks {len(missing)} weights that {has} has, for instance "
                f"{quote(min(missing), 200)}: {_ADVICE}"
            )


def _unlike(
    part: str, key: str, one: tuple[str, tuple[int, ...]], two: tuple[str, tuple[int, ...]]
) -> ValueError:
    return ValueError(
        f"the weight {quote(key, 200)} of the {part} is of shape {tuple(one[1])} in {one[0]} and "
        f"{tuple(two[1])} in {two[0]}: {_ADVICE}"
    )
