"""Looks of ShapeSkills: what colours its words stand for.

A fine-tune of a checkpoint to another look knows the same words, things and places, and paints them
in other colours: what a style is to a photograph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """Colours of things and of grounds, by their words, which all looks have in this order."""

    colours: Mapping[str, RGB]
    grounds: Mapping[str, RGB]

    def palette(self) -> Iterator[tuple[str, RGB]]:
        """All words and their colours."""
        yield from self.colours.items()
        yield from self.grounds.items()


PLAIN = Look(
    colours={
        "red": (220, 40, 40),
        "green": (40, 170, 60),
        "blue": (40, 80, 220),
        "yellow": (240, 210, 40),
        "purple": (160, 50, 190),
        "cyan": (40, 200, 210),
    },
    grounds={"white": (245, 245, 245), "gray": (128, 128, 128), "black": (20, 20, 20)},
)
CHALK = Look(
    colours={
        "red": (255, 140, 130),
        "green": (150, 225, 140),
        "blue": (130, 165, 255),
        "yellow": (255, 240, 150),
        "purple": (225, 150, 245),
        "cyan": (150, 240, 240),
    },
    grounds={"white": (150, 110, 80), "gray": (70, 80, 110), "black": (60, 20, 50)},
)
NEGATIVE = Look(
    colours={
        "red": PLAIN.colours["cyan"],
        "green": PLAIN.colours["purple"],
        "blue": PLAIN.colours["yellow"],
        "yellow": PLAIN.colours["blue"],
        "purple": PLAIN.colours["green"],
        "cyan": PLAIN.colours["red"],
    },
    grounds={
        "white": PLAIN.grounds["black"],
        "gray": PLAIN.grounds["gray"],
        "black": PLAIN.grounds["white"],
    },
)
"""In colours of the plain look, which an autoencoder of that look can draw."""

LookName = Literal["plain", "chalk", "negative"]
LOOKS: dict[LookName, Look] = {"plain": PLAIN, "chalk": CHALK, "negative": NEGATIVE}
assert tuple(LOOKS) == get_args(LookName)
