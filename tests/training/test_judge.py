"""The judge of everyday things, trained here on six, and the suite that asks it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter
from random_checkpoint import HEADS, Size, random_state_dict

from reco_core.checkpoint_file import write_checkpoint
from train.__main__ import main
from train.data.cutouts.scenes import render
from train.data.cutouts.things import TINTS
from train.evaluate.judge.difference import box_of_pieces, pieces_of
from train.evaluate.judge.finder import find_things, look_over
from train.evaluate.judge.learn import open_lessons, train_judge
from train.evaluate.judge.lessons import lesson
from train.evaluate.judge.network import Judge, Network, check_judge, read_judge, save_judge
from train.evaluate.judge.options import JudgeOptions
from train.evaluate.judge.windows import boxes_in, cover, fractions_of, overlaps, windows_of
from train.evaluate.things import PARTS, ThingsOptions, ThingsSuite, size_of
from train.evaluate.things_tables import regions_right

SIDE = 80
LIST = """
ball = { colour = "red" }
roof = { colour = "blue" }
ring = {}
cross = { plural = "crosses" }
bars = { article = "" }
diamond = {}
"""


def draw_shape(name: str, draw: ImageDraw.ImageDraw) -> None:
    red, blue, dark = (225, 45, 50, 255), (50, 120, 230, 255), (40, 60, 50, 255)
    if name == "ball":
        draw.ellipse((8, 8, 88, 88), red, (240, 240, 240, 255), 6)
    elif name == "roof":
        draw.polygon([(48, 8), (88, 88), (8, 88)], blue)
        draw.rectangle((36, 60, 60, 88), (240, 240, 240, 255))
    elif name == "ring":
        draw.ellipse((8, 8, 88, 88), (0, 0, 0, 0), (150, 90, 20, 255), 20)
    elif name == "cross":
        draw.rectangle((36, 8, 60, 88), dark)
        draw.rectangle((8, 36, 88, 60), dark)
    elif name == "bars":
        for left in (8, 40, 72):
            draw.rectangle((left, 8, left + 18, 88), (245, 245, 240, 255), dark, 4)
    else:
        draw.polygon([(48, 8), (88, 48), (48, 88), (8, 48)], (250, 230, 240, 255), dark, 5)
        draw.ellipse((38, 38, 58, 58), dark)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Options of a folder of six things, and of their list."""
    folder = tmp_path_factory.mktemp("six")
    (folder / "six.toml").write_text(LIST)
    for name in ("ball", "roof", "ring", "cross", "bars", "diamond"):
        image = Image.new("RGBA", (96, 96))
        draw_shape(name, ImageDraw.Draw(image))
        image.save(folder / f"{name}.png")
    return {"path": str(folder), "things": str(folder / "six.toml")}


@pytest.fixture(scope="module")
def file(given, tmp_path_factory):
    """A judge of the six."""
    path = tmp_path_factory.mktemp("judge") / "judge.safetensors"
    save_judge(train_judge(JudgeOptions(**given, size=SIDE, steps=220, batch_size=48)), path)
    return path


@pytest.fixture(scope="module")
def suite(given, file):
    return ThingsSuite(few(given, file))


def few(given, file, **options):
    counts = {"layouts": 16, "part_layouts": 3, "control_layouts": 12}
    return ThingsOptions(**given, judge=str(file), size=SIDE, **{**counts, **options})


def truth(case):
    return render(case.scene)


def test_the_judge_may_be_trusted(given, file):
    """Right on rendered truth; not where the things are others, or not there, or elsewhere."""
    many = few(given, file, parts=("mixed", "caption"), part_layouts=12)
    controls = ThingsSuite(many).controls(truth)
    regions, captions = controls["regions"], controls["captions"]
    assert regions["rendered_truth"] >= 0.95, controls
    assert regions["other_things"] <= 0.02 and regions["ground_alone"] <= 0.02, controls
    assert regions["shuffled_layouts"] <= 0.1, controls
    assert captions["rendered_truth"] >= 0.9, controls
    assert captions["other_things"] <= 0.2 and captions["ground_alone"] <= 0.1, controls


def test_soft_pictures_are_judged_like_sharp_ones(suite):
    cases = [case for case in suite.cases if case.part == "mixed"]
    soft = [suite._score(case, truth(case).filter(ImageFilter.GaussianBlur(1.0))) for case in cases]
    assert regions_right([one.regions for one in soft]) >= 0.9


