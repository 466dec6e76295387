"""Load ReCo checkpoints: single files of Stable Diffusion 1's architecture, of any width, whose
text encoder has position tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths
from comfy_api.latest import io

from .inputs import CATEGORY

if TYPE_CHECKING:
    import comfy.sd

CHECKPOINT_FOLDER = "reco_checkpoints"
"""Folder key of the pack's own models/: not `checkpoints`, whose stock loader cannot open them."""

SUFFIXES = (".safetensors", ".ckpt")


def checkpoint_names() -> list[str]:
    """Names in the pack's models/ and then in ComfyUI's checkpoints folder, each once."""
    names = (
        *folder_paths.get_filename_list(CHECKPOINT_FOLDER),
        *folder_paths.get_filename_list("checkpoints"),
    )
    return [name for name in dict.fromkeys(names) if name.lower().endswith(SUFFIXES)]


def checkpoint_path(name: str) -> Path:
    """The file of a listed name. Raises FileNotFoundError when it is gone."""
    own = folder_paths.get_full_path(CHECKPOINT_FOLDER, name)
    return Path(own or folder_paths.get_full_path_or_raise("checkpoints", name))


def start_size(clip: comfy.sd.CLIP) -> tuple[int, int]:
    """Width and height in pixels that a loaded checkpoint was trained on; its family's when its
    file does not say."""
    return clip.tokenizer.info.start_size()


def network_outputs() -> list[io.Output]:
    return [
        io.Model.Output(display_name="model", tooltip="The UNet, for any sampler."),
        io.Clip.Output(
            display_name="clip",
            tooltip="The text encoder. It reads layouts and ReCo prompts, also from "
            "ComfyUI's own CLIP Text Encode.",
        ),
    ]


def size_outputs() -> list[io.Output]:
    tooltip = "{} in pixels to start from: that of the pictures it was trained on, or 512."
    return [
        io.Int.Output(display_name=side, tooltip=tooltip.format(side.capitalize()))
        for side in ("width", "height")
    ]


def part_outputs() -> list[io.Output]:
    vae = io.Vae.Output(display_name="vae", tooltip="Latents to pixels and back.")
    return [*network_outputs(), vae, *size_outputs()]


class ReCoLoadCheckpoint(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLoadCheckpoint",
            display_name="ReCo Load Checkpoint",
            category=CATEGORY,
            description="Load a Stable Diffusion 1 checkpoint that has ReCo's position tokens.",
            inputs=[
                io.Combo.Input(
                    "ckpt_name",
                    options=checkpoint_names(),
                    tooltip="A ReCo checkpoint (.safetensors or .ckpt) from ComfyUI's checkpoints "
                    "folder, or one that comes with this pack.",
                )
            ],
            outputs=part_outputs(),
        )

    @classmethod
    def fingerprint_inputs(cls, ckpt_name: str | None) -> int:
        """When the file was written, so that a newly trained one is read again."""
        if ckpt_name is None:  # linked: known only when the workflow runs
            return 0
        return checkpoint_path(ckpt_name).stat().st_mtime_ns

    @classmethod
    def execute(cls, ckpt_name: str) -> io.NodeOutput:
        from .checkpoints import load_checkpoint

        embeddings = folder_paths.get_folder_paths("embeddings")
        model, clip, vae = load_checkpoint(checkpoint_path(ckpt_name), embeddings)
        return io.NodeOutput(model, clip, vae, *start_size(clip))
