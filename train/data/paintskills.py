"""PaintSkills (Cho et al., "DALL-Eval", ICCV 2023): pictures of a simulator that test one skill.

A skill's folder holds images/, scenes/{skill}_{split}.json (what is to be seen, in words) and
{skill}_{split}_bounding_boxes.json (where it is, in COCO's form). A scene and its picture belong
together by the last five digits of the scene's id, as in the released code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from reco_core.checks import quote
from train.data.coco_annotations import Annotations, identity
from train.data.coco_index import CocoIndex
from train.data.files import FileSet, folder_of, read_json_file
from train.data.problems import Problem
from train.data.set_config import SetConfig
from train.options import Place, options

Split = Literal["train", "val"]

_DIGITS = 5  # of a scene's id, that are its picture's


@options
class PaintSkillsConfig(SetConfig):
    """One skill of PaintSkills."""

    kind: Literal["paintskills"] = "paintskills"
    path: Place = ""
    """Folder of the skill, named as it."""
    split: Split = "train"
    """Of its scenes."""


def open_paintskills(config: PaintSkillsConfig, size: int = 0) -> FileSet:
    """size: of pictures that are drawn, which these are not.

    The caption is the scene's text, a region's its colour (unless plain) and name.

    Raises:
        ValueError: a file is missing, or is not PaintSkills'.
    """
    folder, listed, boxes = _read_skill(config.path, config.split)
    scenes, problems = _by_number(listed, set(map(_number, boxes["images"])))
    images = [image for image in boxes["images"] if _number(image) in scenes]
    found = Annotations(f"{folder.name}_{config.split}_bounding_boxes.json")
    for annotation in boxes["annotations"]:
        if _number(annotation, "image_id") in scenes:
            found.add({**annotation, "text": region_text(annotation)})
    captions = {number: [scene["text"]] for number, scene in scenes.items()}
    index = CocoIndex(folder / "images", images, found, {}, captions, config.samples)
    index.problems[:0] = problems
    return FileSet(index)


def open_scenes(path: str, split: Split = "train") -> dict[str, Mapping[str, Any]]:
    """The scene of every picture of a skill, by the picture's file name: what the samples of
    open_paintskills leave out. Raises ValueError as that does."""
    _, listed, boxes = _read_skill(path, split)
    scenes, _ = _by_number(listed, set(map(_number, boxes["images"])))
    return {
        image["file_name"]: scenes[_number(image)]
        for image in boxes["images"]
        if _number(image) in scenes and isinstance(image.get("file_name"), str)
    }


def region_text(thing: Mapping[str, Any]) -> str:
    """ "red fire hydrant" of {"color": "red", "shape": "fireHydrant"}; "human" of "humanSophie"."""
    words = shape_words(str(thing.get("shape") or "thing"))
    colour = thing.get("color")
    return words if colour in (None, "", "plain") else f"{colour} {words}"


def shape_words(shape: str) -> str:
    """ "fire hydrant" of "fireHydrant"; "human" of "humanSophie"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", shape).lower()
    return "human" if words.startswith("human") else words


def _read_skill(
    path: str, split: str
) -> tuple[Path, list[Mapping[str, Any]], Mapping[str, list[Mapping[str, Any]]]]:
    """A skill's folder, its scenes, and its boxes in COCO's form."""
    folder = folder_of(path, "folder of one skill of PaintSkills")
    name = f"{folder.resolve().name}_{split}"
    scenes = read_json_file(folder / "scenes" / f"{name}.json", "scenes")
    boxes = read_json_file(folder / f"{name}_bounding_boxes.json", "bounding boxes")
    if not isinstance(scenes, Mapping) or not isinstance(scenes.get("data"), list):
        raise ValueError(f"scenes of {str(folder)!r} are not PaintSkills': they have no data")
    if not isinstance(boxes, Mapping) or not all(
        isinstance(boxes.get(key), list) for key in ("images", "annotations")
    ):
        raise ValueError(
            f"bounding boxes of {str(folder)!r} are not PaintSkills': they have no images and "
            "annotations"
        )
    return folder, scenes["data"], boxes


def _number(item: Any, key: str = "id") -> int | str:
    """The number of a picture, or of an annotation's; empty where it has none."""
    try:
        return identity(item[key], key)
    except (ValueError, KeyError, TypeError):
        return ""


def _by_number(
    scenes: list[Mapping[str, Any]], images: set[Any]
) -> tuple[dict[int | str, Mapping[str, Any]], list[Problem]]:
    """The scene of every picture's number, and which scenes have no picture or no text."""
    found: dict[int | str, Mapping[str, Any]] = {}
    problems = []
    for scene in scenes:
        if not isinstance(scene, Mapping):
            raise ValueError(f"scenes must be objects, got {quote(scene)}")
        id_, text = str(scene.get("id")), scene.get("text")
        digits = id_[-_DIGITS:]
        number = int(digits) if digits.isdecimal() else -1
        if number not in images:
            problems.append(
                Problem(id_, f"no picture has the scene's number, {digits!r}", "missing")
            )
        elif number in found:
            problems.append(Problem(id_, f"another scene has the same number, {digits!r}"))
        elif not isinstance(text, str) or not text.strip():
            problems.append(Problem(id_, "the scene has no text", "silent"))
        else:
            found[number] = scene
    return found, problems
