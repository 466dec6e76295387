"""Load and apply ReCo adapters: LoRA and position tokens for a plain Stable Diffusion 1
checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import folder_paths
from comfy_api.latest import io

from .adapter_files import HOW_TO_GET_ONE, adapter_names, adapter_path, why_no_adapter
from .inputs import CATEGORY, reads
from .loaders import (
    checkpoint_names,
    checkpoint_path,
    network_outputs,
    part_outputs,
    size_outputs,
    start_size,
    written,
)
from .remarks import told

if TYPE_CHECKING:
    import comfy.sd
    from comfy.model_patcher import ModelPatcher


def _adapter_inputs() -> list[io.Input]:
    """The adapter and its strengths."""
    return [
        io.Combo.Input(
            "adapter_name",
            options=adapter_names(),
            extra_dict=reads("adapter"),
            tooltip=f"A ReCo adapter from ComfyUI's loras folder: {HOW_TO_GET_ONE}. Other LoRAs "
            "are not listed: load those with Load LoRA.",
        ),
        *(
            io.Float.Input(
                name,
                default=1.0,
                min=-20.0,
                max=20.0,
                step=0.01,
                tooltip=f"How strongly the LoRA changes the {part}. Position tokens are there at "
                f"any{more}.",
            )
            for name, part, more in (
                ("strength_model", "UNet", ""),
                ("strength_clip", "text encoder", "; of several adapters, they are the mean by it"),
            )
        ),
    ]


class ReCoLoadAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLoadAdapter",
            display_name="ReCo Load Adapter",
            category=CATEGORY,
            description="Load a Stable Diffusion 1 checkpoint with a ReCo adapter, which brings "
            "position tokens and a LoRA. For models of other loaders: ReCo Apply Adapter.",
            inputs=[
                io.Combo.Input(
                    "ckpt_name",
                    options=checkpoint_names(),
                    tooltip="The base: a plain Stable Diffusion 1 checkpoint from ComfyUI's "
                    "checkpoints or diffusers folder, best the one that the adapter was trained "
                    "on.",
                ),
                *_adapter_inputs(),
            ],
            outputs=part_outputs(),
        )

    @classmethod
    def validate_inputs(cls, adapter_name: str | None) -> bool | str:
        return why_no_adapter(adapter_name)

    @classmethod
    def fingerprint_inputs(
        cls, ckpt_name: str | None, adapter_name: str | None, **strengths: float
    ) -> object:
        """When the files were written, so that a newly trained adapter is read again."""
        if ckpt_name is None or adapter_name is None:  # linked: known only when the workflow runs
            return 0
        files = (checkpoint_path(ckpt_name), adapter_path(adapter_name))
        return [written(file) for file in files]

    @classmethod
    def execute(
        cls, ckpt_name: str, adapter_name: str, strength_model: float, strength_clip: float
    ) -> io.NodeOutput:
        from ..reco_core.remarks import Remark
        from .checkpoints import load_with_adapter, warning_of

        base, adapter = checkpoint_path(ckpt_name), adapter_path(adapter_name)
        embeddings = folder_paths.get_folder_paths("embeddings")
        parts = load_with_adapter(base, adapter, strength_model, strength_clip, embeddings)
        warning = warning_of(base, adapter)
        shown = told([Remark("file", warning)] if warning else [])
        return io.NodeOutput(*parts, *start_size(parts[1]), ui=shown)


class ReCoApplyAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoApplyAdapter",
            display_name="ReCo Apply Adapter",
            category=CATEGORY,
            description="Give a Stable Diffusion 1 model and clip of any loader a ReCo adapter, "
            "which brings position tokens and a LoRA.",
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="The UNet of any loader, also behind LoRAs: best of the checkpoint "
                    "that the adapter was trained on, or of one that was made from it.",
                ),
                io.Clip.Input(
                    "clip",
                    tooltip="The text encoder of any loader, also behind LoRAs and other adapters.",
                ),
                *_adapter_inputs(),
            ],
            outputs=[*network_outputs(), *size_outputs()],
        )

    @classmethod
    def validate_inputs(cls, adapter_name: str | None) -> bool | str:
        return why_no_adapter(adapter_name)

    @classmethod
    def fingerprint_inputs(cls, adapter_name: str | None, **others: object) -> int:
        """When the file was written, so that a newly trained adapter is read again."""
        if adapter_name is None:  # linked: known only when the workflow runs
            return 0
        return adapter_path(adapter_name).stat().st_mtime_ns

    @classmethod
    def execute(
        cls,
        model: ModelPatcher,
        clip: comfy.sd.CLIP,
        adapter_name: str,
        strength_model: float,
        strength_clip: float,
    ) -> io.NodeOutput:
        from .adapting import apply_adapter, described

        path = adapter_path(adapter_name)
        model, clip = apply_adapter(model, clip, path, strength_model, strength_clip)
        report, remarks = described(clip)
        return io.NodeOutput(model, clip, *start_size(clip), ui=told(remarks, report))
