"""What a loaded MODEL and CLIP are, whichever loader made them, read off ComfyUI's own objects.

Only sizes are read: a weight may lie on another device, or hold what a clone's patches make of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import comfy.latent_formats
import comfy.model_sampling
import comfy.sd
import torch
from comfy.clip_model import CLIPTextModel
from comfy.model_patcher import ModelPatcher
from comfy.sd1_clip import SD1ClipModel
from comfy.supported_models import SD15

from ..reco_core.checkpoint_info import CheckpointInfo, EncoderInfo
from ..reco_core.family import SD1, Family
from ..reco_core.keys import UNET_PREFIX
from ..reco_core.position_tokens import CLIP_LENGTH, CLIP_VOCABULARY_SIZE
from .tables import unpatched
from .tokenizer import ReCoTokenizer
from .unet import ReCoModelConfig

_DIFFUSION_MODEL = "diffusion_model."
_INPUTS = 4  # channels of a UNet that paints whole pictures
_KINDS = {
    "SD20": "Stable Diffusion 2.x",
    "SDXL": "SDXL",
    "SDXLRefiner": "SDXL's refiner",
    "SD3": "Stable Diffusion 3",
    "Flux": "Flux",
    "SD2ClipModel": "Stable Diffusion 2.x",
    "SDXLClipModel": "SDXL",
    "SDXLRefinerClipModel": "SDXL's refiner",
    "SD3ClipModel": "Stable Diffusion 3",
    "FluxClipModel": "Flux",
}
"""What ComfyUI's classes of model configurations and text encoders stand for; others are called by
their name."""
_OBJECTIVES = {
    comfy.model_sampling.X0: "the picture",
    comfy.model_sampling.V_PREDICTION: "v",
    comfy.model_sampling.EPS: "eps",
}
"""What a UNet predicts, by the class that reads it: the first that fits, since they inherit."""


@dataclass(frozen=True)
class LoadedUnet:
    """channels: of its first level. context_width: of the text states that it attends to. heads: of
    every attention; None in a family that counts the channels of each."""

    family: Family
    channels: int
    context_width: int
    heads: int | None


@dataclass(frozen=True)
class LoadedText:
    """encoders: as many as the family's. num_bins: its position tokens, 0 of a plain one."""

    family: Family
    encoders: tuple[EncoderInfo, ...]
    num_bins: int = 0
    max_length: int = CLIP_LENGTH

    @property
    def is_reco(self) -> bool:
        return self.num_bins > 0

    @property
    def width(self) -> int:
        """Of its states."""
        return sum(encoder.width for encoder in self.encoders)


def loaded_unet(model: ModelPatcher | None, name: str = "model") -> LoadedUnet:
    """What a MODEL is. name: of the input that it came by, for messages.

    Raises ValueError when it is of no family that ReCo knows: another kind of model, one for
    inpainting or editing, or with another objective than its family's.
    """
    if model is None:
        raise ValueError(f"{name}: there is no MODEL: {_CONNECT.format('model')}")
    config = getattr(model.model, "model_config", None)
    family = _family(config)
    if family is None or config is None:
        raise ValueError(f"{name} is of {_kind(config)}: {_CONNECT.format('model')}")
    unet_config = config.unet_config
    inputs = unet_config.get("in_channels")
    if inputs != _INPUTS:
        raise ValueError(
            f"{name} is a UNet of {family.title} with {inputs} input channels instead of "
            f"{_INPUTS}, as for inpainting or editing: connect one that paints whole pictures"
        )
    objective = _objective(model)
    if objective != family.prediction:
        raise ValueError(
            f"{name} predicts {objective}, and {family.title} {family.prediction}: connect a model "
            "of that kind, or take out ModelSamplingDiscrete"
        )
    return LoadedUnet(
        family,
        channels=unet_config["model_channels"],
        context_width=unet_config["context_dim"],
        heads=unet_config["num_heads"] if family.unet_heads.number else None,
    )


