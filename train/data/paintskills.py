"""PaintSkills (Cho et al., "DALL-Eval", ICCV 2023): pictures of a simulator that test one skill.

A skill's folder holds images/, scenes/{skill}_{split}.json (what is to be seen, in words) and
{skill}_{split}_bounding_boxes.json (where it is, in COCO's form). A scene and its picture belong
together by the last five digits of the scene's id, as in the released code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reco_core.coco import is_region
from train.data.coco import Annotations, CocoIndex
from train.data.files import FileSet, folder_of, read_json_file
from train.data.sample import Problem

_DIGITS = 5  # of a scene's id, that are its picture's


def open_paintskills(path: str, split: str = "train", limit: int = 0) -> FileSet:
    """path: folder of one skill, named as it; limit: only the first so many scenes.

    The caption is the scene's text, a region's its colour (unless plain) and name.

    Raises:
        ValueError: a file is missing, or is not PaintSkills'.
    """
    folder = folder_of(path, "folder of one skill of PaintSkills")
    name = f"{folder.resolve().name}_{split}"
    scenes = read_json_file(folder / "scenes" / f"{name}.json", "scenes")
    boxes = read_json_file(folder / f"{name}_bounding_boxes.json", "bounding boxes")
    if not isinstance(scenes, Mapping) or not isinstance(scenes.get("data"), list):
        raise ValueError(f"scenes of {str(folder)!r} are not PaintSkills': they have no data")
    if not isinstance(boxes, Mapping) or not {"images", "annotations"} <= boxes.keys():
        raise ValueError(
            f"bounding boxes of {str(folder)!r} are not PaintSkills': they have no images and "
            "annotations"
        )
    captions, problems = _captions(scenes["data"], {image.get("id") for image in boxes["images"]})
    images = [image for image in boxes["images"] if image.get("id") in captions]
    found = Annotations()
    for annotation in filter(is_region, boxes["annotations"]):
        if annotation.get("image_id") in captions:
            found.add({**annotation, "text": region_text(annotation)})
    index = CocoIndex(folder / "images", images, found, {}, captions, limit)
    index.problems[:0] = problems
    return FileSet(index)


def region_text(thing: Mapping[str, Any]) -> str:
    """ "red fire hydrant" of {"color": "red", "shape": "fireHydrant"}; "human" of "humanSophie"."""
    shape = str(thing.get("shape") or "thing")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", shape).lower()
    words = "human" if words.startswith("human") else words
    colour = thing.get("color")
    return words if colour in (None, "", "plain") else f"{colour} {words}"


def _captions(
    scenes: list[Mapping[str, Any]], images: set[Any]
) -> tuple[dict[int, list[str]], list[Problem]]:
    """The text of every picture's scene, and which scenes have none."""
    captions: dict[int, list[str]] = {}
    problems = []
    for scene in scenes:
        id_, text = str(scene.get("id")), scene.get("text")
        digits = id_[-_DIGITS:]
        number = int(digits) if digits.isdecimal() else -1
        if number not in images:
            problems.append(Problem(id_, f"no picture has the scene's number, {digits!r}"))
        elif number in captions:
            problems.append(Problem(id_, f"another scene has the same number, {digits!r}"))
        elif not isinstance(text, str) or not text.strip():
            problems.append(Problem(id_, "the scene has no text"))
        else:
            captions[number] = [text]
    return captions, problems