def test_a_thing_beside_its_box_is_not_right(given, file):
    """The thing moved by half of its box: their IoU is 1/3."""
    judged = 0
    suite = ThingsSuite(few(given, file, parts=("mixed",), counts=(1,)))
    for case in suite.cases:
        x0, y0, x1, y1 = case.scene.things[0].pixels
        by = (x1 - x0 + 1) // 2
        if x1 + by > case.scene.size[0]:
            by = -by
        if x0 + by >= 0:
            thing = replace(case.scene.things[0], pixels=(x0 + by, y0, x1 + by, y1))
            (score,) = suite._score(case, render(replace(case.scene, things=(thing,)))).regions
            assert not score.right
            judged += 1
    assert judged >= 8


def test_another_colour_than_the_text_names_is_wrong(suite):
    told = [
        (case, place)
        for case in suite.cases
        for place, region in enumerate(case.layout.regions)
        if set(region.text.split()) & set(TINTS)
    ]
    assert len(told) >= 8
    for case, place in told[:8]:
        thing = case.scene.things[place]
        others = list(TINTS)
        other = others[(others.index(thing.tint) + 3) % len(others)]
        things = list(case.scene.things)
        things[place] = replace(thing, tint=other)
        image = render(replace(case.scene, things=tuple(things)))
        score = suite._score(case, image).regions[place]
        assert score.named == thing.name and score.is_met
        assert (score.found_colour, score.right) == (other, False)


def test_every_part_is_drawn_at_its_size_and_scored(suite):
    result = suite.score(truth)
    assert {case.part for case in suite.cases} == set(PARTS)
    sizes = {case.part: (case.layout.width, case.layout.height) for case in suite.cases}
    assert sizes["portrait"] == (64, 96) and sizes["larger"] == (104, 104)
    scenes = {case.part: case.scene.size for case in suite.cases}
    assert sizes["second_pass"] == (80, 80) and scenes["second_pass"] == (120, 120)
    for part in set(PARTS) - {"caption"}:
        assert result.figures[part]["region_accuracy"] >= 0.9, part
    assert result.figures["caption"]["there"] >= 0.9
    json.dumps(result.figures)


@pytest.mark.parametrize("part", ["portrait", "landscape", "larger"])
@pytest.mark.parametrize("side", [64, 128, 160, 512])
def test_parts_keep_their_shape(part, side):
    width, height = size_of(part, side)
    assert width % 8 == 0 and height % 8 == 0
    wanted = {"portrait": 2 / 3, "landscape": 3 / 2, "larger": 1.0}[part]
    assert abs(width / height / wanted - 1) < 0.1
    area = 1.25**2 if part == "larger" else 1.0
    assert abs(width * height / side**2 / area - 1) < 0.1


def test_found_things_lie_in_the_picture_and_are_not_found_twice(suite):
    for case in suite.cases[:10]:
        found = find_things(look_over(suite.judge, truth(case)))
        boxes = np.array([thing.box for thing in found]).reshape(-1, 4)
        assert (boxes >= 0).all() and (boxes <= [*case.scene.size] * 2).all()
        assert (cover(boxes, boxes) - np.eye(len(boxes))).max(initial=0) < 0.5


def test_lessons_show_what_they_say(given):
    """A window's box has the IoU with its thing that it is learned by; the same seed, the same."""
    pictures = open_lessons(JudgeOptions(**given, size=SIDE))
    for index in range(10):
        one, again = lesson(pictures, index), lesson(pictures, index)
        assert (one.windows == again.windows).all() and (one.boxes == again.boxes).all()
        shown = one.boxes[one.classes < 6]
        whole = np.array([[0.1, 0.1, 0.9, 0.9]])  # a window's box, within its margins
        assert overlaps(shown, whole).min(initial=1) > 0.3
        assert (one.classes <= 6).all() and (one.classes == 6).any()


def test_boxes_go_into_windows_and_back():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 50, (20, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(4, 30, (20, 2))], 1)
    windows = windows_of(boxes, (100, 80))
    assert np.allclose(boxes_in(windows, fractions_of(windows, boxes)), boxes, atol=1e-3)


def test_the_same_seed_makes_the_same_judge(given):
    options = JudgeOptions(**given, size=64, steps=3, batch_size=16)
    one, again, other = (
        train_judge(o).network.state_dict() for o in (options, options, replace(options, seed=1))
    )
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_judge_is_read_back_as_it_was(file, suite):
    windows = np.random.default_rng(0).integers(0, 255, (3, 48, 48, 3), np.uint8)
    assert read_judge(file).look(windows)[0].tobytes() == suite.judge.look(windows)[0].tobytes()
    assert read_judge(file).names == ("ball", "roof", "ring", "cross", "bars", "diamond")


