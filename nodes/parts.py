"""Load UNet and text encoder of a ReCo checkpoint that ComfyUI saved apart."""

from functools import partial
from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..reco_core.checkpoint import describe_checkpoint
from ..reco_core.checkpoint_file import read_parts
from ..reco_core.checkpoint_info import CheckpointInfo
from .layout import CATEGORY
from .loaders import SUFFIXES, build_networks, network_outputs, size_outputs, start_size

UNET_FOLDER, TEXT_ENCODER_FOLDER = "diffusion_models", "text_encoders"
"""Where ComfyUI looks for what ModelSave and CLIPSave write."""


def read_reco_parts(unet: Path, text_encoder: Path) -> tuple[dict, CheckpointInfo]:
    """Read UNet and text encoder that were saved apart, without an autoencoder.

    Raises ValueError when a file is no such part, or they make no ReCo checkpoint together.
    """
    state_dict, metadata = read_parts(unet, text_encoder)
    try:
        info = describe_checkpoint(state_dict, metadata)
        if not info.is_reco:
            raise ValueError(
                "the text encoder has no position tokens: choose that of a ReCo "
                "checkpoint, or open both with ComfyUI's own Load Diffusion Model and Load CLIP"
            )
    except ValueError as error:
        raise ValueError(f"{unet.name!r} with {text_encoder.name!r}: {error}") from error
    return state_dict, info


def load_parts(unet: Path, text_encoder: Path, embedding_directory: list[str] | None = None):
    """MODEL and CLIP of files that ComfyUI's ModelSave and CLIPSave wrote.

    Raises ValueError as read_reco_parts.
    """
    read = partial(read_reco_parts, unet, text_encoder)
    return build_networks(*read(), read, embedding_directory)


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
                    tooltip="What ModelSave wrote, from ComfyUI's diffusion_models folder.",
                ),
                io.Combo.Input(
                    "clip_name",
                    options=part_names(TEXT_ENCODER_FOLDER),
                    tooltip="What CLIPSave wrote, from ComfyUI's text_encoders folder.",
                ),
            ],
            outputs=[*network_outputs(), *size_outputs()],
        )

    @classmethod
    def fingerprint_inputs(cls, unet_name: str | None, clip_name: str | None):
        """When the files were written, so that newly saved ones are read again."""
        if unet_name is None or clip_name is None:  # linked: known only when the workflow runs
            return 0
        return [path.stat().st_mtime_ns for path in part_paths(unet_name, clip_name)]

    @classmethod
    def execute(cls, unet_name: str, clip_name: str) -> io.NodeOutput:
        embeddings = folder_paths.get_folder_paths("embeddings")
        model, clip = load_parts(*part_paths(unet_name, clip_name), embeddings)
        return io.NodeOutput(model, clip, *start_size(clip))
