"""Load ReCo adapters: LoRA and position tokens for a plain Stable Diffusion 1 checkpoint."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from .inputs import CATEGORY
from .loaders import checkpoint_names, checkpoint_path, part_outputs, start_size
from .remarks import told


def adapter_names() -> list[str]:
    """Files that can be adapters, of ComfyUI's loras folder."""
    names = folder_paths.get_filename_list("loras")
    return [name for name in names if name.lower().endswith(".safetensors")]


def adapter_path(name: str) -> Path:
    """The file of a listed name. Raises FileNotFoundError when it is gone."""
    return Path(folder_paths.get_full_path_or_raise("loras", name))


def _strength_input(name: str, tooltip: str) -> io.Float.Input:
    return io.Float.Input(name, default=1.0, min=-20.0, max=20.0, step=0.01, tooltip=tooltip)


class ReCoLoadAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLoadAdapter",
            display_name="ReCo Load Adapter",
            category=CATEGORY,
            description="Load a Stable Diffusion 1 checkpoint with a ReCo adapter, which brings "
            "position tokens and a LoRA.",
            inputs=[
                io.Combo.Input(
                    "ckpt_name",
                    options=checkpoint_names(),
                    tooltip="The base: a plain Stable Diffusion 1 checkpoint from ComfyUI's "
                    "checkpoints folder, best the one that the adapter was trained on.",
                ),
                io.Combo.Input(
                    "adapter_name",
                    options=adapter_names(),
                    tooltip="A ReCo adapter (.safetensors) from ComfyUI's loras folder, written "
                    "by `python -m train fit` with lora.rank.",
                ),
                _strength_input(
                    "strength_model",
                    "How strongly the LoRA changes the UNet. Position tokens are there at any.",
                ),
                _strength_input(
                    "strength_clip",
                    "How strongly the LoRA changes the text encoder. Position tokens are there "
                    "at any.",
                ),
            ],
            outputs=part_outputs(),
        )

    @classmethod
    def fingerprint_inputs(
        cls, ckpt_name: str | None, adapter_name: str | None, **strengths: float
    ) -> object:
        """When the files were written, so that a newly trained adapter is read again."""
        if ckpt_name is None or adapter_name is None:  # linked: known only when the workflow runs
            return 0
        files = (checkpoint_path(ckpt_name), adapter_path(adapter_name))
        return [file.stat().st_mtime_ns for file in files]

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
