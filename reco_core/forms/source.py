"""From a pasted text to what is to be read in it: without fences, prose and unseen characters."""

from __future__ import annotations

import json
import re
from typing import Any

from ..checks import check_characters, check_length, pixel_side, place, quote, read_json
from ..layout import check_count
from ..limits import MAX_DOCUMENT, MAX_PROMPT
from ..patterns import pattern
from ..position_tokens import PositionVocabulary
from ..remarks import Remark
from .form import Source
from .loose_json import read_loose_json
from .numbers import convention_said

_THOUGHT = "</think>"  # ends what some models write before they answer
_UNSEEN = "\ufeff\u200b\u2060"
_FENCE = pattern(r"^[ \t]{0,9}(```+|~~~+)[^\n`]*$", re.MULTILINE)
# An object: a name in quotes follows, but not as in the choice {"a"|"b"}; or one without quotes.
_OBJECT = pattern(
    r"""\{\s{0,999}(?:["'“][\w \-]{1,60}(?:["'”]\s{0,999}(?![|}\s])|$)"""
    r"""|[A-Za-z_]\w{0,40}\s{0,9}:\s{0,9}["'“\[{])"""
)
_ONLY_CONVENTION = pattern(
    r"\W{0,9}box(?:es)? in (?:pixels|thousandths|fractions)(?: of \d{1,5} ?[x×] ?\d{1,5})?"
    r"(?:,? [xy] first)?\W{0,9}",
    re.IGNORECASE,
)


def open_text(text: Any, width: int, height: int, vocabulary: PositionVocabulary) -> Source:
    """What a text holds, before it is known in which form.

    Raises:
        ValueError: not a text, too long, one that cannot be encoded, several code blocks or
            several JSON values, or JSON that is broken; or a size that is none.
    """
    _check(text)
    width, height = pixel_side("width", width), pixel_side("height", height)
    thoughts, _, answer = text.strip(_UNSEEN).rpartition(_THOUGHT)
    inner, before, after = _without_fence(answer)
    data, around = _find_json(inner)
    if data is None:
        check_length("the text", inner, MAX_PROMPT)
    words = "\n".join((thoughts, before, around, after))
    said = convention_said(words)
    return Source(inner, data, said, _remarks(words), width, height, vocabulary)


def _check(text: Any) -> None:
    if not isinstance(text, str):
        raise ValueError(f"{quote(text)} is not a text")
    check_length("the text", text, MAX_DOCUMENT)
    check_characters("the text", text)


def _without_fence(text: str) -> tuple[str, str, str]:
    """What is inside a text's code block, before and after it; all of it when it has none."""
    fences = list(_FENCE.finditer(text))
    if not fences:
        return text, "", ""
    if len(fences) > 2:
        raise ValueError(
            f"the text has several code blocks, at {place(text, fences[0].start())} and "
            f"{place(text, fences[2].start())}: give the one that is the layout"
        )
    end = fences[1] if len(fences) == 2 else None
    inner = text[fences[0].end() : end.start() if end else len(text)].strip()
    return inner, text[: fences[0].start()], text[end.end() :] if end else ""


def _find_json(text: str) -> tuple[Any, str]:
    """The object or list in a text, None without one, and the words around it."""
    stripped = text.strip()
    if stripped[:1] in ("{", "[") and _is_json(stripped):
        return read_json(stripped), ""
    start = _json_start(text, 0)
    if start is None:
        return None, ""
    values, words, end = [], [text[:start]], start
    while start is not None:
        value, end = read_loose_json(text, start)
        values.append(value)
        check_count(len(values))
        start = _json_start(text, end)
        words.append(text[end:start])
    if len(values) == 1:
        return values[0], "\n".join(words)
    if all(isinstance(value, dict) for value in values) and not any(
        between.strip(" \t\r\n,;-*•") for between in words[1:-1]
    ):
        return values, "\n".join((words[0], words[-1]))
    raise ValueError(
        f"the text holds {len(values)} JSON values, such as {quote(values[0])} and "
        f"{quote(values[1])}: give the one that is the layout"
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    except (ValueError, RecursionError):
        return text[:1] == "{"  # read again for the message
    return True


def _json_start(text: str, start: int) -> int | None:
    """Where the next JSON object begins, or the lists around it."""
    found = _OBJECT.search(text, start)
    if found is None:
        return None
    first = at = found.start()
    while at > start and (text[at - 1] == "[" or text[at - 1].isspace()):
        at -= 1
        if text[at] == "[":
            first = at
    return first


def _remarks(words: str) -> tuple[Remark, ...]:
    said = " ".join(words.replace("`", " ").split())
    if not said or _only_says_convention(said):
        return ()
    message = f"The words around the layout are left out: {quote(said)}."
    return (Remark("left out", f"{message} Put into its caption what the picture should show."),)


def _only_says_convention(words: str) -> bool:
    return _ONLY_CONVENTION.fullmatch(words) is not None
