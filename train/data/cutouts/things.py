"""Things cut out of their pictures: files with transparency, their words, and their tints.

A folder of pictures becomes things by their names (`palm_tree.png`, `dog 1.png`, `dog 2.png`), or
by a text file each (`x17.txt` beside `x17.png`: a wording a line). Pictures of one name are one
thing, with the wordings of all. A list (TOML) can say more:

    "red car" = { file = "1f697", words = ["car", "automobile"], colour = "red" }
    sun = { article = "the" }
    sheep = { plural = "sheep" }
"""

from __future__ import annotations

import colorsys
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from reco_core.checks import quote
from train.data.cutouts.file_words import check_words, names_of, plural_of, text_of, words_beside
from train.data.decode import check_file, decoding, eight_bits, is_picture, picture_suffixes
from train.data.files import folder_of
from train.data.problems import Problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TINTS: dict[str, tuple[int, int, int]] = {
    "red": (225, 45, 50),
    "orange": (250, 135, 30),
    "yellow": (250, 210, 50),
    "green": (60, 170, 70),
    "blue": (50, 120, 230),
    "purple": (140, 75, 205),
    "pink": (250, 140, 190),
}
"""Colours that things can be turned to, by their words."""
LARGEST = 512
"""Pixels along the longer side that are kept of a cutout."""
OPAQUE = 8
"""Alpha, of 255, from which on a pixel is part of a thing."""
HUE_SPAN = 70.0
"""Degrees around a thing's own hue that turn with it: a red car keeps its blue windows."""
HUE = 0.1
"""Difference of the highest and lowest channel, of 1, from which on a pixel has a hue."""
MIN_HUED = 0.02
"""Share of a thing's pixels that have a hue, below which there is nothing to turn."""


@dataclass(frozen=True)
class Thing:
    """What can be drawn under a name; variants are drawn evenly.

    files: one or more pictures with transparency. words: wordings without article, the usual one
    first. plural: of the usual one. article: before it; None: a or an, and it can be counted.
    colour: its own, by a word of TINTS, where it can be turned to the others.
    """

    name: str
    files: tuple[Path, ...]
    words: tuple[str, ...]
    plural: str = ""
    article: str | None = None
    colour: str = ""

    @property
    def counts(self) -> bool:
        """Whether one can say "two" of it."""
        return self.article is None


def read_things(path: str, list_file: str = "") -> tuple[tuple[Thing, ...], list[Problem]]:
    """The things of a folder, by name, and the pictures that are left out.

    list_file: TOML that says which pictures are things; empty: all are, by their names.

    Raises:
        ValueError: no such folder, nothing usable in it, or a list that cannot be followed.
    """
    folder = folder_of(path, "folder of pictures with transparency")
    if list_file:
        return tuple(_listed(folder, Path(list_file).expanduser())), []
    things: dict[str, Thing] = {}
    problems = []
    files = sorted(file for file in folder.iterdir() if is_picture(file.name))
    names = names_of(file.stem for file in files)
    for file in files:
        try:
            words = words_beside(file, names)
            check_cutout(file)
        except ValueError as error:
            problems.append(Problem.of(file.name, error, "unreadable"))
            continue
        known = things.get(words[0], Thing(words[0], (), (), plural_of(words[0])))
        united = tuple(dict.fromkeys((*known.words, *words)))
        things[words[0]] = replace(known, files=(*known.files, file), words=united)
    if not things:
        why = f"; {problems[0].key}: {problems[0].reason}" if problems else ""
        raise ValueError(f"no picture in {path!r} can be used as a thing{why}")
    return tuple(things.values()), problems


