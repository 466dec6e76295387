"""What cutouts are drawn on: plain grounds, land or sea under a sky, and given pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from reco_core.checks import quote
from train.data.cutouts.file_words import check_words, lines_of, names_of
from train.data.decode import UNREADABLE, PictureFile, is_picture
from train.data.files import folder_of
from train.data.problems import Problem

Colour = tuple[int, int, int]

PLAIN: dict[str, Colour] = {
    "white": (245, 245, 245),
    "gray": (150, 150, 150),
    "black": (25, 25, 28),
    "pink": (250, 205, 215),
    "yellow": (250, 228, 150),
    "light blue": (190, 220, 245),
}
LAND: dict[str, tuple[Colour, Colour]] = {
    "grass": ((120, 190, 80), (70, 145, 55)),
    "sand": ((240, 215, 160), (220, 185, 120)),
    "snow": ((250, 252, 255), (215, 228, 242)),
    "sea": ((70, 150, 200), (25, 90, 150)),
}
"""Colours at the horizon and at the lower edge."""
SKIES: dict[str, tuple[Colour, Colour]] = {
    "day": ((75, 155, 235), (190, 225, 250)),
    "cloudy": ((150, 160, 172), (208, 213, 220)),
    "sunset": ((90, 80, 150), (250, 170, 100)),
    "night": ((8, 12, 38), (38, 48, 98)),
}
"""Colours at the upper edge and at the horizon."""
LIGHT: dict[str, Colour] = {
    "day": (255, 255, 255),
    "cloudy": (225, 228, 232),
    "sunset": (240, 190, 165),
    "night": (75, 85, 135),
}
"""What a sky leaves of the land's colours, of 255."""

ON_PLAIN = ("on a {} background", "on {}", "on a plain {} ground")
ON_LAND: dict[str, tuple[str, ...]] = {
    "grass": ("on grass", "on the grass", "on a green meadow"),
    "sand": ("on sand", "on the sand", "on a beach"),
    "snow": ("in the snow", "on snow", "on snowy ground"),
    "sea": ("on the sea", "on the water", "at sea"),
}
UNDER_SKY: dict[str, tuple[str, ...]] = {
    "day": ("under a blue sky", "on a sunny day", ""),
    "cloudy": ("under a gray sky", "on a cloudy day"),
    "sunset": ("at sunset", "in the evening"),
    "night": ("at night", "under a dark sky"),
}
GroundKind = Literal["plain", "land"]
HILL = 0.03
"""Height of hills, as a fraction of the picture's."""


@dataclass(frozen=True)
class Ground:
    """One ground as it is drawn.

    name: what pairs are told by (a plain colour, a land, a picture's words). sky: of a land.
    file: of a given picture. draws: numbers in [0, 1) that decide what is left to chance.
    """

    name: str
    sky: str = ""
    file: Path | None = None
    draws: tuple[float, ...] = ()

    @property
    def is_plain(self) -> bool:
        return not self.sky and self.file is None


@dataclass(frozen=True)
class GivenGround:
    """A picture to draw on, and where it says things are ("in a kitchen")."""

    file: Path
    wheres: tuple[str, ...]


def read_grounds(path: str) -> tuple[tuple[GivenGround, ...], list[Problem]]:
    """The pictures of a folder; a text file beside one says where things on it are, a line each.

    path: empty for none. Raises ValueError when there is no such folder or nothing usable in it.
    """
    if not path:
        return (), []
    folder = folder_of(path, "folder of grounds")
    found, problems = [], []
    files = sorted(file for file in folder.iterdir() if is_picture(file.name))
    names = names_of(file.stem for file in files)
    for file in files:
        try:
            _given(file)
            found.append(GivenGround(file, _wheres(file, names)))
        except UNREADABLE as error:
            reason = f"the ground cannot be used: {error}"
            problems.append(Problem(file.name, reason, "unreadable"))
    if not found:
        raise ValueError(f"no picture in {path!r} can be used as a ground")
    return tuple(found), problems


def _wheres(file: Path, names: Mapping[str, str]) -> tuple[str, ...]:
    text = file.with_suffix(".txt")
    if text.is_file():
        wheres = lines_of(text, 'write where things on it are, as "in a kitchen"')
    else:
        name = names[file.stem]
        check_words(name)
        wheres = (f"in front of {'an' if name[0] in 'aeiou' else 'a'} {name}",)
    for where in wheres:
        if any(sign in where for sign in "<>[]{}|"):
            raise ValueError(
                f"{quote(where)} holds signs of a layout's own grammar: leave them out"
            )
    return wheres


