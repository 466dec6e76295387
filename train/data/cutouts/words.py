"""What is said of cutouts: captions in several wordings, and the texts of regions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from train.data.cutouts.file_words import plural_of
from train.data.cutouts.things import TINTS, Thing

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
CAPTIONS = (
    "{things} {where}",
    "{where}, {things}",
    "a picture of {things} {where}",
    "{things} {where}",
    "{things}",
    "{where}",
)
"""Forms of a caption. The first is always among a picture's own."""
WORDINGS = 3
"""Captions of a picture."""

Named = tuple[Thing, str]
"""A thing and the colour word that is said of it, or none."""


def region_text(rng: np.random.Generator, thing: Thing, tint: str) -> str:
    """One way to name a thing: its words, with its colour where it has another than its own."""
    words = thing.words[rng.integers(len(thing.words))]
    if tint and (tint != thing.colour or rng.random() < 0.5):
        words = f"{tint} {words}"
    return with_article(words, thing.article) if rng.random() < 0.5 else words


def captions(rng: np.random.Generator, things: Sequence[Named], where: Sequence[str]) -> list[str]:
    """WORDINGS captions of things, in the order given; where: WORDINGS ways to say the place."""
    forms = [CAPTIONS[0], *rng.choice(CAPTIONS[1:], WORDINGS - 1, replace=False)]
    return [
        form.format(things=listing(rng, things), where=place)
        for form, place in zip(forms, where, strict=True)
    ]


def listing(rng: np.random.Generator, things: Sequence[Named]) -> str:
    """ "a dog, two red cars and the sun": equal things are counted."""
    phrases = [_phrase(rng, *named, count) for named, count in Counter(things).items()]
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]] if phrases[1:] else phrases)


def _phrase(rng: np.random.Generator, thing: Thing, tint: str, count: int) -> str:
    colour = f"{tint} " if tint and (tint != thing.colour or rng.random() < 0.5) else ""
    if count > 1:
        return f"{NUMBERS[count]} {colour}{thing.plural or plural_of(thing.words[0])}"
    words = thing.words[rng.integers(len(thing.words))]
    return with_article(f"{colour}{words}", thing.article)


def with_article(words: str, article: str | None) -> str:
    """The words after their article; None: a or an, by the first letter."""
    if article is None:
        article = "an" if words[0].lower() in "aeiou" else "a"
    return f"{article} {words}".strip()


def known_words(things: Sequence[Thing], wheres: Sequence[str], most: int) -> tuple[str, ...]:
    """Every word that captions and region texts can have, sorted and in lower case.

    wheres: all ways to say where things are. most: things in a picture.
    """
    told = [*CAPTIONS, *wheres, "a an and", *NUMBERS[2 : most + 1]]
    for thing in things:
        told += [*thing.words, thing.article or ""]
        told += [thing.plural or plural_of(thing.words[0])] if thing.counts else []
    if any(thing.colour for thing in things):
        told += TINTS
    signs = str.maketrans("", "", ",{}")
    words = {word for text in told for word in text.translate(signs).lower().split()}
    return tuple(sorted(words - {"things", "where"}))
