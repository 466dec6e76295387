"""`python -m train evaluate` on ShapeSkills: drawing, going on, scoring, reporting."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from random_checkpoint import HEADS, Size, random_state_dict

from reco_core.checkpoint_file import read_checkpoint, write_checkpoint
from train.__main__ import main
from train.data.shapeskills import render
from train.evaluate.draw import Drawing, Studio, open_checkpoint
from train.evaluate.shape_finder import find_things, score_scene
from train.evaluate.shapeskills import (
    PARTS,
    ScoredCase,
    ShapeSkillsOptions,
    ShapeSkillsSuite,
    part_figures,
)
from train.evaluate.skills import SKILL_RULES

QUICK = ("--sampler", "ddim", "--steps", "2", "--size", "64", "--batch-size", "4")
FEW = ("--layouts", "5", "--skill-layouts", "2", "--parts", "mixed", "count", "binding", "held_out")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small ReCo checkpoint of random weights."""
    path = tmp_path_factory.mktemp("checkpoint") / "random.safetensors"
    tensors = random_state_dict(Size(max_length=96), torch.float32)
    metadata = {"format": "reco", "num_bins": "1000", "max_length": "96", **HEADS}
    write_checkpoint(path, tensors, metadata | {"image_size": "64"})
    return path


@pytest.fixture(scope="module")
def suite():
    """Every part, with few layouts."""
    return ShapeSkillsSuite(ShapeSkillsOptions(layouts=20, skill_layouts=10, size=96))


@pytest.fixture
def evaluate(monkeypatch, capsys, checkpoint, tmp_path):
    """Run the command in this process: (exit code, what it printed, what it said went wrong)."""

    def run(*words, output=tmp_path / "scores"):
        command = ["train", "evaluate", "--checkpoint", str(checkpoint), "--output", str(output)]
        monkeypatch.setattr(sys, "argv", [*command, *map(str, words)])
        code = main()
        return code, *capsys.readouterr()

    return run


def truth(case):
    return render(case.scene)


def test_rendered_truth_has_every_point_in_every_part(suite):
    figures = suite.score(truth).figures
    assert figures["controls"] == {"rendered_truth": 1.0, "shuffled_layouts": 0.0}
    for part in PARTS:
        assert figures[part]["region_accuracy"] == figures[part]["picture_accuracy"] == 1.0
        assert figures[part].get("skill", 1.0) == 1.0
        assert figures[part]["mean_iou"] > 0.95 and figures[part]["leakage"] < 0.02
    assert figures["held_out"]["unseen_pairs"] == 1.0


def test_blurred_truth_still_counts_things(suite):
    def blurred(case):
        return truth(case).filter(ImageFilter.GaussianBlur(0.7))

    figures = suite.score(blurred).figures
    assert all(figures[skill]["skill"] >= 0.9 for skill in SKILL_RULES)


def changed(case, **changes):
    """A case's truth with its first thing drawn otherwise, or with fewer or more things."""
    first, *others = case.scene.things
    return render(replace(case.scene, things=(replace(first, **changes), *others)))


def cases_of(suite, part):
    return [case for case in suite.cases if case.part == part]


def skill_share(suite, part, draw):
    cases = cases_of(suite, part)
    return part_figures(part, [ScoredCase.of(case, draw(case)) for case in cases])["skill"]


def test_object_sees_another_shape_but_not_another_colour(suite):
    def shape(case):
        return changed(case, shape="cross" if case.scene.things[0].shape != "cross" else "circle")

    def colour(case):
        return changed(case, colour="cyan")

    assert skill_share(suite, "object", shape) == 0.0
    assert skill_share(suite, "object", colour) == 1.0
    assert skill_share(suite, "colour", shape) == 1.0
    assert skill_share(suite, "colour", lambda case: truth(case).convert("L")) == 0.0


def test_count_sees_one_more_and_one_less(suite):
    def less(case):
        return render(replace(case.scene, things=case.scene.things[1:]))

    assert skill_share(suite, "count", less) == 0.0

    def more(case):
        """Another thing of the same kind where there is room, on a canvas twice as high."""
        image = Image.new("RGB", (96, 192), truth(case).getpixel((0, 0)))
        image.paste(truth(case), (0, 0))
        image.paste(truth(case), (0, 96))
        return image

    for case in cases_of(suite, "count"):
        found = find_things(more(case))
        assert len(found) == 2 * len(case.scene.things)
        assert not SKILL_RULES["count"](found, case.scene)


def test_spatial_sees_exchanged_things_and_binding_swapped_attributes(suite):
    def exchanged(case):
        one, two = case.scene.things
        things = replace(one, pixels=two.pixels), replace(two, pixels=one.pixels)
        return render(replace(case.scene, things=things))

    def swapped_colours(case):
        one, two = case.scene.things
        things = replace(one, colour=two.colour), replace(two, colour=one.colour)
        return render(replace(case.scene, things=things))

    assert skill_share(suite, "spatial", exchanged) == 0.0
    assert skill_share(suite, "binding", exchanged) == 0.0
    assert skill_share(suite, "binding", swapped_colours) == 0.0


