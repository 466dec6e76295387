"""Words from files: their names without the numbers of copies, or the text files beside them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reco_core.checks import quote

MAX_WORDS = 60
"""Characters of a wording."""
COPIES = 9
"""Number after a blank up to which it counts copies, however few pictures have the name."""
_NUMBERED = re.compile(r"(?P<name>.+?)(?P<blank> ?)(?P<bracket>\(?)(?<!\d)(?P<number>\d+)\)?")


def names_of(stems: Iterable[str]) -> dict[str, str]:
    """Files' names as words, without a copy's number: `Palm_tree-02` is a "palm tree".

    A number at the end is a copy's where it is no higher than there are pictures of that name, or
    in brackets, or, after a blank, up to COPIES or with a zero in front.
    """
    words = {stem: " ".join(re.sub(r"[_\-\s]+", " ", stem).split()).lower() for stem in stems}
    numbered = {stem: _NUMBERED.fullmatch(text) for stem, text in words.items()}
    names = {stem: found["name"] if found else words[stem] for stem, found in numbered.items()}
    pictures = Counter(names.values())
    return {
        stem: names[stem] if found and _is_copy(found, pictures[names[stem]]) else words[stem]
        for stem, found in numbered.items()
    }


def _is_copy(found: re.Match[str], pictures: int) -> bool:
    number = found["number"]
    after_blank = found["blank"] and (int(number) <= COPIES or number.startswith("0"))
    return bool(found["bracket"] or after_blank or int(number) <= pictures)


def words_beside(file: Path, names: Mapping[str, str]) -> tuple[str, ...]:
    """The wordings in the text file beside a picture, else its name; names: as names_of has them.

    Raises ValueError for words that cannot be used.
    """
    text = file.with_suffix(".txt")
    if text.is_file():
        words = lines_of(text, "write what the thing is called into it")
    else:
        words = (names[file.stem],)
    for word in words:
        check_words(word)
    return words


def lines_of(file: Path, hint: str) -> tuple[str, ...]:
    """The lines of a text file that are not empty. Raises ValueError, with the hint, for none."""
    lines = tuple(line.strip() for line in text_of(file, "text file").splitlines() if line.strip())
    if not lines:
        raise ValueError(f"{file.name} is empty: {hint}")
    return lines


def text_of(file: Path, what: str) -> str:
    """A small UTF-8 file. Raises ValueError that says what was to be read."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ValueError(f"cannot read the {what} {str(file)!r}: {error}") from None


def check_words(words: Any) -> None:
    """Raise ValueError for what cannot be told apart from a layout's own signs, or is no word."""
    if not isinstance(words, str) or not re.fullmatch(r"[^\W_]([^\W_]|[ '’.&-])*", words):
        raise ValueError(
            f"{quote(words)} cannot be a thing's words: use letters, digits, spaces, ' and -, in "
            "the file's name or in a text file beside it"
        )
    if not any(c.isalpha() for c in words) or len(words) > MAX_WORDS:
        raise ValueError(f"{quote(words)} cannot be a thing's words: 1 to {MAX_WORDS} letters")


def plural_of(words: str) -> str:
    """The regular English plural."""
    if re.search(r"(s|x|z|ch|sh)$", words):
        return f"{words}es"
    if re.search(r"[^aeiou]y$", words):
        return f"{words[:-1]}ies"
    return f"{words}s"
