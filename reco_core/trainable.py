"""Whether a checkpoint can be trained as ReCo is: text to image, by the noise it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .keys import UNET_PREFIX
from .metadata import read_text

if TYPE_CHECKING:
    import torch

_FIRST = UNET_PREFIX + "input_blocks.0.0.weight"  # (channels, in, 3, 3)
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
_NOISE = ("", "epsilon", "eps")
_ADVICE = "choose a Stable Diffusion 1.x checkpoint for text to image"


def check_trainable(state_dict: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Raise a ValueError when the training objective does not fit a checkpoint, naming its kind.

    state_dict, metadata: as of read_checkpoint.
    """
    for key, axis, side in ((_FIRST, 1, "input"), (_LAST, 0, "output")):
        weight: Any = state_dict.get(key)
        if getattr(weight, "ndim", 0) != 4:
            continue  # told where weights are compared with the architecture
        channels = weight.shape[axis]
        if channels != _LATENT_CHANNELS:
            kind = _KINDS.get(channels, "a checkpoint of another kind")
            raise ValueError(
                f"this is {kind} ({channels} {side} channels instead of {_LATENT_CHANNELS}): "
                f"{_ADVICE}"
            )
    for part, meaning in _EXTRA_PARTS.items():
        if any(key.startswith(UNET_PREFIX) and part in key for key in state_dict):
            raise ValueError(f"this UNet cannot be trained here, since {meaning}: {_ADVICE}")
    for key in _PREDICTION:
        kind = read_text(metadata, key).lower()
        if kind not in _NOISE:
            raise ValueError(
                f"this checkpoint does not predict noise ({key} = {kind[:40]!r}): training here "
                f"would spoil it, so {_ADVICE} that predicts noise (epsilon)"
            )
