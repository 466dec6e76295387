"""Count what people said about blind pairs.

    python -m train tally --key people_key.json answers-*.json --output runs/people

docs/people.md tells how a study is run and what the figures mean.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from reco_core.atomic import write_text_atomically
from train.command_line import in_range
from train.evaluate.markdown import to_markdown
from train.evaluate.people import QUESTIONS
from train.evaluate.people_answers import TIE, Answer, Answers, Key, read_answers, read_key
from train.evaluate.suite import Result, Table
from train.options import Seed

NOTE = (
    "Intervals hold 95 %, by the bootstrap over pairs with all their answers. p: sign test over "
    "pairs. Agreement: Krippendorff's alpha, 1 when raters always agree, 0 as by chance."
)


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `tally` to the command line."""
    tally_ = commands.add_parser("tally", help="count people's answers about pairs of pictures")
    tally_.add_argument("--key", type=Path, required=True, help="people_key.json of the page")
    tally_.add_argument("answers", type=Path, nargs="+", help="files that raters saved")
    tally_.add_argument("--seed", type=in_range(Seed), default=0, help="of the bootstrap")
    tally_.add_argument("--output", type=Path, help="folder for tally.json and tally.md")
    tally_.set_defaults(run=_run)


def tally(key: Path, answers: Sequence[Path], seed: int = 0) -> Result:
    """Shares of yes, preferences and agreement for the two checkpoints of a page.

    Shares and differences in the figures are fractions, first checkpoint less second. An answer
    counts when both sides have one. seed: of the bootstrap.

    Raises:
        ValueError: a file is broken, of another page, or a rater's second; it names the file.
    """
    told = read_key(key)
    raters = read_answers(answers, told)
    given = [answer for rater in raters for answer in rater.given]
    asked = {name: _question(name, given, told, seed) for name in QUESTIONS}
    figures = {
        "page": told.page,
        "names": list(told.names),
        "pairs": len(told.pairs),
        "questions": asked,
        "better": _better(given, told, seed),
        "raters": {rater.rater: _rater(rater, told) for rater in raters},
    }
    return Result(figures, _tables(figures, told), ())


def _question(name: str, given: Sequence[Answer], key: Key, seed: int) -> dict[str, Any]:
    from train.evaluate.people_statistics import krippendorff_alpha, sign_test

    judged = [(answer, answer.right[name]) for answer in given if name in answer.right]
    by_pair = _by_pair([(answer, right) for answer, right in judged], key)
    units = [[right[side] for right in rights] for rights in by_pair for side in (0, 1)]
    figures: dict[str, Any] = {
        "answers": len(judged),
        "answered_on_one_side_only": sum(name in answer.half for answer in given),
    }
    measures: dict[str, Callable[[tuple[bool, bool]], float]] = {
        "first": lambda right: right[0],
        "second": lambda right: right[1],
        "difference": lambda right: right[0] - right[1],
    }
    for measure, value in measures.items():
        figures[measure] = _mean([[value(right) for right in rights] for rights in by_pair], seed)
    figures["sign_test_p"] = sign_test([sum(a - b for a, b in rights) for rights in by_pair])
    figures["agreement"] = krippendorff_alpha(units)
    return figures


def _better(given: Sequence[Answer], key: Key, seed: int) -> dict[str, Any]:
    from train.evaluate.people_statistics import krippendorff_alpha, sign_test

    judged = [(answer, answer.better) for answer in given if answer.better is not None]
    by_pair = _by_pair(judged, key)
    worth = {0: 1.0, TIE: 0.5, 1: 0.0}
    chosen = [answer for answer, better in judged if better != TIE]
    figures: dict[str, Any] = {"answers": len(judged)}
    for name, choice in (("first", 0), ("second", 1), ("ties", TIE)):
        figures[name] = _share([better == choice for _, better in judged])
    figures["preference"] = _mean([[worth[one] for one in each] for each in by_pair], seed)
    leanings = [sum(worth[one] - 0.5 for one in each) for each in by_pair]
    figures["sign_test_p"] = sign_test(leanings)
    figures["agreement"] = krippendorff_alpha(by_pair)
    figures["left_chosen"] = _share([answer.better == answer.left for answer in chosen])
    return figures


