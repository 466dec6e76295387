"""Several processes beside one, in a table."""

from __future__ import annotations

import json

import pytest

from train.bench.scaling import ScalingConfig, StepTime, scaling, summary, table


def test_ratios_are_to_one_process_of_the_same_round():
    rounds = [
        {1: StepTime(4.0, 4.0, 0.0, 0.5), 2: StepTime(2.0, 2.2, 0.25, 0.5)},
        {1: StepTime(8.0, 4.0, 0.0, 0.5), 2: StepTime(8.0, 2.0, 0.75, 0.5)},
        {1: StepTime(4.0, 4.0, 0.0, 0.5), 2: StepTime(2.4, 2.4, 0.5, 0.5)},
    ]
    two = summary(rounds)["processes"][2]
    assert two["seconds"] == {"median": 2.4, "min": 2.0, "max": 8.0}
    assert two["seconds_x_one"] == pytest.approx({"median": 0.6, "min": 0.5, "max": 1.0})
    assert two["cpu_seconds_x_one"] == pytest.approx({"median": 0.55, "min": 0.5, "max": 0.6})
    assert table({2: two}).splitlines()[-1] == (
        "| 2 | 2.40 (2.00..8.00) | 0.60 (0.50..1.00) | 2.20 (2.00..2.40) | 0.55 (0.50..0.60) "
        "| 0.50 (0.25..0.75) | 0.50 (0.50..0.50) |"
    )


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--batch-size 6 does not divide by --processes 4"):
        scaling(ScalingConfig(tmp_path / "out", processes=(2, 4), batch_size=6))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_table_shows_two_processes_beside_one(tmp_path):
    config = ScalingConfig(tmp_path, steps=3, batch_size=4, image_size=32, rounds=1, tiny=True)
    result = scaling(config)
    assert json.loads((tmp_path / "scaling.json").read_text())["rounds"][0].keys() == {"1", "2"}
    assert (tmp_path / "scaling.md").read_text() == table(result["processes"])
    logs = [tmp_path / "runs" / count / "log.jsonl" for count in ("1", "2")]
    one, two = ([json.loads(line).get("total") for line in log.open()] for log in logs)
    assert two == pytest.approx(one, rel=1e-4), "it is the same work"
    sending = [result["processes"][count]["sending"]["median"] for count in (1, 2)]
    assert sending[1] > 10 * sending[0], "one process sends nothing"
