"""The thumbnails of example workflows: python -m docs.workflows

Runs each in ComfyUI as it is saved, and writes its thumbnail beside it: the result, and small what
it was made of. Some are pictures of help pages too, side by side, and the quickstart's is the first
of README. Names choose among them.
"""

from __future__ import annotations

import io
import sys
import tempfile
import urllib.parse
from pathlib import Path

from PIL import Image

from comfy_server import ROOT, ComfyServer, run_workflow

FOLDER = ROOT / "example_workflows"
NAMES = (
    *("containment", "region_guidance", "region_settings", "region_lora", "many_regions"),
    *("img2img", "inpaint_region", "outpaint", "second_pass", "tiled_upscale"),
)
"""Each saves its picture by its own name, and what it was before as NAME_before."""
QUICKSTART, FIRST_PICTURE = "quickstart", ROOT / "docs" / "images" / "quickstart.png"
"""Saves its picture, and the same with its boxes as NAME_boxes."""
HELP = {
    "containment": ROOT / "web" / "docs" / "ReCoControl" / "contained.png",
    "region_lora": ROOT / "web" / "docs" / "ReCoRegionLora" / "lora.png",
    "region_settings": ROOT / "web" / "docs" / "ReCoRegionSettings" / "settings.png",
}
SIDE, SMALL, LARGE = 512, 160, 340
GROUND = (200, 200, 200)


def pictures(server: ComfyServer, workflow: Path) -> dict[str, Image.Image]:
    """What a workflow saves, by the file names without their numbers."""
    found = {}
    for address in run_workflow(server, workflow):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        image = Image.open(io.BytesIO(server.view(query))).convert("RGB")
        found[query["filename"].rpartition("_0")[0]] = image
    return found


def thumbnail(before: Image.Image, after: Image.Image) -> Image.Image:
    """Two square pictures: before in the upper left corner, after in the lower right one."""
    sheet = Image.new("RGB", (SIDE, SIDE), GROUND)
    for picture, side, corner in ((before, SMALL, 4), (after, LARGE, SIDE - LARGE - 4)):
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (corner, corner))
    return sheet


def side_by_side(before: Image.Image, after: Image.Image, side: int = SIDE // 2) -> Image.Image:
    gap = side // 32
    sheet = Image.new("RGB", (2 * side + gap, side), GROUND)
    for picture, left in ((before, 0), (after, side + gap)):
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (left, 0))
    return sheet


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, ComfyServer(folder) as server:
        for name in names or (QUICKSTART, *NAMES):
            made = pictures(server, FOLDER / f"reco_{name}.json")
            path = FOLDER / f"reco_{name}.jpg"
            if name == QUICKSTART:
                boxes = made[f"{name}_boxes"].resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                boxes.save(path, quality=90)
                side_by_side(made[name], boxes, SIDE).save(FIRST_PICTURE)
                continue
            both = made[f"{name}_before"], made[name]
            thumbnail(*both).save(path, quality=90)
            if name in HELP:
                HELP[name].parent.mkdir(exist_ok=True)
                side_by_side(*both).save(HELP[name])
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
