"""ReCo's UNet as ComfyUI's MODEL."""

from __future__ import annotations

import comfy.latent_formats
import comfy.model_base
import comfy.model_detection
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import comfy.utils

from ..reco_core.checkpoint import reco_metadata
from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.facts import Facts, facts_of
from ..reco_core.keys import UNET_FACTS, UNET_PREFIX
from .clip import check_complete


class ReCoModelConfig(comfy.supported_models.SD15):
    """A family's kind of Stable Diffusion 1, of any width; what the checkpoint is is saved with its
    UNet."""

    unet_config: dict = {}

    def __init__(self, unet_config: dict, info: CheckpointInfo, facts: Facts):
        super().__init__(unet_config)
        self.family, self.facts = info.family, facts
        noise = self.family.noise
        self.latent_format = comfy.latent_formats.SD15(self.family.latent_scale)
        self.sampling_settings |= {"linear_start": noise.beta_start, "linear_end": noise.beta_end}
        self.unet_config["num_heads"] = info.unet_heads or -1
        self.unet_config["num_head_channels"] = self.family.unet_heads.channels or -1

    def model_type(self, state_dict: dict, prefix: str = "") -> comfy.model_base.ModelType:
        is_v = self.family.prediction == "v"
        return comfy.model_base.ModelType.V_PREDICTION if is_v else comfy.model_base.ModelType.EPS

    def process_clip_state_dict_for_saving(self, state_dict: dict) -> dict:
        for encoder in self.family.encoders:
            for extra in ("transformer.text_projection.weight", "logit_scale"):
                state_dict.pop(f"{encoder.module}.{extra}", None)
        prefixes = {f"{encoder.module}.": encoder.prefix for encoder in self.family.encoders}
        return comfy.utils.state_dict_prefix_replace(state_dict, prefixes)

    def process_unet_state_dict_for_saving(self, state_dict: dict) -> dict:
        saved = super().process_unet_state_dict_for_saving(state_dict)
        return {**saved, UNET_FACTS: self.facts.tensor()}


def build_model(
    state_dict: dict, info: CheckpointInfo, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """The UNet as ComfyUI's MODEL. Takes its weights out of state_dict."""
    management = comfy.model_management
    load_device = management.get_torch_device()
    parameters = comfy.utils.calculate_parameters(state_dict, UNET_PREFIX)
    facts = facts_of(state_dict, info.metadata | reco_metadata(info), info.family)
    config = ReCoModelConfig(_unet_config(state_dict), info, facts)
    dtypes = config.supported_inference_dtypes
    dtype = management.unet_dtype(
        model_params=parameters,
        supported_dtypes=dtypes,
        weight_dtype=comfy.utils.weight_dtype(state_dict, UNET_PREFIX),
    )
    config.set_inference_dtype(dtype, management.unet_manual_cast(dtype, load_device, dtypes))
    initial_device = management.unet_inital_load_device(parameters, dtype)
    model = config.get_model(state_dict, UNET_PREFIX, device=initial_device)
    patcher = _patcher_class(disable_dynamic)(
        model, load_device=load_device, offload_device=management.unet_offload_device()
    )
    found = {key: weight.shape for key, weight in state_dict.items()}
    model.load_model_weights(state_dict, UNET_PREFIX, assign=patcher.is_dynamic())
    check_complete("UNet", model.diffusion_model, UNET_PREFIX, found)
    if initial_device.type != "cpu":
        management.load_models_gpu([patcher], force_full_load=True)
    return patcher


def _unet_config(state_dict: dict) -> dict:
    config = comfy.model_detection.detect_unet_config(state_dict, UNET_PREFIX)
    if config is None:
        raise ValueError(
            "the checkpoint's UNet is not of a kind that ComfyUI knows: fetch or convert it again"
        )
    return config


def _patcher_class(disable_dynamic: bool) -> type[comfy.model_patcher.ModelPatcher]:
    if disable_dynamic:
        return comfy.model_patcher.ModelPatcher
    return comfy.model_patcher.CoreModelPatcher