def _rater(rater: Answers, key: Key) -> dict[str, Any]:
    complete = [
        answer
        for answer in rater.given
        if answer.better is not None and set(answer.right) == set(key.pairs[answer.pair].questions)
    ]
    return {
        "answers": sum(len(answer.right) + (answer.better is not None) for answer in rater.given),
        "pairs": len(rater.given),
        "complete_pairs": len(complete),
        "median_seconds": median(answer.seconds for answer in complete) if complete else None,
    }


def _by_pair(judged: Sequence[tuple[Answer, Any]], key: Key) -> list[list[Any]]:
    """What all raters said of each pair."""
    by_pair: list[list[Any]] = [[] for _ in key.pairs]
    for answer, value in judged:
        by_pair[answer.pair].append(value)
    return by_pair


def _mean(by_pair: Sequence[Sequence[float]], seed: int) -> dict[str, Any]:
    """The mean of all answers, and where it lies with 95 % confidence."""
    from train.evaluate.people_statistics import ratio_interval

    interval = ratio_interval(
        [sum(each) for each in by_pair], [len(each) for each in by_pair], seed
    )
    return {"mean": _share([value for each in by_pair for value in each]), "interval": interval}


def _share(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _tables(figures: dict[str, Any], key: Key) -> list[Table]:
    first, second = key.names
    right = [
        (
            QUESTIONS[name][0].rstrip("?"),
            found["first"]["mean"],
            found["second"]["mean"],
            _points(found["difference"]["mean"]),
            _range(found["difference"]["interval"], _points),
            found["sign_test_p"],
            found["agreement"],
            found["answers"],
        )
        for name, found in figures["questions"].items()
    ]
    better = figures["better"]
    preferred = (
        better["first"],
        better["second"],
        better["ties"],
        better["preference"]["mean"],
        _range(better["preference"]["interval"], _percent),
        better["sign_test_p"],
        better["agreement"],
        better["answers"],
    )
    raters = [(name, *found.values()) for name, found in figures["raters"].items()]
    test = ("p", "Agreement", "Answers")
    difference = ("Difference, points", "95 % interval")
    ties_half = (f"{first}, ties half, %", "95 % interval")
    side = better["left_chosen"]
    return [
        Table(
            "What was right",
            ("", f"{first} %", f"{second} %", *difference, *test),
            right,
            f"Difference: {first} less {second}. {NOTE}",
        ),
        Table(
            "Which was better",
            (f"{first} %", f"{second} %", "Tie %", *ties_half, *test),
            [preferred],
            "" if side is None else f"Of the choices {_percent(side)} % fell on the left picture.",
        ),
        Table("Raters", ("Rater", "Answers", "Pairs", "Complete", "Seconds a pair"), raters),
    ]


def _points(fraction: float | None) -> str | None:
    return None if fraction is None else f"{100 * fraction:+.1f}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def _range(
    interval: tuple[float, float] | None, write: Callable[[float], str | None]
) -> str | None:
    return interval and f"{write(interval[0])} to {write(interval[1])}"


def _run(arguments: argparse.Namespace) -> int:
    result = tally(arguments.key, arguments.answers, arguments.seed)
    text = "\n".join(to_markdown(table) for table in result.tables)
    print(text, end="")
    if arguments.output:
        figures = json.dumps(result.figures, indent=1, ensure_ascii=False) + "\n"
        for name, content in (("tally.json", figures), ("tally.md", text)):
            _write(arguments.output / name, content)
            print(f"wrote {arguments.output / name}")
    return 0


def _write(path: Path, text: str) -> None:
    write_text_atomically(path, text)
