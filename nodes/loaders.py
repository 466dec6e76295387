"""Load ReCo checkpoints of Stable Diffusion 1's architecture, of any width, whose text encoder has
position tokens: single files and diffusers folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths
from comfy_api.latest import io

from .inputs import CATEGORY, reads
from .registration import is_registering

if TYPE_CHECKING:
    import comfy.sd

CHECKPOINT_FOLDER = "reco_checkpoints"
"""Folder key of the pack's own models/: not `checkpoints`, whose stock loader cannot open them."""

EMBEDDED = "reco-things.safetensors"
"""What comes with the pack and draws everyday things."""

SUFFIXES = (".safetensors", ".ckpt")

_DIFFUSERS = "diffusers"  # ComfyUI's key of folders with a folder for each model
_INDEX = "model_index.json"


def checkpoint_names() -> list[str]:
    """Names in the pack's models/, in ComfyUI's checkpoints folder and then in its diffusers
    folder, each once. Those of folders end in a slash, which no file's name does."""
    files = (
        *folder_paths.get_filename_list(CHECKPOINT_FOLDER),
        *folder_paths.get_filename_list("checkpoints"),
    )
    names = [name for name in files if name.lower().endswith(SUFFIXES)]
    return list(dict.fromkeys((*names, *_folder_names())))


def checkpoint_path(name: str) -> Path:
    """The file or folder of a listed name. Raises FileNotFoundError when it is gone."""
    if not name.endswith("/"):
        own = folder_paths.get_full_path(CHECKPOINT_FOLDER, name)
        return Path(own or folder_paths.get_full_path_or_raise("checkpoints", name))
    if name in _folder_names():
        for top in folder_paths.get_folder_paths(_DIFFUSERS):
            if (Path(top, name) / _INDEX).is_file():
                return Path(top, name)
    raise FileNotFoundError(f"there is no diffusers folder {name!r} in ComfyUI's models/diffusers")


def written(path: Path) -> int | tuple[tuple[str, int], ...]:
    """When a file was written, or those that a diffusers folder is made of."""
    if not path.is_dir():
        return path.stat().st_mtime_ns
    found = [file for depth in ("*", "*/*") for file in path.glob(depth) if file.is_file()]
    times = {file.relative_to(path).as_posix(): file.stat().st_mtime_ns for file in found}
    return tuple(sorted(times.items()))


def _folder_names() -> list[str]:
    if is_registering():
        return []
    tops = [Path(top) for top in folder_paths.get_folder_paths(_DIFFUSERS)]
    names = [f"{path.relative_to(top).as_posix()}/" for top in tops for path in _folders(top)]
    return sorted(set(names))


def _folders(top: Path) -> Iterator[Path]:
    """Diffusers folders at any depth, as ComfyUI finds them, but for hidden ones and those within
    one."""
    for root, inner, files in os.walk(top, followlinks=True):
        is_one = _INDEX in files and Path(root) != top
        inner[:] = [] if is_one else [name for name in inner if name[0] != "."]
        if is_one:
            yield Path(root)


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
                    default=EMBEDDED,
                    extra_dict=reads("checkpoint"),
                    tooltip="A ReCo checkpoint: a file (.safetensors or .ckpt) from ComfyUI's "
                    "checkpoints folder, a folder from its diffusers folder, or one that comes "
                    "with this pack.",
                )
            ],
            outputs=part_outputs(),
        )

    @classmethod
    def fingerprint_inputs(cls, ckpt_name: str | None) -> object:
        """When it was written, so that a newly trained one is read again."""
        if ckpt_name is None:  # linked: known only when the workflow runs
            return 0
        return written(checkpoint_path(ckpt_name))

    @classmethod
    def execute(cls, ckpt_name: str) -> io.NodeOutput:
        from .checkpoints import load_checkpoint

        embeddings = folder_paths.get_folder_paths("embeddings")
        model, clip, vae = load_checkpoint(checkpoint_path(ckpt_name), embeddings)
        return io.NodeOutput(model, clip, vae, *start_size(clip))
