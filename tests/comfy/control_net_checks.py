"""A ControlNet of random weights beside a layout; run by inside.py."""

from __future__ import annotations

import comfy.cldm.cldm
import comfy.controlnet
import comfy.ops
import torch
from comfy.utils import save_torch_file
from inside_checks import Layout, load, module

from nodes import ControlNetApplyAdvanced, common_ksampler

STEPS = 2


def full_size(path: str, net: str, layouts: list[str]) -> dict:
    """Pictures by two layouts without and with a ControlNet, which is written to a file: how far
    each of them is apart from the first, and the rows of each call of the UNet."""
    model, clip, vae = load(path)
    _write(model, net)
    control_net = comfy.controlnet.load_controlnet(net)
    calls: list[int] = []

    def count(apply_model, arguments):
        calls.append(len(arguments["input"]))
        controls = arguments["c"].get("control") or {}
        assert all(part.isfinite().all() for some in controls.values() for part in some)
        return apply_model(arguments["input"], arguments["timestep"], **arguments["c"])

    counted = model.clone()
    counted.set_model_unet_function_wrapper(count)

    def latents(layout: str, is_controlled: bool) -> torch.Tensor:
        whole = Layout.from_json(layout)
        node = module("nodes.text_encode").ReCoConditioning
        positive, negative, latent = node.execute(clip, whole, "").args[:3]
        if is_controlled:
            hint = torch.rand(1, whole.height, whole.width, 3, generator=torch.manual_seed(1))
            apply = ControlNetApplyAdvanced().apply_controlnet
            positive, negative = apply(positive, negative, control_net, hint, 1.0, 0.0, 1.0, vae)
        both = (positive, negative, latent)
        return common_ksampler(counted, 0, STEPS, 3.0, "euler", "normal", *both)[0]["samples"]

    first = latents(layouts[0], False)
    controlled, other = (latents(layout, True) for layout in layouts)
    assert all(one.isfinite().all() for one in (first, controlled, other))
    spread = first.std()
    return {
        "calls": calls,
        "by the control": ((controlled - first).abs().mean() / spread).item(),
        "by the layout": ((other - controlled).abs().mean() / spread).item(),
    }


def _write(model, path: str) -> None:
    """A ControlNet for a UNet, as its authors' files are."""
    config = {
        key: value
        for key, value in model.model.model_config.unet_config.items()
        if key not in ("out_channels", "use_temporal_attention", "image_model", "dtype")
    }
    operations = comfy.ops.disable_weight_init
    net = comfy.cldm.cldm.ControlNet(hint_channels=3, operations=operations, **config)
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, weight in net.state_dict().items():
        if weight.ndim > 1:
            std = weight[0].numel() ** -0.5
            weight = torch.randn(weight.shape, generator=generator) * std
        else:
            weight = torch.full(weight.shape, float(name.endswith("weight")))
        weights[f"control_model.{name}"] = weight.half()
    save_torch_file(weights, path)
