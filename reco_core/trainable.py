"""Whether a checkpoint can be trained as ReCo is: text to image, by what its family predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .family import Family, Prediction
from .keys import FIRST_CONVOLUTION, UNET_PREFIX
from .metadata import read_text

if TYPE_CHECKING:
    import torch

_LAST = UNET_PREFIX + "out.2.weight"  # (out, channels, 3, 3)
_LATENT_CHANNELS = 4
_KINDS = {
    9: "an inpainting checkpoint",
    8: "a checkpoint that edits pictures (InstructPix2Pix)",
    7: "an upscaling checkpoint",
    5: "a checkpoint that reads depth",
}
# Parts of a UNet that text to image does not have.
_EXTRA_PARTS = {
    "label_emb.": "it is conditioned on more than a text (classes or image embeddings)",
    "position_net.": "it has GLIGEN's layers",
    ".fuser.": "it has GLIGEN's layers",
    "cond_proj.": "it is distilled, with the guidance built in (LCM)",
    "time_stack.": "it makes videos",
    "motion_modules.": "it makes videos (AnimateDiff)",
    "temporal_transformer.": "it makes videos",
}
# Keys under which programs say what a UNet predicts.
_PREDICTION = ("modelspec.predict_key", "modelspec.prediction_type", "prediction_type")
PREDICTION_NAMES: dict[Prediction, tuple[str, ...]] = {
    "eps": ("epsilon", "eps"),
    "v": ("v", "v_prediction", "v-prediction", "velocity"),
}
_MEANING: dict[Prediction, str] = {"eps": "noise", "v": "v"}


def check_trainable(
    state_dict: Mapping[str, torch.Tensor], metadata: Mapping[str, str], family: Family
) -> None:
    """Raise a ValueError when its family's objective does not fit a checkpoint, naming its kind.

    state_dict, metadata: as of read_checkpoint.
    """
    advice = f"choose a {family.title} checkpoint for text to image"
    for key, axis, side in ((FIRST_CONVOLUTION, 1, "input"), (_LAST, 0, "output")):
        weight: Any = state_dict.get(key)
        if getattr(weight, "ndim", 0) != 4:
            continue  # told where weights are compared with the architecture
        channels = weight.shape[axis]
        if channels != _LATENT_CHANNELS:
            kind = _KINDS.get(channels, "a checkpoint of another kind")
            raise ValueError(
                f"this is {kind} ({channels} {side} channels instead of {_LATENT_CHANNELS}): "
                f"{advice}"
            )
    for part, meaning in _EXTRA_PARTS.items():
        if any(key.startswith(UNET_PREFIX) and part in key for key in state_dict):
            raise ValueError(f"this UNet cannot be trained here, since {meaning}: {advice}")
    check_prediction(metadata, family)


def check_prediction(metadata: Mapping[str, str], family: Family) -> None:
    """Raise a ValueError when metadata say that a UNet predicts something else than its family's
    do: weights do not tell."""
    names, meaning = PREDICTION_NAMES[family.prediction], _MEANING[family.prediction]
    for key in _PREDICTION:
        kind = read_text(metadata, key).lower()
        if kind and kind not in names:
            raise ValueError(
                f"this checkpoint does not predict {meaning} ({key} = {kind[:40]!r}): choose a "
                f"{family.title} checkpoint for text to image that predicts {meaning} ({names[0]})"
            )
