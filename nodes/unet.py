"""ReCo's UNet as ComfyUI's MODEL."""

from __future__ import annotations

import comfy.model_detection
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import comfy.utils

from ..reco_core.checkpoint import reco_metadata
from ..reco_core.checkpoint_info import CheckpointInfo
from ..reco_core.facts import UNET_FACTS, Facts, facts_of
from ..reco_core.keys import UNET_PREFIX
from .clip import check_complete


class ReCoSD15(comfy.supported_models.SD15):
    """Stable Diffusion 1 without the stock restriction to 320 channels and 768 wide text states;
    what the checkpoint is is saved with its UNet."""

    unet_config: dict = {}

    def __init__(self, unet_config: dict, facts: Facts):
        super().__init__(unet_config)
        self.facts = facts

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
    facts = facts_of(state_dict, info.metadata | reco_metadata(info))
    config = ReCoSD15(_unet_config(state_dict), facts)
    config.unet_config["num_heads"] = info.unet_heads
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
