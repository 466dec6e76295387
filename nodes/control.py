"""Nodes for control of regions beyond the paper: how far and when they count, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from .inputs import (
    CATEGORY,
    OVERFLOW_ERROR,
    RecoLayout,
    layout_output,
    overflow_input,
    region_input,
    search_aliases,
)
from .remarks import layout_out
from .text_encode import batch_size_input, both_reports, negative_input, report_output

if TYPE_CHECKING:
    import comfy.sd
    from comfy.model_patcher import ModelPatcher

    from ..reco_core.layout import Layout

OFF = "off"
CONTAINMENTS = [OFF, "its tokens", "its tokens, and no padding", "its tokens, encoded apart"]


def _share(name: str, default: float, what: str) -> io.Float.Input:
    return io.Float.Input(
        name,
        default=default,
        min=0.0,
        max=1.0,
        step=0.01,
        optional=True,
        tooltip=f"{what}: a share of the whole noise schedule, as in Set Timestep Range. At "
        "denoise 0.5 only what lies between 0.5 and 1 is sampled.",
    )


class ReCoControl(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoControl",
            display_name="ReCo Control",
            category=CATEGORY,
            description="All a sampler wants from a layout, with control over its regions: their "
            "guidance, strengths, times and negatives, and no bleeding beyond their boxes.",
            **search_aliases(
                "region guidance", "regional prompt", "attention mask", "bleeding", "strength"
            ),
            inputs=[
                io.Model.Input("model", tooltip="The model that will sample, after its LoRA."),
                io.Clip.Input("clip", tooltip="The clip output of ReCo Load Checkpoint."),
                RecoLayout.Input("layout", tooltip="The caption and the boxes with their words."),
                negative_input(),
                io.Float.Input(
                    "region_guidance",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    optional=True,
                    tooltip="How far the regions draw the picture away from the caption alone, in "
                    "multiples of the sampler's cfg. 1 is as trained; other values cost a third "
                    "row of the UNet's work in each step.",
                ),
                io.Combo.Input(
                    "containment",
                    options=CONTAINMENTS,
                    default=OFF,
                    optional=True,
                    tooltip="What of a region only its box may see, so that it does not bleed into "
                    "others.",
                ),
                io.Int.Input(
                    "feather",
                    default=8,
                    min=0,
                    max=512,
                    optional=True,
                    tooltip="Over how many pixels outside of it a box fades, for containment.",
                ),
                _share("contain_from", 0.0, "When containment begins"),
                _share("contain_until", 1.0, "When containment ends"),
                batch_size_input(),
                overflow_input(),
            ],
            outputs=[
                io.Model.Output(
                    display_name="model", tooltip="For the sampler: it follows the control."
                ),
                io.Conditioning.Output(display_name="positive", tooltip="The layout, encoded."),
                io.Conditioning.Output(
                    display_name="negative",
                    tooltip="The negative text, and the regions' negatives in their boxes.",
                ),
                io.Latent.Output(
                    display_name="latent", tooltip="Empty latents of the layout's size."
                ),
                report_output(),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, contain_from: float | None = 0.0, contain_until: float | None = 1.0
    ) -> bool | str:
        if contain_from is None or contain_until is None or contain_from < contain_until:
            return True
        return (
            f"contain_from = {contain_from:g} is not before contain_until = {contain_until:g}: "
            "swap them, or set containment to off"
        )

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        clip: comfy.sd.CLIP,
        layout: Layout,
        negative: str = "",
        region_guidance: float = 1.0,
        containment: str = OFF,
        feather: int = 8,
        contain_from: float = 0.0,
        contain_until: float = 1.0,
        batch_size: int = 1,
        overflow: str = OVERFLOW_ERROR,
    ) -> io.NodeOutput:
        from ..reco_core.containment import Containment
        from .controlling import encode_controlled
        from .encoding import empty_latent, read_negative
        from .region_sampling import controlled_model

        bounds = None
        if containment != OFF:
            bounds = Containment(containment, feather, contain_from, contain_until)
        positive = encode_controlled(clip, layout, bounds, region_guidance, overflow)
        unwanted = read_negative(clip, negative, layout)
        unconditional = encode_controlled(clip, unwanted, bounds, 1.0, overflow)
        report, shown = both_reports(positive, unconditional)
        return io.NodeOutput(
            controlled_model(model),
            positive.conditioning,
            unconditional.conditioning,
            empty_latent(layout, batch_size),
            report,
            ui=shown,
        )


class ReCoRegionSettings(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoRegionSettings",
            display_name="ReCo Region Settings",
            category=CATEGORY,
            description="How strongly and when a region counts, and what is kept out of its box. "
            "ReCo Control follows it.",
            **search_aliases("region strength", "region schedule", "negative region"),
            inputs=[
                RecoLayout.Input("layout", tooltip="The layout whose regions are set."),
                region_input("", "all", "The region that is set"),
                io.Boolean.Input(
                    "on", default=True, tooltip="Whether it counts at all; its number stays."
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="Multiplies how much the picture attends to it; 1 is as trained.",
                ),
                _share("start", 0.0, "From when on it counts"),
                _share("end", 1.0, "Until when it counts"),
                io.String.Input(
                    "negative",
                    multiline=True,
                    dynamic_prompts=True,
                    default="",
                    optional=True,
                    tooltip="What to keep out of its box: it goes into the negative, in the same "
                    "box.",
                ),
            ],
            outputs=[layout_output("It, with these settings.")],
        )

    @classmethod
    def execute(
        cls,
        layout: Layout,
        region: str,
        on: bool,
        strength: float,
        start: float = 0.0,
        end: float = 1.0,
        negative: str = "",
    ) -> io.NodeOutput:
        from ..reco_core.choice import with_control
        from ..reco_core.control import Control

        control = Control(strength if on else 0.0, start, end, negative)
        return layout_out(with_control(layout, region, control))
