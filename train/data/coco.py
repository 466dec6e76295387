"""COCO: an instances file, a captions file, a folder of pictures, as its many exporters write them.

What a legal annotation is, reco_core.coco and reco_core.boxes say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from reco_core.checks import check_text, quote
from reco_core.coco import category_name
from train.data.coco_annotations import Annotations, identity
from train.data.coco_index import CocoIndex
from train.data.files import FileSet, folder_of, read_json_file
from train.data.problems import Problem
from train.data.set_config import SetConfig
from train.options import Place, options


@options
class CocoConfig(SetConfig):
    """A folder of pictures with COCO's files."""

    kind: Literal["coco"] = "coco"
    path: Place = ""
    """Folder of pictures."""
    annotations: Place = ""
    """The instances file."""
    captions: Place = ""
    """The captions file; without one, the caption lists what is in the picture."""


def open_coco(config: CocoConfig, size: int = 0, own_texts: bool = True) -> FileSet:
    """size: of pictures that are drawn, which these are not.

    own_texts: whether words that an annotation brings go before its category's name.

    A region's text is what its annotation says, else its category's name; crowds are no regions. A
    picture without caption gets the list of its texts as one.

    Raises:
        ValueError: a file cannot be read, or is not COCO's.
    """
    folder, annotations = folder_of(config.path, "folder of COCO's pictures"), config.annotations
    if not annotations:
        raise ValueError("annotations is empty: name COCO's instances file")
    path = Path(annotations).expanduser()
    found = Annotations(path.name, own_texts)
    data = read_json_file(path, "instances file", found.take)
    if not isinstance(data, Mapping) or not isinstance(data.get("images"), list):
        raise ValueError(f"{annotations!r} is not COCO's instances file: it has no list of images")
    _add_the_rest(data, found)
    if not found.seen and not config.captions:
        raise ValueError(
            f"{annotations!r} has no annotations: name the instances file that has, or give the "
            "captions file, to train on captions alone"
        )
    words, problems = read_captions(config.captions) if config.captions else ({}, [])
    names, nameless = category_names(data.get("categories"), path.name)
    index = CocoIndex(folder, data["images"], found, names, words, config.samples)
    index.problems += [*nameless, *problems]
    if words and not any(index.captions) and index.names:
        raise ValueError(
            f"none of the captions in {config.captions!r} is of an image in {annotations!r}: give "
            "both files of the same split"
        )
    return FileSet(index)


def read_captions(file: str) -> tuple[dict[Any, list[str]], list[Problem]]:
    """The captions of every image id. Raises ValueError when it is no captions file."""
    path = Path(file).expanduser()
    captions: dict[Any, list[str]] = defaultdict(list)
    problems: list[Problem] = []

    def take(data: dict[str, Any]) -> dict[str, Any] | None:
        if "image_id" not in data:
            return data
        try:
            text: Any = data.get("caption")
            check_text("caption", text)
            if text.strip():
                captions[identity(data["image_id"], "image_id")].append(text)
        except ValueError as error:
            reason = f"the caption of image {quote(data['image_id'])} is left out: {error}"
            problems.append(Problem(path.name, reason, "words"))
        return None

    data = read_json_file(path, "captions file", take)
    if not isinstance(data, Mapping) or "annotations" not in data:
        raise ValueError(f"{str(path)!r} is not COCO's captions file: it has no annotations")
    return dict(captions), problems


def category_names(categories: Any, file: str) -> tuple[dict[int | str, str], list[Problem]]:
    """Names by id, of those categories that have one, and which cannot be used. Raises ValueError
    when they are no list of objects."""
    listed = categories or []
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise ValueError(f"categories in {file!r} must be a list of objects, got {quote(listed)}")
    names: dict[int | str, str] = {}
    problems = []
    for category in listed:
        name = category_name(category)
        try:
            if name is not None:
                names[identity(category.get("id"), f"id of category {quote(name)}")] = name
        except ValueError as error:
            problems.append(Problem(file, str(error), "words"))
    return names, problems


def _add_the_rest(data: Mapping[str, Any], found: Annotations) -> None:
    """Annotations that json.loads left where they are, since they name no image."""
    listed = data.get("annotations") or []
    if not isinstance(listed, list | dict):
        raise ValueError(f"annotations in {found.file!r} must be a list, got {quote(listed)}")
    for annotation in listed.values() if isinstance(listed, dict) else listed:
        if annotation is not None:
            found.add(annotation)
