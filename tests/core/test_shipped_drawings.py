"""The drawings of the templates and blueprints that come with the pack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("example_workflows", "subgraphs")


def drawings_in(value: object) -> Iterator[dict]:
    """Every drawing that a workflow's JSON holds as a text, wherever it does."""
    if isinstance(value, str):
        found = json.loads(value) if value.startswith("{") and '"regions"' in value else {}
        yield from [found] if "regions" in found else []
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from drawings_in(each)


def test_every_color_is_left_to_what_texts_name():
    """One that was saved counts as chosen: "a red car" would be drawn in it."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.json"))]
    found = {path: list(drawings_in(json.loads(path.read_text("utf-8")))) for path in files}
    assert all(
        any(drawings for path, drawings in found.items() if path.parent.name == folder)
        for folder in FOLDERS
    )
    colored = [
        f"{path.name}: {region['text']}"
        for path, drawings in found.items()
        for drawing in drawings
        for region in drawing["regions"]
        if "color" in region
    ]
    assert colored == []
