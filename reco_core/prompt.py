"""The two written forms of a ReCo layout.

The authors' form counts in thousandths of the image, which are quantised afterwards:
    a park <546> <621> <885> <861> a horse <654> <512> <739> <779> a man
The form of the diffusers port names the bins themselves:
    a park <|endoftext|> <bin545> <bin620> <bin884> <bin860> <|startoftext|> a horse <|endoftext|>
"""

from __future__ import annotations

import re
from typing import Literal

from .checks import check_length, place, quote, shorten
from .layout import Box, Layout, Region, check_count
from .limits import MAX_PROMPT
from .near_misses import refuse_near_misses
from .patterns import pattern
from .position_tokens import DEFAULT_VOCABULARY, PositionVocabulary

PromptForm = Literal["authors", "diffusers"]

_THOUSANDTHS = 1000
_START, _END = "<|startoftext|>", "<|endoftext|>"
_NUMBER = r"([-+]?[0-9]+(?:\.[0-9]+)?)"
_ONE = rf"<(bin)?{_NUMBER}>"
_POSITION = pattern(_ONE)
_THOUSANDTH, _BIN = pattern(f"<{_NUMBER}>"), pattern(f"<bin{_NUMBER}>")
# With the one space on either side that separates it from the texts. Between two there may be
# white space, seen or unseen.
_POSITION_RUN = pattern(rf" ?{_ONE}(?:[\s\u200b\u2060\ufeff]*{_ONE})* ?")
_BRACKET = pattern(rf"\\.|[()\[\]{{}}]|{_ONE}", re.DOTALL)
_PARTNER = {"(": ")", "[": "]", "{": "}"}
_RESERVED = pattern(rf"{_ONE}|{re.escape(_START)}|{re.escape(_END)}")


def normalize_text(text: str) -> str:
    """What the authors do to a caption or region text before CLIP's tokenizer sees it.

    Prompt weights and `embedding:` names must be taken out first; this is for plain words.
    """
    text = text.lower().lstrip(",.!?*#:;~")
    text = text.replace("-", " ").replace("/", " ").replace("<person>", "person")
    return re.sub(r"\s+", " ", text).strip(" ")


def parse_prompt(
    text: str,
    vocabulary: PositionVocabulary = DEFAULT_VOCABULARY,
    width: int = 512,
    height: int = 512,
) -> Layout:
    """Read either written form, told apart by its position tokens; texts are kept as written.

    A prompt without position tokens is a layout that has a caption and no regions.

    Raises:
        ValueError: not four position tokens in a row, a box without a text, a number outside
            the image or the vocabulary, inverted corners, or the two forms mixed; brackets around
            regions, or what looks like a position or box in a form that is not read here.
    """
    check_length("the prompt", text, MAX_PROMPT)
    refuse_near_misses(_POSITION.sub(lambda token: "\0" * len(token.group()), text))
    _refuse_brackets(text)
    runs = list(_POSITION_RUN.finditer(text))
    check_count(len(runs))
    _check_one_form(text)
    ends = [run.start() for run in runs[1:]] + [len(text)]
    regions = tuple(
        _parse_region(run.group(), text[run.end() : end], vocabulary)
        for run, end in zip(runs, ends, strict=False)
    )
    caption = _unwrap(text[: runs[0].start()] if runs else text)
    return Layout(caption, regions, width, height)


def format_prompt(
    layout: Layout,
    form: PromptForm,
    vocabulary: PositionVocabulary = DEFAULT_VOCABULARY,
) -> str:
    """Write a layout so that `parse_prompt` leads to the same token ids.

    Boxes are written by their bins, not exactly; size and region weights have no place in either
    form.

    Raises:
        ValueError: an unknown form, a text that contains what would be read as a position token
            or marker or refused for its likeness, brackets that open in one text and close in
            another, or a vocabulary with more bins than the authors' form can name.
    """
    if form not in ("authors", "diffusers"):
        raise ValueError(f"prompt form {quote(form)} is unknown: use 'authors' or 'diffusers'")
    for text in (layout.caption, *(region.text for region in layout.regions)):
        _check_text(text)
    _refuse_brackets(" <0> ".join([layout.caption, *(region.text for region in layout.regions)]))
    if form == "authors":
        pieces = [f"{_thousandths(r.box, vocabulary)} {r.text}" for r in layout.regions]
        return " ".join([layout.caption, *pieces])
    pieces = [f"{_bins(r.box, vocabulary)} {_START} {r.text} {_END}" for r in layout.regions]
    return " ".join([f"{layout.caption} {_END}", *pieces])


