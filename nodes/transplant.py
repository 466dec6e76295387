"""Give another checkpoint the boxes of a ReCo checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import folder_paths
from comfy_api.latest import io

from .inputs import CATEGORY, reads
from .loaders import network_outputs, size_outputs, start_size
from .remarks import told

if TYPE_CHECKING:
    import comfy.sd
    from comfy.model_patcher import ModelPatcher


def _strength_input(name: str, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=1.0, min=-20.0, max=20.0, step=0.01, tooltip=tooltip)


class ReCoTransplant(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoTransplant",
            display_name="ReCo Transplant",
            category=CATEGORY,
            description="Give another Stable Diffusion 1 checkpoint the boxes of a ReCo "
            "checkpoint: the other, plus what training changed in ReCo's base. All three "
            "checkpoints stay in memory.",
            inputs=[
                io.Model.Input(
                    "reco_model", tooltip="Of the ReCo checkpoint, from ReCo Load Checkpoint."
                ),
                io.Clip.Input(
                    "reco_clip",
                    tooltip="Of the ReCo checkpoint. Its position tokens are taken.",
                    extra_dict=reads("transplant"),
                ),
                io.Model.Input(
                    "other_model",
                    tooltip="Of the checkpoint that is to get boxes: any fine-tune of Stable "
                    "Diffusion 1, from Load Checkpoint, with LoRAs or merges if you like.",
                ),
                io.Clip.Input("other_clip", tooltip="Of the same checkpoint as other_model."),
                _strength_input(
                    "strength",
                    "How much of what training changed is added. 1 is all of it, 0 the other "
                    "checkpoint as it is, more than 1 more than ReCo itself has.",
                ),
                _strength_input(
                    "strength_model", "Times strength, for the UNet: where boxes become pictures."
                ),
                _strength_input(
                    "strength_clip", "Times strength, for the text encoder, which reads the boxes."
                ),
                io.Model.Input(
                    "base_model",
                    optional=True,
                    tooltip="Of the plain checkpoint that the ReCo one was trained from (SD 1.4 "
                    "for the authors' weights), from Load Checkpoint. Leave it and base_clip out "
                    "where the ReCo checkpoint names its base and that file is in ComfyUI's "
                    "checkpoints folder.",
                ),
                io.Clip.Input(
                    "base_clip", optional=True, tooltip="Of the same checkpoint as base_model."
                ),
            ],
            outputs=[*network_outputs(), *size_outputs()],
        )

    @classmethod
    def execute(
        cls,
        reco_model: ModelPatcher,
        reco_clip: comfy.sd.CLIP,
        other_model: ModelPatcher,
        other_clip: comfy.sd.CLIP,
        strength: float,
        strength_model: float,
        strength_clip: float,
        base_model: ModelPatcher | None = None,
        base_clip: comfy.sd.CLIP | None = None,
    ) -> io.NodeOutput:
        from .transplanting import base_networks, transplant

        base, name = base_networks(
            reco_clip, base_model, base_clip, folder_paths.get_folder_paths("embeddings")
        )
        model, clip = transplant(
            (reco_model, reco_clip),
            base,
            (other_model, other_clip),
            strength * strength_model,
            strength * strength_clip,
        )
        report = f"base: {name}; all three checkpoints stay in memory"
        if model.is_dynamic():
            report += (
                "; save with ReCo Save Checkpoint: the stock one adds twice under dynamic VRAM"
            )
        return io.NodeOutput(model, clip, *start_size(clip), ui=told([], report))
