"""Bases that training does not fit are refused by their kind, before anything is trained."""

import pytest
import torch

from reco_core.family import SD1
from reco_core.keys import UNET_PREFIX
from reco_core.trainable import check_trainable

FIRST, LAST = f"{UNET_PREFIX}input_blocks.0.0.weight", f"{UNET_PREFIX}out.2.weight"


def unet(inside: int = 4, out: int = 4, *more: str) -> dict[str, torch.Tensor]:
    extra = {UNET_PREFIX + key: torch.zeros(1) for key in more}
    return {FIRST: torch.zeros(32, inside, 3, 3), LAST: torch.zeros(out, 32, 3, 3), **extra}


@pytest.mark.parametrize(
    "metadata",
    [{}, {"modelspec.predict_key": "epsilon"}, {"modelspec.prediction_type": "Epsilon"}],
)
def test_text_to_image_that_predicts_noise_can_be_trained(metadata):
    check_trainable(unet(), metadata, SD1)


OTHERS = {
    "inpainting": (unet(9), {}, r"inpainting checkpoint \(9 input channels instead of 4\): choose"),
    "editing": (unet(8), {}, r"edits pictures .* \(8 input channels"),
    "upscaling": (unet(7), {}, r"an upscaling checkpoint \(7 input"),
    "depth": (unet(5), {}, r"reads depth \(5 input"),
    "unknown input": (unet(16), {}, r"another kind \(16 input"),
    "learned variance": (unet(4, 8), {}, r"\(8 output channels instead of 4\)"),
    "classes": (unet(4, 4, "label_emb.0.0.weight"), {}, "conditioned on more than a text"),
    "GLIGEN": (unet(4, 4, "position_net.linears.0.weight"), {}, "GLIGEN"),
    "video": (unet(4, 4, "input_blocks.1.0.time_stack.out.weight"), {}, "makes videos"),
    "LCM": (unet(4, 4, "time_embed.cond_proj.weight"), {}, "distilled"),
    "v-prediction of ComfyUI": (unet(), {"modelspec.predict_key": "v"}, "not predict noise .*'v'"),
    "v-prediction of others": (unet(), {"modelspec.prediction_type": "v"}, "not predict noise"),
    "v-prediction of diffusers": (unet(), {"prediction_type": "v_prediction"}, "v_prediction"),
    "the picture itself": (unet(), {"prediction_type": "sample"}, "'sample'"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_cannot_be_trained_is_refused_by_its_kind(kind):
    weights, metadata, cause = OTHERS[kind]
    with pytest.raises(ValueError, match=cause):
        check_trainable(weights, metadata, SD1)