def draw_ground(
    rng: np.random.Generator, kinds: tuple[GroundKind, ...], given: tuple[GivenGround, ...]
) -> Ground:
    """Any ground: of the kinds, and of the given pictures as of one kind more, drawn evenly."""
    chosen = int(rng.integers(len(kinds) + bool(given)))
    draws = tuple(rng.random(8).tolist())
    if chosen == len(kinds):
        picked = given[rng.integers(len(given))]
        return Ground(picked.wheres[0], file=picked.file, draws=draws)
    if kinds[chosen] == "plain":
        return Ground(_pick(rng, PLAIN), draws=draws)
    return Ground(_pick(rng, LAND), _pick(rng, SKIES), draws=draws)


def ground_names(kinds: tuple[GroundKind, ...], given: tuple[GivenGround, ...]) -> tuple[str, ...]:
    """Every name that draw_ground can give."""
    names = [*(PLAIN if "plain" in kinds else ()), *(LAND if "land" in kinds else ())]
    return (*names, *(one.wheres[0] for one in given))


def where_words(
    rng: np.random.Generator, ground: Ground, given: tuple[GivenGround, ...] = ()
) -> str:
    """One way to say where things on a ground are."""
    if ground.file is not None:
        wheres = next(one.wheres for one in given if one.file == ground.file)
        return wheres[rng.integers(len(wheres))]
    if ground.is_plain:
        return ON_PLAIN[rng.integers(len(ON_PLAIN))].format(ground.name)
    land, sky = ON_LAND[ground.name], UNDER_SKY[ground.sky]
    return f"{land[rng.integers(len(land))]} {sky[rng.integers(len(sky))]}".strip()


def all_wheres(kinds: tuple[GroundKind, ...], given: tuple[GivenGround, ...]) -> list[str]:
    """What where_words puts together."""
    said = [where for one in given for where in one.wheres]
    if "plain" in kinds:
        said += [form.format(name) for form in ON_PLAIN for name in PLAIN]
    if "land" in kinds:
        said += [where for wheres in (*ON_LAND.values(), *UNDER_SKY.values()) for where in wheres]
    return said


def paint_ground(ground: Ground, size: tuple[int, int]) -> Image.Image:
    """A ground of (width, height) pixels, RGB."""
    if ground.file is not None:
        return _crop_of(_given(ground.file), size, ground.draws)
    if ground.is_plain:
        return Image.new("RGB", size, PLAIN[ground.name])
    width, height = size
    x = np.arange(width, dtype=np.float32) / width
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    level, shift, wave = ground.draws[:3]
    hill = 0.0 if ground.name == "sea" else HILL
    horizon = 0.35 + 0.35 * level + hill * np.sin(2 * np.pi * (shift + (0.5 + wave) * x))[None]
    sky = _between(*SKIES[ground.sky], y / horizon)
    land = _between(*LAND[ground.name], (y - horizon) / (1 - horizon))
    land *= np.array(LIGHT[ground.sky], np.float32) / 255
    share = np.clip((y - horizon) * height + 0.5, 0, 1)[..., None]
    return Image.fromarray((sky + (land - sky) * share).round().astype(np.uint8), "RGB")


def _between(first: Colour, last: Colour, share: np.ndarray) -> np.ndarray:
    start, stop = np.array(first, np.float32), np.array(last, np.float32)
    return start + (stop - start) * np.clip(share, 0, 1)[..., None]


def _crop_of(image: Image.Image, size: tuple[int, int], draws: tuple[float, ...]) -> Image.Image:
    """A part of a given ground, of any place and of two thirds of its size or more."""
    scale = min(image.width / size[0], image.height / size[1]) * (2 / 3 + draws[0] / 3)
    width, height = size[0] * scale, size[1] * scale
    left, top = draws[1] * (image.width - width), draws[2] * (image.height - height)
    seen = image.resize(size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    return ImageOps.mirror(seen) if draws[3] < 0.5 else seen


@lru_cache(maxsize=500)
def _given(file: Path) -> Image.Image:
    image = PictureFile(file)()
    image.thumbnail((1024, 1024), Image.Resampling.LANCZOS)
    return image


def _pick(rng: np.random.Generator, names: Iterable[str]) -> str:
    choices = list(names)
    return choices[rng.integers(len(choices))]
