"""Load UNet and text encoder of a ReCo checkpoint that ComfyUI saved apart."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from .inputs import CATEGORY, reads
from .loaders import SUFFIXES, network_outputs, size_outputs, start_size

UNET_FOLDER, TEXT_ENCODER_FOLDER = "diffusion_models", "text_encoders"
"""Where ComfyUI looks for what ModelSave and CLIPSave write."""


def part_names(folder: str) -> list[str]:
    """Names in one of ComfyUI's folders for parts of checkpoints."""
    names = folder_paths.get_filename_list(folder)
    return [name for name in names if name.lower().endswith(SUFFIXES)]


def part_paths(unet_name: str, clip_name: str) -> tuple[Path, Path]:
    """The files of listed names. Raises FileNotFoundError when one is gone."""
    unet = folder_paths.get_full_path_or_raise(UNET_FOLDER, unet_name)
    return Path(unet), Path(folder_paths.get_full_path_or_raise(TEXT_ENCODER_FOLDER, clip_name))


class ReCoLoadParts(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLoadParts",
            display_name="ReCo Load Parts",
            category=CATEGORY,
            description="Load a ReCo UNet and a ReCo text encoder that ComfyUI saved apart.",
            inputs=[
                io.Combo.Input(
                    "unet_name",
                    options=part_names(UNET_FOLDER),
                    extra_dict=reads("unet"),
                    tooltip="What ModelSave wrote, from ComfyUI's diffusion_models folder.",
                ),
                io.Combo.Input(
                    "clip_name",
                    options=part_names(TEXT_ENCODER_FOLDER),
                    extra_dict=reads("text_encoder"),
                    tooltip="What CLIPSave wrote, from ComfyUI's text_encoders folder.",
                ),
            ],
            outputs=[*network_outputs(), *size_outputs()],
        )

    @classmethod
    def fingerprint_inputs(cls, unet_name: str | None, clip_name: str | None) -> object:
        """When the files were written, so that newly saved ones are read again."""
        if unet_name is None or clip_name is None:  # linked: known only when the workflow runs
            return 0
        return [path.stat().st_mtime_ns for path in part_paths(unet_name, clip_name)]

    @classmethod
    def execute(cls, unet_name: str, clip_name: str) -> io.NodeOutput:
        from .checkpoints import load_parts

        embeddings = folder_paths.get_folder_paths("embeddings")
        model, clip = load_parts(*part_paths(unet_name, clip_name), embeddings)
        return io.NodeOutput(model, clip, *start_size(clip))
