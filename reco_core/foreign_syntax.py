"""Prompt syntax of other programs, which CLIP would read as so many words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .patterns import pattern

_LONGEST = 200  # characters of one piece of syntax: bounds what a pattern looks ahead


@dataclass(frozen=True)
class Syntax:
    """name: for a message. remedy: the ComfyUI way, as a sentence."""

    name: str
    pattern: re.Pattern[str]
    remedy: str


def _syntax(name: str, written: str, remedy: str) -> Syntax:
    return Syntax(name, pattern(written.replace("*", f"{{0,{_LONGEST}}}")), remedy)


# `*` in a pattern stands for at most _LONGEST, so that all of them are linear in the text.
_KNOWN = (
    _syntax(
        "a LoRA tag",
        r"<(?:lora|lyco|hypernet|loha|lokr):[^<>]*>",
        "Load it with Load LoRA, between the checkpoint and the encoder.",
    ),
    _syntax(
        "a scheduled or alternating word",
        r"\[[^\[\]]*(?::[^\[\]]*:?\s?[0-9.]+%?|\|[^\[\]]*)\]",
        "Encode each wording by itself and limit it with Conditioning Set Timestep Range.",
    ),
    _syntax(
        "a wildcard",
        r"__[A-Za-z0-9/.\-][A-Za-z0-9_/.\-]*__",
        "Write the words, or {a|b} in a field that chooses.",
    ),
    _syntax(
        "a choice",
        r"\{[^{}]*\|[^{}]*\}",
        "It is not chosen from in this field: choose in ReCo Add Region, in the layout editor or "
        "in a text node before this one.",
    ),
    _syntax(
        "a keyword of another prompt language",
        r"\b(?:BREAK|AND|AND_PERP|AND_SALT|ADDCOL|ADDROW|ADDCOMM|ADDBASE|COUPLE)\b"
        r"|\b(?:AREA|MASK|IMASK|FEATHER|STYLE|SHUFFLE|SHIFT|NOISE|TE_WEIGHT|COUPLE|FILL)\("
        r"|\.(?:and|blend|swap|or)\(",
        "Regions are boxes here: give each its own, or join encoded texts with Conditioning "
        "Combine or Conditioning Concat.",
    ),
    _syntax(
        "an option of a command line",
        r"(?:^|(?<=\s))--[a-z][a-z]*\b",
        "Set it on the node that has it, such as the layout's width and height.",
    ),
    _syntax(
        "a weight of another program",
        r"(?<=[\w)\"'][\w)\"'])(?:\+\+*|::-?[0-9.]+)(?=[\s,.)]|$)|\{\{[^{}]*\}\}|\[\[[^\[\]]*\]\]",
        "Write (words:1.2).",
    ),
    _syntax(
        "a position or marker inside a text",
        r"<(?:bin)?[0-9]{1,4}>|<\|[a-z]{1,20}\|>",
        "Take it out: a region's place is its box.",
    ),
    _syntax(
        "an embedding that is not read",
        r"(?i:(?<=[^\s(])embedding:|(?<!\S)\(*(?!(?-i:embedding:))embedding\s?:)[^\s,()]*"
        r"|<(?!person>)[A-Za-z][\w\-]*>",
        "Write embedding:name, in lower case and after a space.",
    ),
)


def foreign_syntax(text: str) -> Iterator[tuple[str, Syntax]]:
    """What in a text belongs to another program: (the piece as written, what it is).

    A piece is named once, by the first kind that knows it.
    """
    taken: set[int] = set()  # places in the text
    for syntax in _KNOWN:
        for match in syntax.pattern.finditer(text):
            if taken.isdisjoint(places := range(*match.span())):
                taken.update(places)
                yield match.group(), syntax
