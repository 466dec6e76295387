"""Layouts that are kept in pictures, and recalled from them."""

from __future__ import annotations

import hashlib
import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import folder_paths
import numpy as np
from comfy.cli_args import args
from comfy_api.latest import io
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .inputs import CATEGORY, RecoLayout, keeps, layout_output, search_aliases
from .registration import is_registering
from .remarks import read_out, told

if TYPE_CHECKING:
    import torch

    from ..reco_core.layout import Layout

SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")
MAX_LISTED = 500  # of the output folder, the newest
COMPRESSION = 4  # as ComfyUI's own Save Image


def listed_pictures() -> list[str]:
    """Pictures of the input folder, and the newest of the output folder, as "name [output]"."""
    if is_registering():
        return []
    inputs = sorted(_pictures(Path(folder_paths.get_input_directory())))
    outputs = _pictures(Path(folder_paths.get_output_directory()))
    newest = sorted(outputs, key=outputs.__getitem__, reverse=True)[:MAX_LISTED]
    return [*inputs, *(f"{name} [output]" for name in newest)]


def _pictures(folder: Path) -> dict[str, float]:
    """Name -> when it was written."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {
            entry.name: entry.stat().st_mtime
            for entry in entries
            if entry.name.lower().endswith(SUFFIXES) and entry.is_file()
        }


def picture_path(name: str) -> Path:
    """The file of a listed picture. Raises ValueError when there is none within its folder."""
    plain, folder = folder_paths.annotated_filepath(name)
    base = Path(folder or folder_paths.get_input_directory()).resolve()
    try:
        path = (base / plain).resolve()
        if path.is_relative_to(base) and path.is_file():
            return path
    except (OSError, ValueError):
        pass
    raise ValueError(f"there is no picture {name!r}: upload it, or choose one that is listed")


def read_picture(path: Path) -> bytes:
    """Raises ValueError for a file that is too large."""
    from ..reco_core.limits import MAX_PICTURE

    with path.open("rb") as file:
        data = file.read(MAX_PICTURE + 1)
    if len(data) > MAX_PICTURE:
        raise ValueError(f"{path.name} has more than the {MAX_PICTURE:,} bytes that are read")
    return data


class ReCoLayoutFromImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutFromImage",
            display_name="ReCo Layout From Image",
            category=CATEGORY,
            description="Recall the layout by which a picture was made from the picture's file.",
            **search_aliases("recall layout", "read layout", "metadata"),
            inputs=[
                io.Combo.Input(
                    "image",
                    options=listed_pictures(),
                    upload=io.UploadType.image,
                    image_folder=io.FolderType.input,
                    tooltip="A PNG, WebP or JPEG file as ComfyUI saved it: its layout, or the "
                    "workflow that made it, is read. Those of the output folder end in [output].",
                )
            ],
            outputs=[layout_output()],
        )

    @classmethod
    def validate_inputs(cls, image: str | None) -> bool | str:
        try:
            return image is None or bool(picture_path(image))
        except ValueError as error:
            return str(error)

    @classmethod
    def fingerprint_inputs(cls, image: str) -> str:
        return hashlib.sha256(read_picture(picture_path(image))).hexdigest()

    @classmethod
    def execute(cls, image: str) -> io.NodeOutput:
        from .recalling import recall

        path = picture_path(image)
        return read_out(recall(read_picture(path), path.name))


class ReCoSaveImage(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoSaveImage",
            display_name="ReCo Save Image",
            category=CATEGORY,
            description="Save pictures with the layout they were made by, which ReCo Layout From "
            "Image and the layout editor recall.",
            inputs=[
                io.Image.Input("images", tooltip="The pictures to save.", extra_dict=keeps()),
                RecoLayout.Input(
                    "layout",
                    tooltip="The layout they were made by. It is written into the files, also one "
                    "that is computed when the workflow runs.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="ReCo",
                    tooltip="As of Save Image: where in ComfyUI's output folder, and how the "
                    "files' names begin. %width%, %year% and the like are filled in.",
                ),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: torch.Tensor, layout: Layout, filename_prefix: str) -> io.NodeOutput:
        from ..reco_core.remarks import Remark

        workflow = {"prompt": cls.hidden.prompt, **(cls.hidden.extra_pnginfo or {})}
        saved = save_pictures(images, layout, filename_prefix, workflow)
        masked = [str(n) for n, region in enumerate(layout.regions, start=1) if region.mask]
        remarks = []
        if masked:
            words = (
                f"Masks are not kept in the files: region {', '.join(masked)} has its box alone."
            )
            remarks.append(Remark("lost", words))
        if args.disable_metadata:
            words = "ComfyUI was started with --disable-metadata: the layout is not in the files."
            remarks.append(Remark("lost", words))
        return io.NodeOutput(ui={"images": saved, **told(remarks)})


def save_pictures(
    images: torch.Tensor, layout: Layout, prefix: str, workflow: dict
) -> list[dict[str, str]]:
    """Write PNG files, as ComfyUI's own Save Image does, with the layout in them.

    images: (B, H, W, C) in [0, 1]. workflow: further texts for the files, as JSON. Returns what a
    node shows, {"filename", "subfolder", "type"} of each.
    """
    from ..reco_core.atomic import write_atomically

    height, width = images.shape[1:3]
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory(), width, height
    )
    texts = None if args.disable_metadata else _texts(layout, workflow)
    saved = []
    for index, image in enumerate(images):
        pixels = np.clip(255.0 * image.cpu().numpy(), 0, 255).astype(np.uint8)
        numbered = name.replace("%batch_num%", str(index))
        file = f"{numbered}_{counter + index:05}_.png"
        save = partial(
            Image.fromarray(pixels).save, format="PNG", pnginfo=texts, compress_level=COMPRESSION
        )
        write_atomically(Path(folder) / file, save)
        saved.append({"filename": file, "subfolder": subfolder, "type": "output"})
    return saved


def _texts(layout: Layout, workflow: dict) -> PngInfo:
    from ..reco_core.recall import LAYOUT_KEY

    texts = PngInfo()
    texts.add_text(LAYOUT_KEY, layout.to_json())
    for name, value in workflow.items():
        if value is not None and name != LAYOUT_KEY:
            texts.add_text(name, json.dumps(value))
    return texts
