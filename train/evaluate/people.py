"""A page for people: blind pairs of pictures, two checkpoints drawing the same layouts.

One HTML file holds everything. Neither the checkpoints' names nor which side is whose are in it:
that is in a key beside it, which stays with whoever runs the study. docs/people.md tells how.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import warnings
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from reco_core.atomic import write_atomically, write_text_atomically
from reco_core.draw import region_color
from reco_core.layout import Layout
from train.evaluate.people_page.bundle import fill_page
from train.evaluate.suite import Case, Pictures

QUESTIONS = {
    "count": ("Count right?", "As many things of each kind as the words ask for"),
    "relation": ("Relation right?", "Things lie to one another as the layout shows"),
    "attributes": ("Attributes right?", "Each thing has its own colour, shape, material ..."),
}
"""What is asked of each picture, yes or no, and what counts as yes: the subjects of the paper's
user study. Which picture is better is asked of every pair beside these."""
LARGEST_PAGE = 50_000_000
"""Bytes above which browsers and mail become slow with a page."""


def write_people_page(
    path: Path,
    cases: Sequence[Case],
    first: Pictures,
    second: Pictures,
    *,
    names: tuple[str, str],
    seed: int = 0,
) -> Path:
    """Write a page of blind pairs to path and its key beside it; returns path.

    names: of the checkpoints that drew first and second; they are in the key alone.
    seed: of the order of the pairs and of the sides. Each checkpoint is left in half of the pairs,
    so that a liking for one side cancels.

    The same arguments make the same bytes. A key of another study in the key's place is renamed,
    never lost. A page of more than LARGEST_PAGE bytes is written with a warning.

    Raises:
        ValueError: there is no case, or the names are empty or equal.
    """
    if not cases:
        raise ValueError("there is no case to show to people: give at least one layout")
    if not all(name.strip() for name in names) or names[0] == names[1]:
        raise ValueError(f"names = {names!r} of the two checkpoints must differ and not be empty")
    chance = random.Random(seed)
    order = chance.sample(cases, len(cases))
    lefts = chance.sample([number % 2 for number in range(len(order))], len(order))
    pairs, key = [], []
    for case, left in zip(tqdm(order, desc="pairs", unit="pair"), lefts, strict=True):
        drawn = first(case), second(case)
        pairs.append(_pair(case.layout, drawn[left], drawn[1 - left]))
        sides = {"left": names[left], "right": names[1 - left]}
        key.append({"case": case.name, **sides, "questions": questions_of(case.layout)})
    study = {"questions": _questions(), "pairs": pairs}
    # Of what is shown alone: made of the names, it would let a guess at them be checked.
    page = hashlib.sha256(json.dumps(study).encode()).hexdigest()[:16]
    html = fill_page({"page": page, **study}).encode()
    if len(html) > LARGEST_PAGE:
        warnings.warn(
            f"{path} has {len(html) / 1e6:.1f} MB in {len(pairs)} pairs, which is slow to open and "
            f"to send: --layouts {LARGEST_PAGE * len(pairs) // len(html) or 1} makes about "
            f"{LARGEST_PAGE / 1e6:.0f} MB",
            stacklevel=2,
        )
    # The key first: a page without one is worth nothing.
    _write_key(key_path(path), {"page": page, "names": list(names), "pairs": key})
    write_atomically(path, lambda temporary: temporary.write_bytes(html))
    return path


def key_path(page: Path) -> Path:
    """Where the key of a page is: people_key.json beside people.html."""
    return page.with_name(f"{page.stem}_key.json")


def questions_of(layout: Layout) -> tuple[str, ...]:
    """What is asked about a layout. A relation takes two regions at least."""
    return tuple(name for name in QUESTIONS if name != "relation" or len(layout.regions) >= 2)


def _pair(layout: Layout, left: Image.Image, right: Image.Image) -> dict[str, Any]:
    return {
        "caption": layout.caption,
        "width": layout.width,
        "height": layout.height,
        "regions": [
            {
                "text": region.text,
                "box": [region.box.x0, region.box.y0, region.box.x1, region.box.y1],
                "color": region.color or region_color(index),
            }
            for index, region in enumerate(layout.regions)
        ],
        "questions": questions_of(layout),
        "left": _png(left),
        "right": _png(right),
    }


def _questions() -> list[dict[str, str]]:
    return [
        {"name": name, "text": text, "help": help_} for name, (text, help_) in QUESTIONS.items()
    ]


def _png(image: Image.Image) -> str:
    """The bare pixels as a PNG file, base64: what else a picture carries may tell who drew it."""
    image = image.convert("RGB")
    bare = Image.frombytes("RGB", image.size, image.tobytes())
    file = io.BytesIO()
    bare.save(file, "PNG")
    return b64encode(file.getvalue()).decode()


def _write_key(path: Path, key: dict[str, Any]) -> None:
    text = json.dumps(key, indent=1, ensure_ascii=False)
    if path.exists() and path.read_text("utf-8") != text:
        os.replace(path, _free_name(path))
    write_text_atomically(path, text)


def _free_name(path: Path) -> Path:
    """people_key.old-1.json, or the next number that is free."""
    number = 1
    while (free := path.with_name(f"{path.stem}.old-{number}{path.suffix}")).exists():
        number += 1
    return free
