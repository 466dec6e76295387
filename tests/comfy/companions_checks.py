"""Control of regions beside other nodes that change how a model samples; see inside_checks.py."""

from __future__ import annotations

from dataclasses import replace

import comfy.cldm.cldm
import comfy.controlnet
import comfy.hooks
import comfy.model_patcher
import comfy.ops
import comfy.samplers
import comfy.sd
import torch
from comfy_extras.nodes_apg import APG
from comfy_extras.nodes_cfg import CFGZeroStar
from comfy_extras.nodes_freelunch import FreeU, FreeU_V2
from comfy_extras.nodes_hypertile import HyperTile
from comfy_extras.nodes_model_advanced import RescaleCFG
from comfy_extras.nodes_model_downscale import PatchModelAddDownscale
from comfy_extras.nodes_pag import PerturbedAttentionGuidance
from comfy_extras.nodes_perpneg import PerpNeg
from comfy_extras.nodes_sag import SelfAttentionGuidance
from comfy_extras.nodes_tomesd import TomePatchModel
from comfy_extras.nodes_torch_compile import TorchCompileModel
from control_checks import _some_lora, control, region_lora, sampled, text_encode
from inside_checks import Layout, load

import nodes

SETTINGS = {"region_guidance": 2.0, "containment": "its tokens"}


def _node(kind, **inputs):
    """What a node of either schema makes of a model."""

    def patch(model, _):
        if hasattr(kind, "execute"):
            made = kind.execute(model=model, **inputs)
            return getattr(made, "args", made)[0]  # HyperTile gives a tuple
        return getattr(kind(), kind.FUNCTION)(model=model, **inputs)[0]

    return patch


def _lora(model, _):
    return comfy.sd.load_lora_for_models(model, None, _some_lora(model), 1.0, 0.0)[0]


def _perp_neg(model, empty):
    return PerpNeg.execute(model, empty, 1.0).args[0]


def _merge(model, _):
    other = _lora(model, None)
    merged = model.clone()
    for key, patch in other.get_key_patches("diffusion_model.").items():
        merged.add_patches({key: patch}, 0.5, 0.5)
    return merged


COMPANIONS = {
    "PerturbedAttentionGuidance": _node(PerturbedAttentionGuidance, scale=3.0),
    "SelfAttentionGuidance": _node(SelfAttentionGuidance, scale=0.5, blur_sigma=2.0),
    "FreeU": _node(FreeU, b1=1.1, b2=1.2, s1=0.9, s2=0.2),
    "FreeU_V2": _node(FreeU_V2, b1=1.3, b2=1.4, s1=0.9, s2=0.2),
    "TomePatchModel": _node(TomePatchModel, ratio=0.5),
    "HyperTile": _node(HyperTile, tile_size=64, swap_size=1, max_depth=2, scale_depth=False),
    "RescaleCFG": _node(RescaleCFG, multiplier=0.7),
    "PatchModelAddDownscale": _node(
        PatchModelAddDownscale,
        block_number=3,
        downscale_factor=2.0,
        start_percent=0.0,
        end_percent=0.6,
        downscale_after_skip=True,
        downscale_method="bicubic",
        upscale_method="bicubic",
    ),
    "PerpNeg": _perp_neg,
    "CFGZeroStar": _node(CFGZeroStar),
    "APG": _node(APG, eta=1.0, norm_threshold=5.0, momentum=0.0),
    "LoraLoader": _lora,
    "ModelMergeSimple": _merge,
}


def names() -> list[str]:
    return list(COMPANIONS)