def loaded_text(clip: comfy.sd.CLIP | None, name: str = "clip") -> LoadedText:
    """What a CLIP is. name: of the input that it came by, for messages.

    Raises ValueError when it is of no family that ReCo knows.
    """
    if clip is None:
        raise ValueError(f"{name}: there is no CLIP: {_CONNECT.format('clip')}")
    if isinstance(clip.tokenizer, ReCoTokenizer):
        info = clip.tokenizer.info
        return LoadedText(info.family, info.encoders, info.num_bins, info.max_length)
    encoder = clip.cond_stage_model
    if type(encoder) is not SD1ClipModel or not isinstance(_text_model(encoder), CLIPTextModel):
        raise ValueError(f"{name} is of {_kind(encoder)}: {_CONNECT.format('clip')}")
    tokens, positions = (unpatched(clip.patcher, key).shape[0] for key in table_names(SD1))
    if (tokens, positions) != (CLIP_VOCABULARY_SIZE, CLIP_LENGTH):
        raise ValueError(
            f"{name} has tables of {tokens} tokens and {positions} positions, not CLIP's "
            f"{CLIP_VOCABULARY_SIZE} and {CLIP_LENGTH}: connect an ordinary one"
        )
    return LoadedText(SD1, (_encoder_sizes(_text_model(encoder)),))


def loaded_info(
    model: ModelPatcher | None,
    clip: comfy.sd.CLIP | None,
    names: tuple[str, str] = ("model", "clip"),
) -> CheckpointInfo:
    """What a MODEL and a CLIP are together, as of a checkpoint's file.

    Raises ValueError as loaded_unet and loaded_text, and when they do not fit each other.
    """
    unet, text = loaded_unet(model, names[0]), loaded_text(clip, names[1])
    if unet.family != text.family:
        raise ValueError(
            f"{names[0]} is of {unet.family.title} and {names[1]} of {text.family.title}: connect "
            "those of one checkpoint"
        )
    if unet.context_width != text.width:
        raise ValueError(
            f"{names[1]} is {text.width} wide but {names[0]} attends to texts of width "
            f"{unet.context_width}: connect those of one checkpoint"
        )
    if clip is not None and isinstance(clip.tokenizer, ReCoTokenizer):
        return clip.tokenizer.info
    return CheckpointInfo(
        family=text.family,
        is_reco=False,
        num_bins=0,
        max_length=text.max_length,
        encoders=text.encoders,
        unet_heads=unet.heads,
    )


def table_names(family: Family) -> list[str]:
    """Names of token and position table in a CLIP, for each of its text encoders."""
    return [
        f"{encoder.module}.{key.removeprefix(encoder.prefix)}"
        for encoder in family.encoders
        for key in encoder.tables
    ]


def file_shapes(
    model: ModelPatcher, clip: comfy.sd.CLIP, family: Family
) -> dict[str, torch.Tensor]:
    """Tensors without content of the shapes of all weights, by their key in a single file."""
    prefixes = {f"{encoder.module}.": encoder.prefix for encoder in family.encoders}
    shapes = {}
    for module, renamed in (
        (model.model, {_DIFFUSION_MODEL: UNET_PREFIX}),
        (clip.cond_stage_model, prefixes),
    ):
        for name, weight in module.state_dict().items():
            for prefix, other in renamed.items():
                if name.startswith(prefix):
                    key = other + name.removeprefix(prefix)
                    shapes[key] = torch.empty(weight.shape, device="meta")
    return shapes


_CONNECT = "connect the {} of a " + SD1.title + " checkpoint"


def _family(config: object) -> Family | None:
    if isinstance(config, ReCoModelConfig):
        return config.family
    is_sd1 = isinstance(config, SD15) and isinstance(
        config.latent_format, comfy.latent_formats.SD15
    )
    return SD1 if is_sd1 else None


def _kind(thing: object) -> str:
    """In words, or as its class is called."""
    names = [kind.__name__ for kind in type(thing).__mro__]
    return next((_KINDS[name] for name in names if name in _KINDS), f"another kind, {names[0]}")


def _objective(model: ModelPatcher) -> str:
    sampling = model.get_model_object("model_sampling")
    fitting = (name for kind, name in _OBJECTIVES.items() if isinstance(sampling, kind))
    return next(fitting, f"something else, by {type(sampling).__mro__[-2].__name__}")


def _text_model(encoder: torch.nn.Module) -> object:
    return getattr(getattr(encoder, SD1.encoders[0].module, None), "transformer", None)


def _encoder_sizes(transformer: CLIPTextModel) -> EncoderInfo:
    layers = transformer.text_model.encoder.layers
    inside = layers[0].mlp.fc1  # its weight may not be there before it is used
    return EncoderInfo(
        inside.in_features, len(layers), inside.out_features, layers[0].self_attn.heads
    )
