"""What an adapter is, and what it asks of the checkpoint that it is used on."""

from __future__ import annotations

from dataclasses import dataclass, field

from .checks import quote
from .family import Family
from .position_tokens import CLIP_LENGTH


@dataclass(frozen=True)
class AdapterInfo:
    """What an adapter is.

    family: of the checkpoints it fits.
    num_bins, max_length: of the checkpoint it makes. text_width: of the text encoder it fits.
    rank, text_rank: greatest rank of its LoRA matrices, 0 where there are none.
    base, base_sha256: the checkpoint it was trained on; empty when the file does not say.
    base_is_reco: whether that one had position tokens already, which the adapter's replace.
    """

    family: Family
    num_bins: int
    max_length: int
    text_width: int
    rank: int
    text_rank: int
    base: str
    base_sha256: str
    base_is_reco: bool
    metadata: dict[str, str] = field(default_factory=dict)


def check_base(
    info: AdapterInfo, family: Family, text_width: int, num_bins: int, max_length: int
) -> None:
    """Raise ValueError unless an adapter fits a checkpoint of this family and text encoder.

    num_bins, max_length: of the checkpoint as it was loaded, CLIP's own where it is plain.
    """
    if family != info.family:
        raise ValueError(
            f"the adapter is for {info.family.title} and this checkpoint is of {family.title}: "
            "choose a base of that kind"
        )
    wanted = f", such as {quote(info.base, 200)}, which it was trained on" if info.base else ""
    if text_width != info.text_width:
        raise ValueError(
            f"the adapter is for a text encoder {info.text_width} wide and this checkpoint's is "
            f"{text_width} wide: choose a base of that size{wanted}"
        )
    if num_bins and not info.base_is_reco:
        raise ValueError(
            "this checkpoint has position tokens already and the adapter brings its own: choose a "
            f"plain Stable Diffusion 1 checkpoint{wanted}"
        )
    for table, brought, found in (
        ("token_embedding", info.num_bins, num_bins),
        ("position_embedding", info.max_length - CLIP_LENGTH, max_length - CLIP_LENGTH),
    ):
        if num_bins and brought != found:
            raise ValueError(
                f"the adapter has {brought} rows for {table} and this checkpoint {found}: choose "
                f"another base{wanted}"
            )


def training_words(info: AdapterInfo) -> str:
    """What an adapter was trained on, for who applies it to models of an unknown file."""
    if not info.base:
        return "The adapter does not say which checkpoint it was trained on."
    hashed = f" (SHA-256 {quote(info.base_sha256[:10])}...)" if info.base_sha256 else ""
    return f"The adapter was trained on {quote(info.base)}{hashed}."