def _check_one_form(text: str) -> None:
    authors, diffusers = _THOUSANDTH.search(text), _BIN.search(text)
    if authors and diffusers:
        raise ValueError(
            f"the prompt mixes {shorten(authors.group())} (thousandths of the image) with "
            f"{shorten(diffusers.group())} (bins): write all boxes in one form"
        )


def _refuse_brackets(text: str) -> None:
    """Raise ValueError for a pair of brackets around a position or more than one region.

    A bracket without its partner, as in a smiley, is a character like any other.
    """
    pieces = 0  # texts that positions have ended so far
    open_brackets: dict[str, list[tuple[int, int]]] = {")": [], "]": [], "}": []}
    for token in _BRACKET.finditer(text):
        found = token.group()
        if found in _PARTNER:
            open_brackets[_PARTNER[found]].append((token.start(), pieces))
        elif found not in open_brackets:
            pieces += found.startswith("<")
        elif open_brackets[found]:
            start, before = open_brackets[found].pop()
            if before != pieces:
                raise ValueError(
                    f"the bracket at {place(text, start)}, {quote(text[start : start + 40])}, "
                    f"closes at {place(text, token.start())}, after a position: put brackets into "
                    "the text of one region, <546> <621> <885> <861> (a text:1.4), or write \\( "
                    "and \\) for brackets as such"
                )


def _parse_region(run: str, text: str, vocabulary: PositionVocabulary) -> Region:
    count = run.count("<")
    if count != 4:
        raise ValueError(
            f"{quote(run.strip())} before {quote(text.strip(), 40)} has {count} position token(s): "
            "a box needs four in a row, x0 y0 x1 y1, and then a text"
        )
    tokens = _POSITION.finditer(run)
    try:
        return Region(_unwrap(text), Box(*(_coordinate(token, vocabulary) for token in tokens)))
    except ValueError as error:
        raise ValueError(f"in {quote((run + text).strip())}: {error}") from None


def _coordinate(token: re.Match[str], vocabulary: PositionVocabulary) -> float:
    is_bin, number, written = token[1], float(token[2]), shorten(token.group())
    if is_bin and not number.is_integer():
        raise ValueError(f"{written} is not a whole bin")
    if is_bin:
        return vocabulary.value(int(number))
    if "." in token[2] and 0 <= number <= 1:
        raise ValueError(
            f"{token.group()} is a fraction, but positions are thousandths of the image: write "
            f"<{round(number * _THOUSANDTHS)}>"
        )
    if not 0 <= number <= _THOUSANDTHS:
        raise ValueError(f"{written} is outside the image: thousandths go from 0 to 1000")
    return number / _THOUSANDTHS


def _unwrap(piece: str) -> str:
    """A caption or region text without the port's markers and the one space inside each."""
    stripped = piece.strip()
    if stripped.startswith(_START):
        piece = piece.lstrip().removeprefix(_START).removeprefix(" ")
    if stripped.endswith(_END):
        piece = piece.rstrip().removesuffix(_END).removesuffix(" ")
    if _START in piece or _END in piece:
        raise ValueError(
            f"{quote(stripped)} has {_START} or {_END} in the middle of a text: "
            "they belong around it"
        )
    return piece


def _check_text(text: str) -> None:
    found = _RESERVED.search(text)
    if found:
        raise ValueError(
            f"{quote(found.group())} in the text {quote(text)} would be read as a position or "
            "marker: take it out before writing a prompt"
        )
    refuse_near_misses(text)


def _thousandths(box: Box, vocabulary: PositionVocabulary) -> str:
    if vocabulary.num_bins > _THOUSANDTHS + 1:
        raise ValueError(
            f"{vocabulary.num_bins} bins cannot be named in thousandths (at most "
            f"{_THOUSANDTHS + 1}): use the 'diffusers' form"
        )
    centres = vocabulary.decode(vocabulary.encode(box)).to_pixels(_THOUSANDTHS, _THOUSANDTHS)
    return " ".join(f"<{round(v)}>" for v in centres)


def _bins(box: Box, vocabulary: PositionVocabulary) -> str:
    return " ".join(map(vocabulary.word, vocabulary.encode(box)))
