"""The thumbnails of the example workflows that change pictures: python -m docs.workflows

Runs each in ComfyUI as it is saved, and writes its thumbnail beside it: the result, and small what
it was made of. Some are pictures of help pages too, side by side. Names choose among them.
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


def side_by_side(before: Image.Image, after: Image.Image) -> Image.Image:
    half = SIDE // 2
    sheet = Image.new("RGB", (SIDE + 8, half), GROUND)
    for picture, left in ((before, 0), (after, half + 8)):
        sheet.paste(picture.resize((half, half), Image.Resampling.LANCZOS), (left, 0))
    return sheet


def main(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, ComfyServer(folder) as server:
        for name in names or NAMES:
            made = pictures(server, FOLDER / f"reco_{name}.json")
            path = FOLDER / f"reco_{name}.jpg"
            both = made[f"{name}_before"], made[name]
            thumbnail(*both).save(path, quality=90)
            if name in HELP:
                HELP[name].parent.mkdir(exist_ok=True)
                side_by_side(*both).save(HELP[name])
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
