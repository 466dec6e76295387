"""What a run says of what it leaves out: each once, counted by what it costs, also when resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from train.data.problems import Problem
from train.fit.run_log import RunLog

BROKEN = Problem("a.png", "cannot be read", "unreadable")
BOXES = [Problem("b.png", f"region {n} left out", "area") for n in range(1, 6)]
LONELY = Problem("c.txt", "there is no picture of this name", "lonely")


@pytest.fixture
def log(tiny_config):
    """Opens the log of a run that goes on from a step; then its lines of a group."""
    Path(tiny_config.folder).mkdir(parents=True)
    opened = []

    def start(first=0):
        opened.append(RunLog(tiny_config, first, is_main=True))
        return opened[-1]

    yield start
    for one in opened:
        one.board.close()


def told(log, group="note"):
    lines = map(json.loads, log.lines.read_text("utf-8").splitlines())
    return [line for line in lines if line["group"] == group]


def test_samples_regions_and_files_are_counted_apart(log, capsys):
    one = log()
    one.problems([BROKEN, *BOXES, LONELY], 0)
    one.close()
    counts = "1 samples (1 for their pictures), 5 regions and 1 files"
    assert told(one)[-1]["message"] == f"{counts} were skipped; log.jsonl names them"
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"skipped {counts}:"
    assert said[1] == "        5  boxes without area in their picture"
    assert len([line for line in said if "region " in line and "left out" in line]) == 3
    assert len(told(one, "problem")) == 7


def test_each_problem_is_named_once(log):
    one = log()
    for step in range(3):
        one.problems([BROKEN], step)
    assert [line["message"] for line in told(one)] == ["skipped a.png: cannot be read"]
    one.problems([Problem("a.png", "another reason", "size"), BROKEN], 3)
    assert len(told(one, "problem")) == 2


def test_a_run_that_goes_on_counts_what_was_left_out_before(log):
    first = log()
    first.problems([BROKEN, LONELY], 2)
    first.problems([BOXES[0]], 5)
    again = log(2)
    again.problems([BROKEN], 3)
    again.problems(BOXES[1:3], 4)
    again.close()
    assert told(again)[-1]["message"].startswith(
        "1 samples (1 for their pictures), 2 regions and 1"
    )


def test_what_is_cut_is_said_once_with_what_to_do(log):
    one = log()
    for step, count in enumerate((0, 3, 2)):
        one.cut(count, step)
    (line,) = told(one)
    assert line["step"] == 1
    assert line["message"].startswith("3 regions or captions did not fit into the sequence")
    assert "model.max_length" in line["message"]
