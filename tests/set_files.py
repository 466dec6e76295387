"""Small data sets on disk, in the forms that readers know."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from PIL import Image, ImageDraw

GROUND, THING = (250, 250, 250), (200, 30, 40)
RED = (220, 40, 60, 255)


def write_picture(path: Path, size=(64, 48), box=(16, 12, 48, 36)) -> Path:
    """A picture with a red rectangle; box: xyxy in pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(size, box).save(path)
    return path


def picture(size=(64, 48), box=(16, 12, 48, 36)) -> Image.Image:
    image = Image.new("RGB", size, GROUND)
    image.paste(THING, box)
    return image


def write_cutout(path: Path, size=(80, 60), colour=RED) -> Path:
    """A coloured rectangle with a gray corner, and transparency around it."""
    image = Image.new("RGBA", (size[0] + 30, size[1] + 30))
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 20, 9 + size[0], 19 + size[1]), colour)
    draw.rectangle((10, 20, 9 + size[0] // 4, 19 + size[1] // 4), (230, 230, 235, 255))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def encoded(form="JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    picture(**options).save(buffer, form)
    return buffer.getvalue()


def write_json(path: Path, data) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def write_lines(path: Path, *lines) -> Path:
    """JSON lines; a line that is a text is written as it is."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def write_shard(path: Path, members: dict[str, bytes], form: str = "") -> Path:
    """form: how it is compressed, as tarfile names it."""
    with tarfile.open(path, f"w:{form}") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


COCO = {
    "images": [
        {"id": 7, "file_name": "a.png", "width": 64, "height": 48},
        {"id": 9, "file_name": "b.png", "width": 64, "height": 48},
        {"id": 11, "file_name": "c.png", "width": 64, "height": 48},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 19, "name": "horse"}],
    "annotations": [
        {"id": 1, "image_id": 9, "category_id": 19, "bbox": [0, 0, 32, 24]},
        {"id": 2, "image_id": 7, "category_id": 18, "bbox": [16, 12, 32, 24], "iscrowd": 0},
        {"id": 3, "image_id": 7, "category_id": 18, "bbox": [0, 0, 64, 48], "iscrowd": 1},
        {"id": 4, "image_id": 7, "category_id": 19, "bbox": [32, 0, 32, 48], "caption": "mare"},
    ],
}
COCO_CAPTIONS = {
    "annotations": [
        {"image_id": 7, "caption": "a dog and a mare"},
        {"image_id": 11, "caption": "an empty yard"},
        {"image_id": 7, "caption": "two animals"},
    ]
}


def write_coco(folder: Path, instances=COCO, captions=COCO_CAPTIONS) -> dict[str, str]:
    """Options of a COCO set in a folder."""
    for image in COCO["images"]:
        write_picture(folder / image["file_name"])
    return {
        "kind": "coco",
        "path": str(folder),
        "annotations": str(write_json(folder / "instances.json", instances)),
        "captions": str(write_json(folder / "captions.json", captions)),
    }