def beside(path: str, layout: str, name: str) -> dict[str, float]:
    """How far pictures are apart with and without the other node, and with and without control,
    and when the two nodes change places."""
    model, clip = load(path)[:2]
    read, negative = Layout.from_json(layout), "a green circle"
    empty = text_encode.ReCoTextEncode.execute(clip, Layout()).args[0]
    plain = text_encode.ReCoConditioning.execute(clip, read, negative).args[:3]

    def patch(of):
        return COMPANIONS[name](of, empty)

    def controlled(of):
        return control.ReCoControl.execute(of, clip, read, negative, **SETTINGS).args[:4]

    made, *both = controlled(model)
    alone, _ = sampled(made, *both, steps=2)
    after, _ = sampled(patch(made), *both, steps=2)
    before, _ = sampled(*controlled(patch(model)), steps=2)
    return {
        "of the node": _apart(alone, after),
        "of the control": _apart(sampled(patch(model), *plain, steps=2)[0], after),
        "of the order": _apart(after, before),
    }


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Infinite where anything is not a number."""
    difference = float((one - other).abs().max())
    return difference if difference == difference else float("inf")


def every_sampler(path: str, layout: str) -> dict[str, list[str]]:
    """Samplers and schedulers for which control makes no difference, or no number."""
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    made = control.ReCoControl.execute(model, clip, read, "", **SETTINGS).args[:4]
    plain = text_encode.ReCoConditioning.execute(clip, read, "").args[:3]
    wrong: dict[str, list[str]] = {"samplers": [], "schedulers": []}
    for sampler in comfy.samplers.KSampler.SAMPLERS:
        pair = [
            sampled(some, *conditioning, steps=3, sampler=sampler)[0]
            for some, *conditioning in (made, (model, *plain))
        ]
        if not 0.01 < _apart(*pair) < float("inf"):
            wrong["samplers"].append(sampler)
    for scheduler in comfy.samplers.KSampler.SCHEDULERS:
        pair = [
            sampled(some, *conditioning, steps=3, scheduler=scheduler)[0]
            for some, *conditioning in (made, (model, *plain))
        ]
        if not 0.01 < _apart(*pair) < float("inf"):
            wrong["schedulers"].append(scheduler)
    return wrong


def a_batch(path: str, layout: str) -> float:
    """How far the second picture of a batch is from the same noise sampled alone."""
    model, clip = load(path)[:2]
    made, positive, negative, latent = control.ReCoControl.execute(
        model, clip, Layout.from_json(layout), "", batch_size=2, **SETTINGS
    ).args[:4]
    noise = torch.randn(latent["samples"].shape, generator=torch.manual_seed(3))
    both = sampled(made, positive, negative, latent, noise=noise, steps=2)[0]
    alone = {"samples": latent["samples"][1:]}
    return _apart(both[1:], sampled(made, positive, negative, alone, noise=noise[1:], steps=2)[0])


def of_another_size(path: str, layout: str, width: int, height: int) -> dict[str, object]:
    model, clip = load(path)[:2]
    read = replace(Layout.from_json(layout), width=width, height=height)
    made = control.ReCoControl.execute(model, clip, read, "", **SETTINGS).args[:4]
    plain = text_encode.ReCoConditioning.execute(clip, read, "").args[:3]
    latents, recorder = sampled(*made, steps=2)
    apart = _apart(latents, sampled(model, *plain, steps=2)[0])
    return {"shape": list(latents.shape), "control": apart, "rows": recorder.calls}


def clip_skip(path: str, layout: str) -> dict[str, float]:
    model, clip = load(path)[:2]
    skipped = clip.clone()
    skipped.clip_layer(-2)
    read = Layout.from_json(layout)
    with_it, without = (
        sampled(*control.ReCoControl.execute(model, some, read, "", **SETTINGS).args[:4], steps=2)[
            0
        ]
        for some in (skipped, clip)
    )
    return {"of the node": _apart(with_it, without)}


def a_control_net(path: str, layout: str) -> dict[str, object]:
    """With a ControlNet of random weights on positive and negative, as ControlNetApplyAdvanced
    sets it."""
    model, clip = load(path)[:2]
    made, positive, negative, latent = control.ReCoControl.execute(
        model, clip, Layout.from_json(layout), "", **SETTINGS
    ).args[:4]
    net = _random_control_net(model)
    hint = torch.rand(1, 3, 128, 128, generator=torch.manual_seed(1))
    with_hint = net.copy().set_cond_hint(hint, 1.0, (0.0, 1.0))
    option = {"control": with_hint, "control_apply_to_uncond": False}
    both = [[[states, {**o, **option}] for states, o in some] for some in (positive, negative)]
    latents, recorder = sampled(made, *both, latent, steps=2)
    apart = _apart(latents, sampled(made, positive, negative, latent, steps=2)[0])
    return {"of the node": apart, "rows": recorder.calls}


def _random_control_net(model):
    torch.manual_seed(0)
    config = {
        key: value
        for key, value in model.model.model_config.unet_config.items()
        if key not in ("out_channels", "use_temporal_attention", "image_model", "dtype")
    }
    net = comfy.cldm.cldm.ControlNet(
        hint_channels=3, operations=comfy.ops.disable_weight_init, dtype=torch.float32, **config
    )
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    return comfy.controlnet.ControlNet(net, load_device=torch.device("cpu"))


def compiled(path: str, layout: str) -> dict[str, object]:
    """Behind TorchCompileModel: compiled frames, and how far pictures are from those without it
    and from those without control."""
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    made, *both = control.ReCoControl.execute(model, clip, read, "", **SETTINGS).args[:4]
    plain = text_encode.ReCoConditioning.execute(clip, read, "").args[:3]
    eager = sampled(made, *both, steps=2)[0]
    torch._dynamo.reset()
    faster, recorder = sampled(TorchCompileModel.execute(made, "inductor").args[0], *both, steps=2)
    return {
        "frames": torch._dynamo.utils.counters["frames"]["ok"],
        "rows": recorder.calls,
        "of the node": _apart(eager, faster),
        "of the control": _apart(faster, sampled(model, *plain, steps=2)[0]),
    }


COMBINE = nodes.ConditioningCombine().combine
RANGE = nodes.ConditioningSetTimestepRange().set_range
MASK = nodes.ConditioningSetMask().append
AREA = nodes.ConditioningSetArea().append
AVERAGE = nodes.ConditioningAverage().addWeighted
CONCAT = nodes.ConditioningConcat().concat


def _halves(some, other):
    """One on the left, the other on the right."""
    left = torch.zeros(1, 128, 128)
    left[..., :64] = 1
    return COMBINE(MASK(some, left, "default", 1.0)[0], MASK(other, 1 - left, "default", 1.0)[0])[0]


def _times(some):
    return COMBINE(RANGE(some, 0.0, 0.5)[0], RANGE(some, 0.5, 1.0)[0])[0]


CONDITIONED = {
    "Combine": lambda some, other: COMBINE(some, some)[0],
    "Combine with another": lambda some, other: COMBINE(some, other)[0],
    "timestep ranges": lambda some, other: _times(some),
    "Set Mask": _halves,
    "Set Area": lambda some, other: AREA(some, 64, 128, 0, 0, 1.0)[0],
    "Average, to": lambda some, other: AVERAGE(some, other, 0.5)[0],
    "Average, from": lambda some, other: AVERAGE(other, some, 0.0)[0],
    "Concat, to": lambda some, other: CONCAT(some, other)[0],
    "Concat, from": lambda some, other: CONCAT(other, some)[0],
}


def conditioned(
    path: str, layout: str, name: str, settings: dict | None = None, steps: int = 2
) -> dict:
    """What a node of conditioning makes of controlled conditioning: why it is refused, else the
    rows of its calls, and how far the picture is from that without the node, all of it and its
    left half, from that without control, and on the right from that of the other conditioning."""
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    settings = SETTINGS if settings is None else settings
    made, positive, negative, latent = control.ReCoControl.execute(
        model, clip, read, "", **settings
    ).args[:4]
    plain, unwanted, _ = text_encode.ReCoConditioning.execute(clip, read, "").args[:3]
    try:
        changed, recorder = sampled(
            made, CONDITIONED[name](positive, unwanted), negative, latent, steps=steps
        )
    except ValueError as error:
        return {"refused": str(error)}
    without = sampled(made, positive, negative, latent, steps=steps)[0]
    other = sampled(made, unwanted, negative, latent, steps=steps)[0]
    return {
        "rows": recorder.calls,
        "of the node": _apart(changed, without),
        "of the node, left": _apart(changed[..., :8], without[..., :8]),
        "of the other, right": _apart(changed[..., 8:], other[..., 8:]),
        "of the control": _apart(changed, sampled(model, plain, unwanted, latent, steps=steps)[0]),
    }


def a_region_lora(path: str, layout: str) -> dict[str, object]:
    """Beside a LoRA in the left half: the rows of calls, and how far pictures are from those
    without the LoRA, on either side of its edge, and from those without control."""
    model, clip = load(path)[:2]
    read = Layout.from_json(layout)
    made, *both, latent = control.ReCoControl.execute(model, clip, read, "", **SETTINGS).args[:4]
    plain = text_encode.ReCoConditioning.execute(clip, read, "").args[:2]
    hooks = comfy.hooks.create_hook_lora(_some_lora(model), 1.0, 0.0)
    left = torch.zeros(128, 128)
    left[:, :64] = 1

    def with_lora(some):
        shared: dict = {}
        return [region_lora.bounded(one, left, hooks, shared) for one in some]

    changed, recorder = sampled(made, *with_lora(both), latent, steps=1)
    inside, outside = (changed - sampled(made, *both, latent, steps=1)[0]).abs().chunk(2, dim=3)
    return {
        "rows": recorder.calls,
        "of the LoRA, inside": float(inside.max()),
        "of the LoRA, outside": float(outside.max()),
        "of the control": _apart(changed, sampled(model, *with_lora(plain), latent, steps=1)[0]),
    }


def merged_cells(path: str, layout: str, settings: dict) -> str:
    """Why a model is refused of whose cells every other one is left out in cross-attention."""
    model, clip = load(path)[:2]
    made, *rest = control.ReCoControl.execute(
        model, clip, Layout.from_json(layout), "", **settings
    ).args[:4]
    merging = made.clone()
    merging.set_model_attn2_patch(lambda q, k, v, options: (q[:, ::2], k, v))
    merging.set_model_attn2_output_patch(lambda n, options: n.repeat_interleave(2, dim=1))
    try:
        sampled(merging, *rest, steps=1)
    except ValueError as error:
        return str(error)
    return ""
