"""Texts that are meant as a layout but are in no form of one: they must not pass as captions."""

from __future__ import annotations

import re

from .checks import place, quote
from .patterns import pattern

NUMBER = r"[-+]?(?:[0-9]{1,999}(?:\.[0-9]{0,999})?|\.[0-9]{1,999})(?:[eE][-+]?[0-9]{1,4})?"
"""A number as people and models write it. Its length is limited, as is every repetition here, so
that searching takes time in proportion to the text."""

# Digits of any script, with a decimal point or comma.
_COUNT = r"[-+]?(?:\d{1,999}(?:[.,]\d{1,999})?|\.\d{1,999})(?:\s?(?:px|%))?"
_FRACTION = r"(?:0?\.\d{1,20}|[01](?:\.0{0,20})?)"
_SPACE = r"\s{0,9}"
_NEXT = r"(?:\s{0,9}[,;，、；]\s{0,9}|\s{1,9})"
_GAP = r"[\s,;，、]{0,9}"
_OPEN, _CLOSE = r"[\[({<«‹〈《⟨【（［｛＜|]", r"[\])}>»›〉》⟩】）］｝＞|]"
_LESS, _MORE = r"(?:[<＜]|&lt;|&#60;|&#x3c;)", r"(?:[>＞]|&gt;|&#62;|&#x3e;)"
_LEFT, _TOP = (
    rf"\b(?:{names})['\"]?\s{{0,9}}[:=]\s{{0,9}}{_COUNT}"
    for names in (r"x|x_?[01]|x_?min|left", r"y|y_?[01]|y_?min|top")
)

_POSITION = "a position, which is written <546> in thousandths or <bin545>"
_BOX = "a box, which is written <546> <621> <885> <861> a text, or - a text: [0.5, 0.6, 0.9, 0.9]"
_TAG = "a box, which is written a text <bbox>[0.5, 0.6, 0.9, 0.9]</bbox>"
_JSON = 'JSON, which begins like {"caption": "...", "regions": [...]}'
_BARE = (
    'JSON without its braces, which begins like {"caption": "...", "regions": [...]}: a field that '
    "chooses from {a|b} takes them away, so paste it into ReCo Layout From Text"
)
# Names in the JSON of layouts.
_NAMES = (
    "caption|regions|text|box|bbox|bbox_2d|box_2d|label|desc|description|width|height|elements|objects"
    "|type|weight|color|version"
)

_FORMS = tuple(
    (pattern(written, re.IGNORECASE | re.MULTILINE), meant)
    for written, meant in (
        (rf"{_LESS}{_SPACE}(?:bin[\s_:.=-]{{0,9}})?{_COUNT}{_SPACE}{_MORE}", _POSITION),
        (rf"{_LESS}{_SPACE}bin[\s_:.=-]{{0,9}}\d", _POSITION),
        (rf"(?:{_OPEN}{_SPACE}{_COUNT}(?:{_SPACE}{_CLOSE})?{_GAP}){{4}}", _BOX),
        (rf"(?:<[a-z_|]{{1,16}}[\s_:=-]{{0,9}}{_COUNT}[\s|]{{0,9}}>{_GAP}){{4}}", _BOX),
        (rf"(?:\bbin[\s_-]?\d{{1,20}}{_GAP}){{4}}", _BOX),
        (rf"{_OPEN}{_SPACE}{_COUNT}(?:{_NEXT}{_COUNT}){{3,9}}[\s,]{{0,9}}{_CLOSE}", _BOX),
        (rf"[:：]{_SPACE}[\[(]{_SPACE}{_COUNT}(?:{_NEXT}{_COUNT}){{2,9}}{_SPACE}[\])]", _BOX),
        (rf"(?<![\d.])(?:0?\.\d{{1,20}}|[01]\.0{{0,20}})(?:{_NEXT}{_FRACTION}){{3}}", _BOX),
        (rf"[:：=]{_SPACE}{_COUNT}(?:{_NEXT}{_COUNT}){{3}}\s{{0,9}}$", _BOX),
        (rf"^{_SPACE}{_COUNT}(?:{_NEXT}{_COUNT}){{3}}{_SPACE}[:：]", _BOX),
        (rf"^{_SPACE}(?:\d{{2,4}}{_NEXT}){{4}}", _BOX),
        (rf"[:：]{_SPACE}\[(?=\D{{0,80}}\d)[^\[\],\n]{{1,20}}(?:,[^\[\],\n]{{1,20}}){{3}}\]", _BOX),
        (rf"{_LESS}{_SPACE}{_COUNT}(?:{_NEXT}{_COUNT}){{3}}", _BOX),
        (rf"(?:{_OPEN}{_SPACE}{_COUNT}{_NEXT}{_COUNT}{_SPACE}{_CLOSE}[\s,;:-]{{0,9}}){{2}}", _BOX),
        (rf"{_LEFT}{_GAP}{_TOP}|{_TOP}{_GAP}{_LEFT}", _BOX),
        (rf"{_LESS}[\s/|]{{0,9}}(?:bb?ox|bounding[ _-]?box)(?![a-z])", _TAG),
        (r"<\|?/?(?:box|object_ref)_(?:start|end)\|?>", _TAG),
        (
            r"""\{\s{0,9}(?:\\?["'“]|&quot;|&#34;)[^"'”&|{}]{1,80}(?:\\?["'”]|&quot;|&#34;)\s{0,9}:""",
            _JSON,
        ),
        (rf"""(?:\\?["“]|&quot;|&#34;)(?:{_NAMES})(?:\\?["”]|&quot;|&#34;)\s{{0,9}}:""", _BARE),
    )
)


def refuse_near_misses(text: str) -> None:
    """Raise ValueError, with the place and what is expected, for what looks like a layout.

    Texts that hold numbers and brackets without looking like one pass: <3, a < b, (red:1.2), [abc].
    """
    for form, meant in _FORMS:
        found = form.search(text)
        if found:
            raise ValueError(
                f"{quote(found.group().strip())} at {place(text, found.start())} looks like {meant}"
            )
