"""What people said about pairs: the key of a page and the files that raters saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reco_core.checks import quote
from train.data.files import read_json_file
from train.evaluate.people import QUESTIONS

TIE = "tie"


@dataclass(frozen=True)
class KeyPair:
    """One pair of a page: its case, which checkpoint is where, and what is asked."""

    case: str
    left: str
    right: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """What a page does not tell; names: of the two checkpoints, first and second."""

    page: str
    names: tuple[str, str]
    pairs: tuple[KeyPair, ...]


@dataclass(frozen=True)
class Answer:
    """What one rater said about one pair, by checkpoint: what was left and right is undone.

    right: question to (first is right, second is right), for questions answered on both sides.
    half: questions that were answered on one side only.
    better: 0 the first checkpoint, 1 the second, TIE, or None when not answered.
    left: the checkpoint that was on the left, 0 or 1.
    """

    rater: str
    pair: int
    right: Mapping[str, tuple[bool, bool]]
    half: tuple[str, ...]
    better: int | str | None
    left: int
    seconds: float


@dataclass(frozen=True)
class Answers:
    """All that one rater saved."""

    rater: str
    given: tuple[Answer, ...]


def read_key(path: Path) -> Key:
    """The key that was written beside a page. Raises ValueError when it is none."""
    data = read_json_file(path, "key of the pairs")
    try:
        first, second = data["names"]
        pairs = tuple(
            KeyPair(pair["case"], pair["left"], pair["right"], tuple(pair["questions"]))
            for pair in data["pairs"]
        )
        key = Key(str(data["page"]), (first, second), pairs)
        if not pairs or any({pair.left, pair.right} != {first, second} for pair in pairs):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{str(path)!r} is no key of pairs: give the people_key.json that was written beside "
            "the page"
        ) from None
    return key


def read_answers(paths: Sequence[Path], key: Key) -> list[Answers]:
    """Every rater's answers, in the order of the files.

    Raises ValueError, naming the file and what to do, for one that is broken or of another page,
    and for two files of one rater.
    """
    read: dict[str, Path] = {}
    answers = []
    for path in paths:
        one = _read_file(path, key)
        name = one.rater.casefold()
        if name in read:
            raise ValueError(
                f"{str(read[name])!r} and {str(path)!r} are both of rater {one.rater!r}: give only "
                "the newer one, or change the rater in one of them when they are two people"
            )
        read[name] = path
        answers.append(one)
    return answers


def _read_file(path: Path, key: Key) -> Answers:
    data = read_json_file(path, "answers")
    try:
        page, rater, given = data["page"], data["rater"].strip(), data["answers"]
    except (KeyError, TypeError, AttributeError):
        raise ValueError(
            f"{str(path)!r} holds no answers: it needs page, rater and answers; give a file that "
            "the page saved"
        ) from None
    if page != key.page:
        raise ValueError(
            f"{str(path)!r} answers page {page!r}, but the key is of page {key.page!r}: tally it "
            "with the key that was written beside its own page"
        )
    if not rater or not isinstance(given, list):
        raise ValueError(
            f"{str(path)!r} is broken: it needs the rater's name and a list of answers; ask for "
            "the file as the page saved it"
        )
    answers: dict[int, Answer] = {}
    for item in given:
        try:
            answer = _answer(item, rater, key)
            if answer.pair in answers:
                raise ValueError(f"pair {answer.pair} is answered twice")
        except ValueError as error:
            raise ValueError(
                f"{str(path)!r}: {error}; ask {rater!r} for the file as the page saved it"
            ) from None
        answers[answer.pair] = answer
    return Answers(rater, tuple(answers.values()))


def _answer(item: Any, rater: str, key: Key) -> Answer:
    """One entry of a file. Raises ValueError that says what is wrong."""
    if not isinstance(item, dict):
        raise ValueError(f"{quote(item)} is no answer to a pair")
    pair, seconds = item.get("pair"), item.get("seconds", 0)
    if type(pair) is not int or not 0 <= pair < len(key.pairs):
        raise ValueError(f"pair {pair!r} is unknown: the page has pairs 0 to {len(key.pairs) - 1}")
    if type(seconds) not in (int, float) or not seconds >= 0:
        raise ValueError(f"seconds = {seconds!r} of pair {pair} is no time")
    left = key.names.index(key.pairs[pair].left)
    right, half = {}, []
    for question in QUESTIONS:
        sides = _sides(item.get(question), question, pair)
        given = [side for side in sides if side is not None]
        if given and question not in key.pairs[pair].questions:
            raise ValueError(f"pair {pair} has an answer to {question!r}, which it was not asked")
        if len(given) == 2:
            right[question] = (given[left], given[1 - left])
        elif given:
            half.append(question)
    better = _better(item.get("better"), pair, left)
    return Answer(rater, pair, right, tuple(half), better, left, seconds)


def _sides(value: Any, question: str, pair: int) -> tuple[bool | None, bool | None]:
    if value is None:
        return None, None
    if isinstance(value, dict):
        left, right = value.get("left"), value.get("right")
        if all(side is None or isinstance(side, bool) for side in (left, right)):
            return left, right
    raise ValueError(f'{question} = {quote(value)} of pair {pair} is not {{"left", "right"}}')


def _better(value: Any, pair: int, left: int) -> int | str | None:
    """Which checkpoint was called better, by its number."""
    choices = {None: None, "left": left, "right": 1 - left, "tie": TIE}
    if not (value is None or isinstance(value, str)) or value not in choices:
        raise ValueError(f"better = {quote(value)} of pair {pair} is not left, right or tie")
    return choices[value]
