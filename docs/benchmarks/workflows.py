"""Workflows in API format that sample a layout in one way or another; the node named shown tells
what the UNet computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reco_core.control import Control
from reco_core.layout import Layout, Region

Workflow = Callable[[Layout], dict[str, dict]]
STEPS = 4


def node(kind: str, **inputs: Any) -> dict:
    return {"class_type": kind, "inputs": inputs}


def reco(layout: Layout) -> dict[str, dict]:
    """By ReCo Conditioning."""
    encode = node("ReCoConditioning", clip=["loader", 1], layout=["layout", 0], negative="")
    return sampled(layout, {"encode": encode}, ["encode", 0], ["encode", 1])


def with_control(
    each: Callable[[int], Control] | None = None, cfg: float = 3.0, **inputs: Any
) -> Workflow:
    """By ReCo Control. each: of a region by its index; inputs: of the node."""

    def workflow(layout: Layout) -> dict[str, dict]:
        if each:
            regions = (replace(r, control=each(i)) for i, r in enumerate(layout.regions))
            layout = replace(layout, regions=tuple(regions))
        control = node(
            "ReCoControl",
            model=["loader", 0],
            clip=["loader", 1],
            layout=["layout", 0],
            negative="",
            **inputs,
        )
        nodes = {"control": control}
        return sampled(layout, nodes, ["control", 1], ["control", 2], ["control", 0], cfg)

    return workflow


def with_lora(layout: Layout) -> dict[str, dict]:
    """By ReCo Conditioning, with a LoRA in the first region."""
    encode = node("ReCoConditioning", clip=["loader", 1], layout=["layout", 0], negative="")
    lora = node(
        "ReCoRegionLora",
        model=["loader", 0],
        positive=["encode", 0],
        negative=["encode", 1],
        layout=["layout", 0],
        region="1",
        lora_name="random.safetensors",
        strength=1.0,
    )
    return sampled(layout, {"encode": encode, "lora": lora}, ["lora", 0], ["lora", 1])


def gligen(layout: Layout) -> dict[str, dict]:
    """By ComfyUI's GLIGENTextBoxApply, one after another."""
    nodes = {"gligen": node("GLIGENLoader", gligen_name="random.safetensors")}
    positive = "caption"
    for index, region in enumerate(layout.regions):
        box = _pixels(region, layout)
        nodes[f"box {index}"] = node(
            "GLIGENTextBoxApply",
            conditioning_to=[positive, 0],
            clip=["loader", 1],
            gligen_textbox_model=["gligen", 0],
            text=region.text,
            **box,
        )
        positive = f"box {index}"
    return sampled(layout, {**_texts(layout), **nodes}, [positive, 0], ["negative", 0])


def areas(layout: Layout) -> dict[str, dict]:
    """By ComfyUI's ConditioningSetAreaPercentage, combined."""

    def one(index: int, region: Region) -> dict[str, dict]:
        box = region.box
        place = {"x": box.x0, "y": box.y0, "width": box.x1 - box.x0, "height": box.y1 - box.y0}
        kind, text = "ConditioningSetAreaPercentage", [f"text {index}", 0]
        return {f"set {index}": node(kind, conditioning=text, strength=1.0, **place)}

    return _combined(layout, one)


def masks(layout: Layout) -> dict[str, dict]:
    """By ComfyUI's ConditioningSetMask, combined."""

    def one(index: int, _: Region) -> dict[str, dict]:
        return {
            f"mask {index}": node("ReCoLayoutToMasks", layout=["layout", 0], region=str(index + 1)),
            f"set {index}": node(
                "ConditioningSetMask",
                conditioning=[f"text {index}", 0],
                mask=[f"mask {index}", 0],
                strength=1.0,
                set_cond_area="default",
            ),
        }

    return _combined(layout, one)


def _combined(layout: Layout, one: Callable[[int, Region], dict[str, dict]]) -> dict[str, dict]:
    nodes, positive = _texts(layout), "caption"
    for index, region in enumerate(layout.regions):
        nodes[f"text {index}"] = _text(region.text)
        nodes |= one(index, region)
        nodes[f"both {index}"] = node(
            "ConditioningCombine",
            conditioning_1=[positive, 0],
            conditioning_2=[f"set {index}", 0],
        )
        positive = f"both {index}"
    return sampled(layout, nodes, [positive, 0], ["negative", 0])


def _texts(layout: Layout) -> dict[str, dict]:
    return {"caption": _text(layout.caption), "negative": _text("")}


def _text(text: str) -> dict:
    return node("CLIPTextEncode", clip=["loader", 1], text=text)


def _pixels(region: Region, layout: Layout) -> dict[str, int]:
    x0, y0, x1, y1 = (round(edge) for edge in region.box.to_pixels(layout.width, layout.height))
    return {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}


def sampled(
    layout: Layout,
    nodes: dict[str, dict],
    positive: list,
    negative: list,
    model: list | None = None,
    cfg: float = 3.0,
) -> dict[str, dict]:
    """A layout's sampling by a positive and a negative of these nodes."""
    size = {"width": layout.width, "height": layout.height}
    return {
        "loader": node("ReCoLoadCheckpoint", ckpt_name="reco-shapes.safetensors"),
        "layout": node("ReCoLayoutFromText", text=layout.to_json(), **size),
        "latent": node("EmptyLatentImage", batch_size=1, **size),
        **nodes,
        "counted": node("CountRows", model=model or ["loader", 0]),
        "sampler": node(
            "KSampler",
            model=["counted", 0],
            positive=positive,
            negative=negative,
            latent_image=["latent", 0],
            seed=1,
            steps=STEPS,
            cfg=cfg,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "shown": node("ShowRows", rows=["counted", 1], latent=["sampler", 0]),
    }
