"""Which tensors of a file are the weights of a checkpoint, and what foreign files look like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from .checks import quote
from .facts import encoder_facts, read_facts
from .family import TEXT_MODEL, Family, TextEncoder, families, family_named
from .keys import FACTS, FIRST_CONVOLUTION, UNET_FACTS, UNET_PREFIX, VAE_PREFIX
from .patterns import pattern

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]

_EMA_PREFIX = "model_ema."
# Of a text encoder alone, as programs save it; such keys do not tell the family.
_TEXT_PART_PREFIXES = ("text_model.", "transformer.text_model.", "")

# A key that tells the kind of a foreign file. The first match counts.
_FOREIGN = (
    ("a LoRA", pattern(r"(^|\.)lora_|\.lora_|\.hada_|\.lokr_")),
    ("an SDXL checkpoint", pattern(r"^conditioner\.embedders\.")),
    (
        "an SD2 checkpoint, whose text encoder is OpenCLIP",
        pattern(r"^cond_stage_model\.model\."),
    ),
    ("an SD3 checkpoint", pattern(r"joint_blocks\.")),
    ("a Flux checkpoint", pattern(r"double_blocks\.")),
    ("a ControlNet", pattern(r"^(control_model|controlnet_)")),
    ("a textual-inversion embedding", pattern(r"^(string_to_param|emb_params)$")),
    ("a UNet in diffusers' layout", pattern(r"^(unet\.)?down_blocks\.")),
    ("a text encoder alone", pattern(r"^(text_model\.)?embeddings\.token_embedding\.")),
    ("a VAE alone", pattern(r"^(encoder|decoder)\.")),
    ("an SD1-type UNet alone", pattern(rf"^({re.escape(UNET_PREFIX)})?input_blocks\.")),
)


def select_weights(state_dict: StateDict, ema: bool = False) -> dict[str, torch.Tensor]:
    """The weights of UNet, VAE and text encoder under the keys of the latent-diffusion code.

    Drops EMA copies, the VAE's loss, noise schedules and the position_ids buffer (whose length
    is not that of the sequence). Text encoders may lack `text_model.` in their keys, as those
    of newer transformers do.

    ema: take the UNet's averaged weights in place of the raw ones. The released code samples
        from the raw ones.

    Raises:
        ValueError: averages are asked for, and there are none or not for all of the UNet.
    """
    if ema:
        state_dict = _with_averages(state_dict)
    encoders = _encoders()
    prefixes = (UNET_PREFIX, VAE_PREFIX, *(encoder.weights for encoder in encoders))
    kept = {}
    for key, tensor in state_dict.items():
        key = _text_key(key, encoders)
        wanted = key.startswith(prefixes)
        if wanted and not key.startswith(VAE_PREFIX + "loss.") and "position_ids" not in key:
            kept[key] = tensor
    return kept


def find_family(keys: Iterable[str]) -> Family:
    """The family of a file, by its tensors' keys: that of which all text encoders are there.

    Raises:
        ValueError: of none that is registered; says what the file looks like.
    """
    keys = list(keys)
    encoders = _encoders()
    found = {_text_key(key, encoders) for key in keys}
    has_unet = any(key.startswith(UNET_PREFIX) for key in found)
    fitting = [
        family
        for family in families()
        if has_unet and all(found.issuperset(encoder.tables) for encoder in family.encoders)
    ]
    if fitting:
        return max(fitting, key=lambda family: len(family.encoders))
    raise ValueError(
        f"this is not a Stable Diffusion 1.x checkpoint but looks like {_kind(keys)}: use a ReCo "
        "or SD1 single file that holds UNet, VAE and CLIP text encoder"
    )


def unet_part(state_dict: StateDict) -> dict[str, torch.Tensor]:
    """The UNet of a file that may hold nothing else, under the keys of a single file.

    Raises:
        ValueError: there is none of the SD1 type; says what it looks like.
    """
    key = FIRST_CONVOLUTION.removeprefix(UNET_PREFIX)
    for prefix in (UNET_PREFIX, ""):
        if prefix + key in state_dict:
            return _part(state_dict, prefix, UNET_PREFIX, UNET_FACTS)
    raise ValueError(
        f"this holds no UNet of Stable Diffusion 1.x but looks like {_kind(state_dict)}: use a "
        "file that ComfyUI's ModelSave wrote"
    )


def text_part(state_dict: StateDict) -> dict[str, torch.Tensor]:
    """The text encoder of a file that may hold nothing else, as unet_part.

    Where its keys do not tell the family, its facts do, or it is Stable Diffusion 1.x's.
    """
    for prefix, encoder in _text_prefixes(state_dict):
        if prefix + encoder.token_embedding.removeprefix(encoder.weights) in state_dict:
            return _part(state_dict, prefix, encoder.weights, encoder_facts(encoder))
    raise ValueError(
        f"this holds no text encoder of Stable Diffusion 1.x but looks like {_kind(state_dict)}: "
        "use a file that ComfyUI's CLIPSave wrote"
    )


def _part(state_dict: StateDict, prefix: str, new: str, facts: str) -> dict[str, torch.Tensor]:
    """Keys that begin with prefix, which becomes another, and the facts beside them."""
    kept = {
        new + key.removeprefix(prefix): tensor
        for key, tensor in state_dict.items()
        if key.startswith(prefix) and key != prefix + FACTS
    }
    place = next((key for key in (facts, prefix + FACTS, FACTS) if key in state_dict), None)
    return kept if place is None else {**kept, facts: state_dict[place]}


def _kind(keys: Iterable[str]) -> str:
    """What a foreign file looks like."""
    keys = list(keys)
    return next(
        (kind for kind, form in _FOREIGN if any(form.search(key) for key in keys)),
        f"something else, with keys like {quote(sorted(keys)[:3], 200)}"
        if keys
        else "an empty file",
    )


def _with_averages(state_dict: StateDict) -> StateDict:
    """The latent-diffusion code names an average like its weight, without dots."""
    averages = {
        key: _EMA_PREFIX + key.removeprefix("model.").replace(".", "")
        for key in state_dict
        if key.startswith(UNET_PREFIX)
    }
    missing = [average for average in averages.values() if average not in state_dict]
    if missing:
        raise ValueError(
            f"{len(missing)} of the UNet's {len(averages)} tensors have no average here, for "
            f"instance {quote(missing[0], 200)}: take the raw weights"
        )
    return {**state_dict, **{key: state_dict[average] for key, average in averages.items()}}


def _encoders() -> tuple[TextEncoder, ...]:
    """Of all families."""
    return tuple(encoder for family in families() for encoder in family.encoders)


def _text_prefixes(state_dict: StateDict) -> Iterator[tuple[str, TextEncoder]]:
    """How keys of a file with one text encoder can begin, and which encoder that is."""
    for encoder in _encoders():
        yield encoder.weights, encoder
        yield f"{encoder.module}.{TEXT_MODEL}", encoder
    said = read_facts(state_dict[FACTS]).metadata if FACTS in state_dict else {}
    for prefix in _TEXT_PART_PREFIXES:
        yield prefix, family_named(said.get("family", "")).encoders[0]


def _text_key(key: str, encoders: Iterable[TextEncoder]) -> str:
    """With `text_model.`, where a text encoder's key lacks it."""
    for encoder in encoders:
        inner = key.removeprefix(encoder.weights.removesuffix("text_model."))
        if key != inner and inner.startswith(("embeddings.", "encoder.", "final_layer_norm.")):
            return encoder.weights + inner
    return key