def test_leakage_is_the_colour_outside_of_the_box(suite):
    for case in cases_of(suite, "object"):
        image = np.array(truth(case))
        x0, y0, x1, y1 = case.scene.things[0].pixels
        spilled = image.copy()
        spilled[:4] = image[(y0 + y1) // 2, (x0 + x1) // 2]
        area = (x1 - x0) * (y1 - y0)
        outside = 4 * 96 - (max(0, 4 - y0) * (x1 - x0))
        scored = score_scene(Image.fromarray(spilled), case.scene)[0]
        assert scored.leakage == pytest.approx(outside / area, abs=0.02)


def test_the_report_has_every_picture_and_region(evaluate, tmp_path):
    code, said, _ = evaluate(*QUICK, *FEW)
    assert code == 0 and "regions right %" in said
    folder = tmp_path / "scores"
    scores = json.loads((folder / "scores.json").read_text())
    assert (scores["sampler"], scores["steps"], scores["guidance"]) == ("ddim", 2, 4.0)
    assert scores["pictures"][0]["name"] == "mixed-0000"
    assert len(scores["pictures"]) == 5 + 2 + 2 * 2 + 2
    assert all(picture["regions"] for picture in scores["pictures"])
    assert scores["figures"]["mixed"]["region_accuracy"] < 0.5, "random weights draw no shapes"
    assert (folder / "report.md").read_text() in said
    for name in ("scores.png", "best.png", "worst.png", "first.png"):
        with Image.open(folder / name) as image:
            assert len(image.convert("RGB").getcolors(1 << 24)) > 5


def test_evaluation_goes_on_where_it_was_stopped(evaluate, tmp_path):
    evaluate(*QUICK, *FEW)
    pictures = {path: path.read_bytes() for path in (tmp_path / "scores" / "pictures").iterdir()}
    kept, lost = sorted(pictures)[::2], sorted(pictures)[1::2]
    times = {path: path.stat().st_mtime_ns for path in kept}
    for path in lost:
        path.unlink()
    assert evaluate(*QUICK, *FEW)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == times
    for path in lost:
        assert nearly_equal(path, pictures[path])


def nearly_equal(path, content):
    """Rounding differs with the size of a batch."""
    import io

    one, other = (np.asarray(Image.open(x), int) for x in (path, io.BytesIO(content)))
    return np.abs(one - other).max() <= 2


def test_a_missing_package_is_named_and_no_picture_is_lost(evaluate, monkeypatch, tmp_path):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "matplotlib.figure", None)
        code, _, said = evaluate(*QUICK, "--layouts", "2", "--parts", "mixed")
    assert code == 2 and 'pip install ".[train,evaluate]"' in said
    assert len(list((tmp_path / "scores" / "pictures").iterdir())) == 2
    assert evaluate(*QUICK, "--layouts", "2", "--parts", "mixed")[0] == 0


def test_one_picture_can_be_made_again_alone(evaluate, tmp_path):
    evaluate(*QUICK, *FEW)
    code, said, _ = evaluate(*QUICK, *FEW, "--only", "count-0001", output=tmp_path / "alone")
    assert code == 0 and "count-0001.png" in said
    (alone,) = (tmp_path / "alone" / "pictures").iterdir()
    assert nearly_equal(alone, (tmp_path / "scores" / "pictures" / alone.name).read_bytes())


def test_people_get_a_page_of_the_same_layouts_drawn_by_two(evaluate, checkpoint, tmp_path):
    other = tmp_path / "other.safetensors"
    tensors, metadata = read_checkpoint(checkpoint)
    write_checkpoint(other, {key: tensor * 1.1 for key, tensor in tensors.items()}, metadata)
    code, said, _ = evaluate(*QUICK, *FEW, "--people", other)
    assert code == 0 and "people.html" in said
    folder = tmp_path / "scores"
    key = json.loads((folder / "people_key.json").read_text())
    assert len(key["pairs"]) == 13 and other.name in (folder / "people_key.json").read_text()
    assert other.name not in (folder / "people.html").read_text()


def test_pictures_of_other_options_are_not_mixed(evaluate):
    evaluate(*QUICK, *FEW)
    code, _, said = evaluate(*QUICK, *FEW, "--guidance", "2")
    assert code == 2 and "guidance = 4.0, now 2.0" in said and "--output" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sampler", "guesswork"), "'guesswork'"),
        (("--steps", "0"), "steps = 0"),
        (("--parts", "juggling"), "juggling"),
        (("--clip", "somewhere"), "--clip is no option of --suite shapeskills"),
        (("--suite", "coco", "--images", "here"), "--suite coco needs --annotations"),
        (("--only", "mixed-9999", *FEW), "'mixed-9999'"),
        (("--precision", "int3"), "'int3'"),
    ],
)
def test_a_mistake_is_one_line_that_quotes_it(evaluate, words, message):
    code, _, said = evaluate(*words)
    assert code == 2 and message in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "sampler", ["plms", "euler", "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler"]
)
def test_a_picture_does_not_depend_on_its_batch(sampler, checkpoint, tmp_path):
    suite = ShapeSkillsSuite(ShapeSkillsOptions(layouts=3, parts=("mixed",), size=64))
    drawn = []
    for batch_size in (1, 3):
        drawing = Drawing(sampler, steps=3, batch_size=batch_size)
        studio = Studio(open_checkpoint(checkpoint), drawing, tmp_path / str(batch_size))
        studio.draw(suite.cases)
        drawn.append([np.asarray(studio.open(case), int) for case in suite.cases])
    for one, other in zip(*drawn, strict=True):
        assert np.abs(one - other).max() <= 3
    assert np.abs(drawn[0][0] - drawn[0][1]).max() > 3


def test_a_checkpoint_that_is_not_there_is_named(evaluate, tmp_path):
    code, _, said = evaluate("--checkpoint", tmp_path / "none.safetensors")
    assert code == 2 and "none.safetensors" in said
