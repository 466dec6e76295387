"""What is left out of a set: the kinds of problems, each with what it costs and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from reco_core.checks import shorten

EXAMPLES = 3
"""Problems of a kind that are shown."""
_LINE = 500  # characters of a problem's name, or of its reason


@dataclass(frozen=True)
class Kind:
    """title: what it is, of many. loses: what is left out. remedy: what to do."""

    title: str
    loses: Literal["sample", "region", "file"]
    remedy: str
    of_image: bool = False
    """Whether the picture itself is what is wrong."""


KINDS = {
    "unreadable": Kind(
        "pictures that cannot be read",
        "sample",
        "save them anew as PNG or JPEG, or take them out of the set",
        of_image=True,
    ),
    "missing": Kind(
        "pictures that are not there",
        "sample",
        "put them into the set's folder, or correct path or the names in the annotations",
        of_image=True,
    ),
    "size": Kind(
        "pictures of another size than their entries say",
        "sample",
        "export the annotations from these pictures, or leave width and height out of the entries",
        of_image=True,
    ),
    "silent": Kind(
        "pictures that nothing is said of",
        "sample",
        "give them a caption, or boxes with texts",
    ),
    "entry": Kind(
        "samples whose words cannot be read",
        "sample",
        "correct the entries or files that are named, or remove them",
    ),
    "box": Kind(
        "boxes that are none",
        "region",
        "write the numbers as this kind of set has them (docs/training.md, Data)",
    ),
    "area": Kind(
        "boxes without area in their picture",
        "region",
        "remove them; where it is nearly all, they are in another unit, or in another order",
    ),
    "text": Kind(
        "regions without a usable text",
        "region",
        "give each annotation a text, or its category a name",
    ),
    "stray": Kind(
        "regions of pictures that the set does not know",
        "region",
        "export images and annotations together: an annotation's image_id is an image's id",
    ),
    "lonely": Kind(
        "files that no picture goes with",
        "file",
        "name files like their pictures, or remove them",
    ),
    "words": Kind(
        "captions that cannot be used",
        "file",
        "correct them, or make them anew for this set (python -m train data caption)",
    ),
    "shard": Kind(
        "shards that are missing, cut or damaged",
        "file",
        "write or fetch them anew: what follows in them is lost",
    ),
}
"""By the names that reports have."""


class Unusable(ValueError):
    """What cannot be used, and which kind of problem that is."""

    def __init__(self, message: str, kind: str):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Problem:
    """Something that is left out: the sample's or file's name, why, and its kind, of KINDS."""

    key: str
    reason: str
    kind: str = "entry"

    def __post_init__(self) -> None:
        # Names and texts come from files: half a character in one could not be printed.
        object.__setattr__(self, "key", shorten(self.key, _LINE))
        object.__setattr__(self, "reason", shorten(self.reason, _LINE))

    @classmethod
    def of(cls, key: str, error: Exception, kind: str = "entry") -> Problem:
        """The problem that an error tells of; kind: where the error does not know."""
        if isinstance(error, FileNotFoundError):
            kind = "missing"
        return cls(key, str(error), getattr(error, "kind", kind))

    @property
    def loses(self) -> str:
        return KINDS[self.kind].loses


def by_kind(problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    """Problems by their kinds, the most frequent first."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.kind, []).append(problem)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def counted(problems: Iterable[Problem]) -> str:
    """How much is left out: samples, those of them whose pictures are to blame, and regions."""
    problems = list(problems)
    lost = Counter(problem.loses for problem in problems)
    of_images = sum(KINDS[problem.kind].of_image for problem in problems)
    return (
        f"{lost['sample']} samples ({of_images} for their pictures), {lost['region']} regions and "
        f"{lost['file']} files"
    )


def problem_table(problems: Iterable[Problem]) -> Iterator[str]:
    """Lines for a person: of every kind its count, the first few, and what to do."""
    for kind, found in by_kind(problems).items():
        yield f"{len(found):9}  {KINDS[kind].title}"
        yield from (f"  {problem.key}: {problem.reason}" for problem in found[:EXAMPLES])
        if len(found) > EXAMPLES:
            yield f"  and {len(found) - EXAMPLES} more"
        yield f"  to do: {KINDS[kind].remedy}"


def check_losses(
    name: str, samples: int, regions: int, problems: Iterable[Problem], crowds: int = 0
) -> None:
    """Raise ValueError when nothing is left of a set, or none of the regions it has.

    name: of the set. samples, regions: that can be used. crowds: annotations that are no regions.
    """
    kinds = by_kind(problems)
    why = "; ".join(f"{len(found)} {KINDS[kind].title}" for kind, found in kinds.items())
    first = next(iter(kinds.values()), [None])[0]
    advice = f": {why}; the first is {first.key}: {first.reason}" if first else ""
    if not samples:
        raise ValueError(f"no sample of {name} can be used{advice}")
    lost = crowds + sum(len(x) for kind, x in kinds.items() if KINDS[kind].loses == "region")
    if lost and not regions:
        raise ValueError(
            f"none of the {lost} regions of {name} can be used{advice or ': all are crowds'}"
        )