def test_what_is_no_judge_or_judges_other_things_is_refused(given, file, tmp_path):
    with pytest.raises(ValueError, match="cannot read the judge .*python -m train judge"):
        read_judge(tmp_path / "none.safetensors")
    write_checkpoint(tmp_path / "other.safetensors", {"weight": torch.zeros(2)}, {"format": "x"})
    with pytest.raises(ValueError, match="is no judge"):
        read_judge(tmp_path / "other.safetensors")
    judge = read_judge(file)
    save_judge(Judge(Network(5).eval(), judge.names, judge.digest), tmp_path / "five.safetensors")
    with pytest.raises(ValueError, match="is no judge"):
        read_judge(tmp_path / "five.safetensors")
    things = ThingsSuite(few(given, file)).things
    with pytest.raises(ValueError, match="tells 6 things apart, the list has 5 .*diamond"):
        check_judge(judge, things[:5], file)
    with pytest.raises(ValueError, match="learned from other pictures"):
        check_judge(replace(judge, digest="0" * 16), things, file)
    with pytest.raises(ValueError, match="parts .*choose from mixed"):
        few(given, file, parts=("mixd",))


def test_the_commands_train_a_judge_and_score_with_it(given, monkeypatch, capsys, tmp_path):
    def run(*words):
        monkeypatch.setattr(sys, "argv", ["train", *map(str, words)])
        code = main()
        return code, *capsys.readouterr()

    judge, folder = tmp_path / "judge.safetensors", ("--path", given["path"])
    told = ("--things", given["things"])
    train = ("judge", *folder, *told, "--size", 64, "--steps", 2, "--batch-size", 8)
    code, out, _ = run(*train, "--output", judge)
    assert code == 0 and "tells 6 things apart" in out
    assert run(*train, "--output", judge)[0] == 2
    code, _, error = run("judge", "--output", tmp_path / "other.safetensors")
    assert code == 2 and "--path" in error

    checkpoint = tmp_path / "random.safetensors"
    metadata = {"format": "reco", "num_bins": "1000", "max_length": "96", **HEADS}
    tensors = random_state_dict(Size(max_length=96), torch.float32)
    write_checkpoint(checkpoint, tensors, metadata | {"image_size": "64"})
    draw = ("--sampler", "ddim", "--steps", 2, "--layouts", 2, "--part-layouts", 1)
    evaluate = ("evaluate", "--checkpoint", checkpoint, "--suite", "things", *folder, *told, *draw)
    code, _, error = run(*evaluate, "--output", tmp_path / "scores")
    assert code == 2 and "needs --judge" in error
    code, out, _ = run(*evaluate, "--judge", judge, "--output", tmp_path / "scores")
    assert code == 0 and "Controls of the judge" in out and "From captions alone" in out
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert set(scores["figures"]) == {*PARTS, "controls"} and scores["pictures"]
    sizes = {}
    for file in (tmp_path / "scores" / "pictures").iterdir():
        with Image.open(file) as picture:
            sizes[file.stem.rpartition("-")[0]] = picture.size
    assert sizes["mixed"] == (64, 64) and sizes["second_pass"] == (96, 96)


def test_on_plain_grounds_things_are_found_by_their_difference(given, file):
    """Each in its box to a pixel or two, of several pieces too; elsewhere by half, it is not."""
    suite = ThingsSuite(few(given, file, parts=("mixed",)))
    plain = [case.scene for case in suite.cases if case.scene.ground.is_plain]
    assert len(plain) >= 4 and {"bars"} <= {x.name for scene in plain for x in scene.things}
    for scene in plain:
        pieces = pieces_of(render(scene))
        for thing in scene.things:
            asked = np.array([thing.pixels], np.float32)
            found = np.array([box_of_pieces(pieces, thing.pixels)], np.float32)
            assert overlaps(asked, found).item() >= 0.8
    ground = Image.new("RGB", (SIDE, SIDE), (245, 245, 245))
    assert box_of_pieces(pieces_of(ground), (8, 8, 40, 40)) is None
    ImageDraw.Draw(ground).rectangle((20, 8, 51, 39), (200, 180, 90))
    assert box_of_pieces(pieces_of(ground), (20, 8, 52, 40)) == (20, 8, 52, 40)
    assert box_of_pieces(pieces_of(ground), (4, 8, 36, 40)) is None  # one half of it
    ground.putpixel((70, 70), (0, 0, 0))
    assert box_of_pieces(pieces_of(ground), (64, 64, 76, 76)) is None  # a speck
