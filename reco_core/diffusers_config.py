"""What the configurations in a diffusers folder say, compared with Stable Diffusion 1.x.

Sizes are read off the weights. Here is what weights do not tell: heads, and values that would make
another model of the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checkpoint_file import PREDICTION_KEY
from .checks import quote, shorten
from .family import NOISE_STEPS, SD1
from .folder_weights import read_object
from .position_tokens import CLIP_VOCABULARY_SIZE, bin_word

INDEX = "model_index.json"
UNET, VAE, TEXT_ENCODER = "unet", "vae", "text_encoder"
KL, TINY = "AutoencoderKL", "AutoencoderTiny"

_UNET_HEADS, _TEXT_HEADS = 8, 8
"""Those of diffusers and of transformers, where a configuration does not say."""
_WANTED: dict[str, dict[str, Any]] = {
    UNET: {
        "act_fn": "silu",
        "addition_embed_type": None,
        "center_input_sample": False,
        "class_embed_type": None,
        "downsample_padding": 1,
        "dual_cross_attention": False,
        "encoder_hid_dim_type": None,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "mid_block_scale_factor": 1,
        "norm_eps": 1e-5,
        "norm_num_groups": 32,
        "only_cross_attention": False,
        "resnet_out_scale_factor": 1,
        "resnet_time_scale_shift": "default",
        "time_embedding_type": "positional",
    },
    KL: {
        "act_fn": "silu",
        "latents_mean": None,
        "latents_std": None,
        "norm_num_groups": 32,
        "scaling_factor": SD1.latent_scale,
        "shift_factor": None,
    },
    TINY: {
        "act_fn": "relu",
        "latent_magnitude": 3,
        "latent_shift": 0.5,
        "scaling_factor": 1,
        "shift_factor": 0,
        "upsample_fn": "nearest",
    },
    TEXT_ENCODER: {"layer_norm_eps": 1e-5},
    "scheduler": {
        "beta_end": SD1.noise.beta_end,
        "beta_schedule": "scaled_linear",
        "beta_start": SD1.noise.beta_start,
        "num_train_timesteps": NOISE_STEPS,
        "rescale_betas_zero_snr": False,
        "trained_betas": None,
    },
}
"""What a value must be, where it is there; without it, it is this."""


def check_kind(path: Path) -> None:
    """Raise a ValueError unless a folder is of a pipeline of Stable Diffusion 1.x, by its index."""
    if not (path / INDEX).is_file():
        raise ValueError(f"this is not a diffusers folder: it has no {INDEX}")
    index = read_object(path / INDEX)
    needed = {UNET: "UNet2DConditionModel", TEXT_ENCODER: "CLIPTextModel"}
    others = [part for part in ("text_encoder_2", "transformer") if _kind(index, part)]
    if others or any(_kind(index, part) != kind for part, kind in needed.items()):
        name = shorten(str(index.get("_class_name", "unknown")))
        raise ValueError(
            f"this is a {name}, not {SD1.title}: use a folder of a StableDiffusionPipeline "
            "with one CLIPTextModel"
        )


def read_config(path: Path, part: str) -> dict[str, Any]:
    """The configuration of a part. Raises a ValueError if it makes another model than Stable
    Diffusion 1.x of the same weights."""
    config = read_object(path / part / "config.json")
    if part == TEXT_ENCODER and isinstance(config.get("text_config"), dict):
        config = config["text_config"]  # of a whole CLIP
    if part == TEXT_ENCODER:
        _check_activation(config)
    kind: Any = config.get("_class_name") if part == VAE else part
    if part == VAE and kind not in (KL, TINY):
        raise ValueError(f"{part}/ is a {shorten(str(kind))}: use {KL} or {TINY}")
    _check(f"{part}/config.json", config, _WANTED[kind])
    return config


def read_scheduler(path: Path) -> dict[str, str]:
    """What the UNet predicts, as metadata, where that is not the noise. Raises a ValueError if it
    learned another noise schedule than Stable Diffusion 1.x."""
    file = path / "scheduler" / "scheduler_config.json"
    if not file.exists():
        return {}
    config = read_object(file)
    _check("scheduler/scheduler_config.json", config, _WANTED["scheduler"])
    kind = config.get("prediction_type", "epsilon")
    return {} if kind == "epsilon" else {PREDICTION_KEY: str(kind)}


def heads(unet: Mapping[str, Any], text: Mapping[str, Any]) -> dict[str, str]:
    """The configurations' numbers of heads, as metadata."""
    number = unet.get("num_attention_heads") or unet.get("attention_head_dim", _UNET_HEADS)
    if isinstance(number, list) and len(set(map(repr, number))) == 1:
        number = number[0]
    text_number = text.get("num_attention_heads", _TEXT_HEADS)
    for part, found in ((UNET, number), (TEXT_ENCODER, text_number)):
        if type(found) is not int or found < 1:
            raise ValueError(
                f"{part}/ has {quote(found)} heads per level: Stable Diffusion 1.x has one number"
            )
    return {"unet_heads": str(number), "text_heads": str(text_number)}


def check_added_tokens(path: Path, num_bins: int) -> None:
    """Raise a ValueError unless the vocabulary's new rows are the position tokens, in order."""
    file = path / "tokenizer" / "added_tokens.json"
    if not file.exists():
        return
    for word, number in read_object(file).items():
        if type(number) is not int:
            raise ValueError(f"tokenizer/{file.name} gives {quote(word)} the id {quote(number)}")
        if number < CLIP_VOCABULARY_SIZE:
            continue  # CLIP's own marks of begin and end
        position = number - CLIP_VOCABULARY_SIZE
        if word != bin_word(position) or position >= num_bins:
            raise ValueError(
                f"tokenizer/added_tokens.json gives {quote(word)} the id {number}: expected "
                f"{bin_word(position)!r} there and {num_bins} position tokens in all"
            )


def _kind(index: Mapping[str, Any], part: str) -> str | None:
    """The class of a part, which an index names as [module, class]; None without one."""
    said = index.get(part)
    return str(said[1]) if isinstance(said, list) and len(said) == 2 and said[1] else None


def _check_activation(config: Mapping[str, Any]) -> None:
    wanted = SD1.encoders[0].activation
    found = config.get("hidden_act", wanted)
    if found != wanted:
        raise ValueError(
            f"the text encoder's activation is {shorten(str(found))}, as that of Stable Diffusion "
            "2 (OpenCLIP): use a folder of Stable Diffusion 1.x"
        )


def _check(name: str, config: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in wanted.items():
        found = config.get(key, value)
        if found != value:
            raise ValueError(
                f"{name} says {key} = {quote(found)}: {SD1.title} has {quote(value)}, so use a "
                "folder of its kind"
            )
