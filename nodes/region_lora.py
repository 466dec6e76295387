"""A LoRA for one region: ComfyUI's hooks, bounded by the region's mask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import folder_paths
from comfy_api.latest import io

from .inputs import CATEGORY, RecoLayout, region_input, search_aliases
from .registration import is_registering
from .remarks import told

if TYPE_CHECKING:
    import torch
    from comfy.model_patcher import ModelPatcher

    from ..reco_core.layout import Layout
    from ..reco_core.remarks import Remark

Conditioning = list[list[Any]]

FOLDER = "loras"
NO_LORAS = "none yet: put a LoRA into models/loras"


def lora_names() -> list[str]:
    if is_registering():
        return []
    return folder_paths.get_filename_list(FOLDER) or [NO_LORAS]


def read_lora(name: str, model: ModelPatcher) -> tuple[dict[str, torch.Tensor], list[Remark]]:
    """The weights of a LoRA, and what is to be said of those that have no place.

    Raises ValueError where none of them is of this model's UNet.
    """
    import comfy.lora
    import comfy.utils

    from ..reco_core.remarks import Remark

    path = folder_paths.get_full_path_or_raise(FOLDER, name)
    weights = comfy.utils.load_torch_file(path, safe_load=True)
    keys = comfy.lora.model_lora_keys_unet(model.model, {})
    found = comfy.lora.load_lora(weights, keys, log_missing=False)
    if not found:
        raise ValueError(
            f"{name} has no weights of this model's UNet: it is a LoRA for another kind of model, "
            "or of text encoders alone; choose another, or load it for the whole picture"
        )
    if any(key.startswith(("lora_te", "text_encoder")) for key in weights):
        message = (
            f"{name} also changes the text encoder, which reads all regions at once: that part is "
            "left out. Load it with Load LoRA at strength_model 0 to have it for the whole picture."
        )
        return weights, [Remark("left out", message)]
    return weights, []


def bounded(
    conditioning: Conditioning, mask: torch.Tensor, hooks: Any, combined: dict | None = None
) -> Conditioning:
    """The conditioning, with hooks where a mask is, and as it was where it is not.

    mask: (H, W) in [0, 1]. combined: hooks joined with others before, which positive and negative
    must share to be sampled in one call. Entries that would count nowhere are left out.
    """
    import torch
    from comfy.hooks import set_hooks_for_conditioning

    entries: Conditioning = []
    for states, options in conditioning:
        before = options.get("mask")
        before = torch.ones_like(mask)[None] if before is None else _sized(before, mask)
        strength = options.get("mask_strength", 1.0)
        for part, own in ((before * (1 - mask), None), (before * mask, hooks)):
            if not part.any():
                continue
            bounds = {"mask": part, "mask_strength": strength, "set_area_to_bounds": False}
            entry = [[states, {**options, **bounds}]]
            entries += set_hooks_for_conditioning(entry, own, cache=combined)
    return entries


def _sized(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(B, H, W) of a batch of masks, at another's size, as ComfyUI would size them."""
    import torch

    every = mask.reshape(-1, 1, *mask.shape[-2:]).to(like)
    return torch.nn.functional.interpolate(every, like.shape, mode="bilinear")[:, 0]


class ReCoRegionLora(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoRegionLora",
            display_name="ReCo Region LoRA",
            category=CATEGORY,
            description="Use a LoRA for one region alone.",
            **search_aliases("regional lora", "lora mask", "masked lora", "lora by region"),
            inputs=[
                # As the outputs are: a bypassed node gives on what came in at the same place.
                io.Conditioning.Input("positive", tooltip="Of the same layout."),
                io.Conditioning.Input("negative", tooltip="Of the same layout."),
                io.Model.Input("model", tooltip="The model that will sample; it stays as it is."),
                RecoLayout.Input("layout", tooltip="The layout that has the region."),
                region_input("1", "2, or: dog", "The region"),
                io.Combo.Input("lora_name", options=lora_names(), tooltip="Of models/loras."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-20.0,
                    max=20.0,
                    step=0.01,
                    tooltip="Of the LoRA in the UNet. 0 changes nothing, and costs nothing.",
                ),
                io.Int.Input(
                    "feather",
                    default=16,
                    min=0,
                    max=512,
                    optional=True,
                    tooltip="Over how many pixels the LoRA fades, half of them in the region.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="positive",
                    tooltip="With the LoRA in the region. Regions with other LoRAs may follow.",
                ),
                io.Conditioning.Output(display_name="negative", tooltip="Likewise."),
            ],
        )

    @classmethod
    def validate_inputs(cls, lora_name: str | None) -> bool | str:
        if lora_name is None or folder_paths.get_full_path(FOLDER, lora_name):
            return True
        if lora_name == NO_LORAS:
            return "there is no LoRA yet: put one into ComfyUI's models/loras and press R"
        return f"there is no file {lora_name[:200]!r} in models/{FOLDER}: choose another"

    @classmethod
    def execute(
        cls,
        positive: Conditioning,
        negative: Conditioning,
        model: ModelPatcher,
        layout: Layout,
        region: str,
        lora_name: str,
        strength: float,
        feather: int = 16,
    ) -> io.NodeOutput:
        from comfy.hooks import create_hook_lora

        from ..reco_core.choice import choose_region
        from .region_masks import conditioning_mask

        chosen = choose_region(layout, region)
        if strength == 0:
            return io.NodeOutput(positive, negative, ui=told(()))
        weights, remarks = read_lora(lora_name, model)
        hooks = create_hook_lora(weights, strength, 0.0)
        mask = conditioning_mask(chosen, feather)
        combined: dict = {}
        both = (bounded(some, mask, hooks, combined) for some in (positive, negative))
        return io.NodeOutput(*both, ui=told(remarks))