def _listed(folder: Path, list_file: Path) -> Iterator[Thing]:
    try:
        entries = tomllib.loads(text_of(list_file, "list of things"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"the list of things {str(list_file)!r} is not TOML: {error}") from None
    if not entries:
        raise ValueError(f"the list of things {str(list_file)!r} is empty")
    for name, entry in entries.items():
        try:
            yield _thing(folder, name, entry)
        except ValueError as error:
            raise ValueError(f"{name!r} in {str(list_file)!r}: {error}") from None


def _thing(folder: Path, name: str, entry: Any) -> Thing:
    known = {"file", *(f.name for f in fields(Thing))} - {"name", "files"}
    if not isinstance(entry, Mapping) or not set(entry) <= known:
        raise ValueError(f"is {quote(entry)}: give a table of {', '.join(sorted(known))}")
    words = tuple(entry.get("words", (name,)))
    for word in words:
        check_words(word)
    colour = entry.get("colour", "")
    if colour and colour not in TINTS:
        raise ValueError(f"colour = {colour!r}: choose from {', '.join(TINTS)}")
    file = _find(folder, entry.get("file", name))
    check_cutout(file)
    if colour:
        _check_hue(file, colour)
    plural = entry.get("plural", plural_of(words[0]))
    return Thing(name, (file,), words, plural, entry.get("article"), colour)


def _check_hue(file: Path, colour: str) -> None:
    """Raise ValueError when a picture is too gray for its tints to be seen."""
    data = np.asarray(_read(file), np.float32) / 255
    hued = np.ptp(data[..., :3], axis=-1) >= HUE
    share = float(np.average(hued, weights=data[..., 3]))
    if share < MIN_HUED:
        raise ValueError(
            f"colour = {colour!r}, but only {share:.1%} of {file.name} has a hue that can be "
            f"turned, less than {MIN_HUED:.0%}: leave colour out, or put a coloured picture there"
        )


def _find(folder: Path, stem: str) -> Path:
    for suffix in picture_suffixes():
        if (file := folder / f"{stem}{suffix}").is_file():
            return file
    raise ValueError(
        f"there is no {stem}.jpg, {stem}.png or the like in {str(folder)!r}: put the picture "
        "there, or take the thing out of the list"
    )


def check_cutout(file: Path) -> None:
    """Raise ValueError when a picture has no transparency, shows nothing, or cannot be read."""
    cutout_size(file)


@lru_cache(maxsize=100_000)
def cutout_size(file: Path) -> tuple[int, int]:
    """Width and height of what a file shows, in pixels of what is kept of it."""
    image = _read(file)
    return image.width, image.height


@lru_cache(maxsize=2_000)
def cutout(file: Path, colour: str = "", tint: str = "") -> Image.Image:
    """What a file shows, RGBA, cropped to it; of colour `colour`, turned to `tint`.

    Raises ValueError as check_cutout does.
    """
    image = _read(file)
    return turned(image, TINTS[tint]) if tint and tint != colour else image


@lru_cache(maxsize=2_000)
def _read(file: Path) -> Image.Image:
    try:
        check_file(file)
        with decoding(), Image.open(file) as opened:
            has_transparency = opened.has_transparency_data
            image = eight_bits(opened).convert("RGBA")
    except OSError as error:
        raise ValueError(str(error)) from None
    if not has_transparency:
        raise ValueError(
            "it has no transparency: cut the thing out (erase the ground around it) and save it "
            "as PNG or WebP with alpha"
        )
    shown = image.getchannel("A").point(lambda alpha: 255 * (alpha >= OPAQUE))
    box = shown.getbbox()
    if box is None:
        raise ValueError("it is empty: all of it is transparent")
    if box == (0, 0, *image.size) and shown.getextrema()[0] == 255:
        raise ValueError("nothing of it is transparent: cut the thing out first")
    image = image.crop(box)
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return image


def turned(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """An RGBA picture whose main hue is turned to a colour's, with its strength and lightness.

    Only pixels near the main hue turn; grays and other hues stay.
    """
    data = np.asarray(image, np.float32) / 255
    hue, strength, value = _hsv(data[..., :3])
    counts = data[..., 3] * strength * value
    direction = (counts * np.exp(1j * np.radians(hue))).sum()
    own = float(np.degrees(np.angle(direction)))
    distance = np.abs((hue - own + 180) % 360 - 180)
    share = np.clip((HUE_SPAN - distance) / (0.25 * HUE_SPAN), 0, 1) * np.clip(strength * 4, 0, 1)
    weights = counts * share + 1e-9
    wanted = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))
    new = _rgb(
        (wanted[0] * 360 + 0.35 * ((hue - own + 180) % 360 - 180)) % 360,
        np.clip(strength * wanted[1] / np.average(strength, weights=weights), 0, 1),
        np.clip(value * wanted[2] / np.average(value, weights=weights), 0, 1),
    )
    data[..., :3] += (new - data[..., :3]) * share[..., None]
    return Image.fromarray((data * 255).round().astype(np.uint8), "RGBA")


def _hsv(rgb: np.ndarray) -> Sequence[np.ndarray]:
    """(H, W, 3) in [0, 1] -> hue in degrees, saturation and value in [0, 1]."""
    high, low = rgb.max(-1), rgb.min(-1)
    span = np.maximum(high - low, 1e-6)
    red, green, blue = np.moveaxis(rgb, -1, 0)
    hue = np.where(
        high == red,
        (green - blue) / span % 6,
        np.where(high == green, (blue - red) / span + 2, (red - green) / span + 4),
    )
    return hue * 60, (high - low) / np.maximum(high, 1e-6), high


def _rgb(hue: np.ndarray, strength: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The inverse of _hsv."""

    def channel(offset: int) -> np.ndarray:
        k = (offset + hue / 60) % 6
        return value * (1 - strength * np.clip(np.minimum(k, 4 - k), 0, 1))

    return np.stack([channel(5), channel(3), channel(1)], -1)
