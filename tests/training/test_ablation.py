"""`python -m train ablation`, with trainings of two steps."""

from __future__ import annotations

import json
import sys

import pytest
from PIL import Image

from reco_core.layout import Box
from train.__main__ import main
from train.ablation import command as ablation
from train.ablation.ceilings import boxes_of, words_ceilings
from train.ablation.command import BASE, CONFIGS
from train.ablation.report import interval
from train.ablation.variants import VARIANTS, plan
from train.config import load_config

TINY = (
    "data.sets.0.samples=8", "optimizer.steps=2", "optimizer.batch_size=2", "sample.every=0",
    "validation.every=2", "validation.samples=4", "model.unet_channels=[32]",
    "model.text_width=32", "model.text_layers=1", "model.text_heads=2", "compute.threads=1",
)  # fmt: skip


@pytest.fixture
def run_ablation(monkeypatch, capfd, tmp_path):
    """Run the command in this process: (exit code, what its trainings said)."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["train", "ablation", "--output", str(tmp_path), *words])
        code = main()
        return code, capfd.readouterr().err

    return run


def test_variants_have_equal_budgets_and_differ_in_what_they_compare():
    configs = {v.config: load_config(CONFIGS / f"{v.config}.toml") for v in VARIANTS}
    first, *others = configs.values()
    assert all(c.optimizer == first.optimizer and c.data.sets == first.data.sets for c in others)
    regions = [c for name, c in configs.items() if name != "caption-only"]
    assert {c.model.max_length for c in regions} == {48}, "words have the room that tokens have"
    bins = {name: config.model.num_bins for name, config in configs.items()}
    assert bins["caption-only"] == bins["positional-words"] == 0 and bins["reco-64-bins"] == 64
    assert configs["positional-words"].model.positional_words
    assert [n for n, c in configs.items() if not c.data.use_regions] == ["caption-only"]
    assert [n for n, c in configs.items() if c.model.rows == "random"] == ["reco-random"]
    assert [n for n, c in configs.items() if c.loss.contrastive_weight] == ["reco-contrastive"]


def test_every_configuration_of_the_folder_is_trained():
    named = {*BASE, *(variant.config for variant in VARIANTS)}
    assert named == {path.stem for path in CONFIGS.glob("*.toml")}


def test_words_and_ordered_rows_are_trained_twice_after_everything_once(tmp_path):
    runs = [(one.variant.config, one.seed) for one in plan(tmp_path, [v.config for v in VARIANTS])]
    assert runs[: len(VARIANTS)] == [(variant.config, 0) for variant in VARIANTS]
    assert runs[len(VARIANTS) :] == [("positional-words", 1), ("reco-ordered", 1)]


def test_a_variant_is_trained_scored_and_reported_and_not_done_twice(
    run_ablation, tmp_path, monkeypatch
):
    few = ("--layouts", "6", "--skill-layouts", "2", "--steps", "2")
    monkeypatch.setattr(ablation, "EVALUATION", (*ablation.EVALUATION, *few))
    chosen = ("--only", "caption-only")
    code, said = run_ablation(*chosen, *TINY)
    assert code == 0, said
    results = json.loads((tmp_path / "results.json").read_text())
    (one,) = results
    assert (one["variant"], one["seed"]) == ("1 caption only", 0)
    low, high = one["interval"]
    assert 0 <= low <= one["region_accuracy"] <= high <= 1 and one["cpu_minutes"] > 0
    report = (tmp_path / "results.md").read_text()
    assert "1 caption only" in report and "positional words, a perfect reader" in report
    for name in ("scores.png", "curves.png", "grid.png"):
        with Image.open(tmp_path / name) as image:
            assert image.width >= 400
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert run_ablation(*chosen, *TINY)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_unknown_variant_is_named(run_ablation):
    code, said = run_ablation("--only", "guesswork")
    assert code == 2 and "guesswork" in said and "reco-ordered" in said


def test_the_interval_holds_the_share_and_narrows_with_more_pictures():
    few, many = ([[True, False, True]] * n + [[True]] * n for n in (5, 500))
    for right in (few, many):
        low, high = interval(right)
        assert low <= 0.75 <= high
    assert (
        interval(many)[1] - interval(many)[0] < 0.1 * (interval(few)[1] - interval(few)[0]) + 0.05
    )


def box(x, y, side, high=None):
    return Box(x, y, x + side, y + (high or side))


CORNER, MIDDLE = box(0.0, 0.0, 0.3), box(0.35, 0.35, 0.3)


@pytest.mark.parametrize(
    ("asked", "known", "expected"),
    [
        # one box for each phrase: words say all there is to say
        ([CORNER, MIDDLE], [CORNER, MIDDLE, MIDDLE], (2, 1.0, 1.0)),
        # two boxes far apart under one phrase, one of them twice as often
        ([CORNER, box(0.02, 0.02, 0.6)], [CORNER, CORNER, box(0.0, 0.0, 0.62)], (1, 0.5, 0.5)),
        ([CORNER] * 3, [CORNER, box(0.0, 0.0, 0.62)], (1, 1.0, 0.5)),
        # a phrase that nobody has learned
        ([CORNER, MIDDLE], [MIDDLE], (2, 0.5, 0.5)),
        # another shape of the same phrase: the overlap is just below and just above one half
        ([box(0.0, 0.0, 0.3, 0.4)], [box(0.0, 0.0, 0.3, 0.21)], (1, 1.0, 1.0)),
        ([box(0.0, 0.0, 0.3, 0.4)], [box(0.0, 0.0, 0.3, 0.19)], (1, 0.0, 0.0)),
    ],
)
def test_ceilings_of_words_on_boxes_that_can_be_counted_by_hand(asked, known, expected):
    found = words_ceilings(asked, known)
    assert (found.phrases, found.perfect, found.calibrated) == pytest.approx(expected)


def test_a_perfect_reader_is_never_worse_than_a_calibrated_one_and_both_meet_less_than_all():
    config = load_config(CONFIGS / "positional-words.toml").data.sets[0]
    boxes = boxes_of(config, 64, 150)
    found = words_ceilings(boxes[75:], boxes)
    assert 0.2 < found.calibrated < found.perfect < 0.9 and found.phrases <= 36


def test_ceilings_are_printed_without_training(run_ablation, tmp_path, capfd):
    code, said = run_ablation("--ceilings", "data.sets.0.samples=8")
    assert code == 0 and not said.strip() and not list(tmp_path.iterdir())
