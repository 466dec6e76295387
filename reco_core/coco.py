"""Layouts from COCO annotation files: https://cocodataset.org/#format-data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .checks import quote, read_json, shorten
from .interop import layout_from_boxes
from .limits import MAX_ANNOTATIONS
from .remarks import Reading

_NAMED = 5  # images that an error names
_NO, _YES = ("", "0", "0.0", "false", "no"), ("1", "1.0", "true", "yes")


def layout_from_coco(
    instances: str | Mapping[str, Any],
    image: int | str | None = None,
    captions: str | Mapping[str, Any] | None = None,
    caption_index: int = 0,
    caption: str = "",
) -> Reading:
    """The layout of one image. Boxes without area in it are left out, with remarks.

    instances: JSON text of an instances file, or what it parses to. A region's text is the
        annotation's "caption", "text" or "description" if it has one, else its category's name, or
        supercategory where that has none.
        Crowds (iscrowd) are skipped: their boxes hold many things.
    image: id or file name; None when there is only one.
    captions: a captions file, whose caption number `caption_index` (from 0) of the image is used
        in place of `caption`.
    The layout's size is the nearest to the image's that is divisible by 8.

    Raises:
        ValueError: not a COCO file, no such image or caption, or an annotation that is not legal.
    """
    data = _coco(instances, "instances", ("images", "annotations"))
    entry = _find_image(data["images"], image)
    categories = _objects(data.get("categories", []), "categories")
    names = {_id(category, "id"): category_name(category) for category in categories}
    if captions is not None:
        caption = _caption(captions, entry, caption_index)
    boxes = [
        _box(annotation, names)
        for annotation in _objects(data["annotations"], "annotations")
        if annotation.get("image_id") == entry.get("id") and is_region(annotation)
    ]
    return layout_from_boxes(boxes, (), caption, entry.get("width", 0), entry.get("height", 0))


def is_region(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation is of one thing, not of a crowd.

    Raises ValueError when its iscrowd, which exporters also write as text, says neither.
    """
    told = annotation.get("iscrowd")
    if told is None or isinstance(told, bool | int | float) and told in (0, 1):
        return not told
    text = told.strip().lower() if isinstance(told, str) else None
    if text in _NO or text in _YES:
        return text in _NO
    raise ValueError(
        f"annotation {quote(annotation.get('id'))}: iscrowd = {quote(told)} must be 0 or 1"
    )


def category_name(category: Mapping[str, Any]) -> str | None:
    """What a category is called: its name, or without one what it is a kind of."""
    for key in ("name", "supercategory"):
        name = category.get(key)
        if isinstance(name, str) and name.strip() and (key == "name" or name.lower() != "none"):
            return name
    return None


def annotation_bbox(annotation: Mapping[str, Any]) -> list[Any]:
    """The four entries of an annotation's bbox, xywh in pixels, as stored.

    Raises ValueError, with the annotation's id, when it has no such four.
    """
    bbox = annotation.get("bbox")
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise ValueError(
            f"annotation {quote(annotation.get('id'))}: bbox must be four numbers [x, y, width, "
            f"height], got {quote(bbox)}"
        )
    return bbox


def own_text(annotation: Mapping[str, Any]) -> Any:
    """The words an annotation brings itself; None if only its category says what it is."""
    own = (annotation.get(key) for key in ("caption", "text", "description"))
    return next((text for text in own if text), None)


def _coco(source: str | Mapping[str, Any], kind: str, keys: Sequence[str]) -> Mapping[str, Any]:
    data = read_json(source, MAX_ANNOTATIONS) if isinstance(source, str) else source
    if not isinstance(data, Mapping) or not set(keys) <= data.keys():
        raise ValueError(
            f"this is not a COCO {kind} file: expected an object with {' and '.join(keys)}, "
            f"got {quote(data)}"
        )
    return data


def _objects(items: Any, name: str) -> list[Mapping[str, Any]]:
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise ValueError(f"COCO {name} must be a list of objects, got {quote(items)}")
    return items


def _find_image(images: Any, wanted: int | str | None) -> Mapping[str, Any]:
    images = _objects(images, "images")
    names = ", ".join(_name(image) for image in images[:_NAMED])
    there = f"there are {len(images)} ({names}{', ...' if len(images) > _NAMED else ''})"
    if wanted is None:
        if len(images) != 1:
            raise ValueError(f"choose an image by its id or file name: {there}")
        return images[0]
    for image in images:
        if str(wanted) in (str(image.get("file_name")), str(image.get("id"))):
            return image
    raise ValueError(f"no image has the id or file name {quote(wanted)}: {there}")


def _id(item: Mapping[str, Any], key: str) -> Any:
    value = item.get(key)
    if isinstance(value, list | dict):
        raise ValueError(f"COCO {key} must be a number or a text, got {quote(value)}")
    return value


def _name(image: Mapping[str, Any]) -> str:
    name = image.get("file_name") or image.get("id")
    return shorten(name) if isinstance(name, str) else quote(name)


def _box(annotation: Mapping[str, Any], names: Mapping[Any, Any]) -> dict[str, Any]:
    """The annotation as a bounding box that brings its text."""
    corners = annotation_bbox(annotation)
    text = own_text(annotation) or names.get(_id(annotation, "category_id"))
    return {**dict(zip(("x", "y", "width", "height"), corners, strict=True)), "label": text}


def _caption(
    captions: str | Mapping[str, Any], image: Mapping[str, Any], caption_index: int
) -> str:
    data = _coco(captions, "captions", ("annotations",))
    found = [
        annotation["caption"]
        for annotation in _objects(data["annotations"], "captions")
        if annotation.get("image_id") == image.get("id") and "caption" in annotation
    ]
    if not 0 <= caption_index < len(found):
        raise ValueError(
            f"there is no caption {caption_index} of image {quote(image.get('id'))}: the captions "
            f"file has {len(found)} for it, counted from 0"
        )
    return found[caption_index]
