"""The synthetic set, and the scorer that reads its truth from pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reco_core.prompt import normalize_text
from train.data.shape_boxes import SIDES, relation
from train.data.shape_looks import LOOKS
from train.data.shapeskills import (
    COLOURS,
    GROUNDS,
    HELD_OUT,
    SHAPES,
    SKILLS,
    Split,
    known_words,
    render,
    sample,
    swap_attributes,
)
from train.data.shapeskills_set import ShapeSkillsConfig, open_shapeskills
from train.evaluate.shape_finder import distance_to_look, region_accuracy, score_scene

SAMPLES = [sample(i, seed=3) for i in range(300)]
UNSEEN = [sample(i, seed=3, split=Split.TEST) for i in range(60)]


def test_a_sample_depends_on_index_seed_and_split_only():
    assert sample(5, seed=3) == SAMPLES[5]
    assert len({sample(5, seed, split).scene for seed in (3, 4) for split in Split}) == 8


SEEDS = (*range(2000), 2**31, 2**32 - 2, 2**32 - 1)


def test_splits_share_no_scene_over_thousands_of_seeds():
    one = {"size": 1024, "counts": (1,), "sides": (0.01, 0.99)}  # drawn in no time
    drawn = [{sample(0, seed, split, **one).scene for seed in SEEDS} for split in Split]
    assert len(set.union(*drawn)) == len(Split) * len(SEEDS)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"seed": 7},
        {"seed": 7, "counts": (1,), "size": 64},
        {"counts": (1, 2), "sides": (0.3, 0.6), "size": 64},
        {"counts": (5,), "sides": (0.1, 0.3), "size": 96},
        {"seed": 2**32 - 1, "counts": (2, 2, 4)},
    ],
    ids=str,
)
def test_a_training_looks_at_no_layout_that_its_suite_scores(options):
    """Of the same size, seed and options, as `fit` and `evaluate` make them by default."""
    from train.evaluate.shapeskills import ShapeSkillsOptions, ShapeSkillsSuite

    size = options.get("size", 128)
    own = {name: value for name, value in options.items() if name != "size"}
    trained = ShapeSkillsConfig(samples=20, **own)
    suite = ShapeSkillsSuite(
        ShapeSkillsOptions(layouts=20, parts=("mixed",), **{**options, "size": size})
    )
    scenes = [
        {opened.scene(index) for index in range(len(opened))}
        for opened in (open_shapeskills(one, size) for one in (trained, trained.unseen(20)))
    ]
    scenes.append({case.scene for case in suite.cases})
    assert all(map(len, scenes))
    assert len(set.union(*scenes)) == sum(map(len, scenes))


def test_everything_occurs_and_held_out_pairs_never_do():
    pairs = {(thing.colour, thing.shape) for s in SAMPLES for thing in s.scene.things}
    assert pairs == {(c, s) for c in COLOURS for s in SHAPES} - HELD_OUT
    assert {s.scene.ground for s in SAMPLES} == set(GROUNDS)
    assert {len(s.scene.things) for s in SAMPLES} == {1, 2, 3, 4}


def test_the_held_out_split_begins_with_a_held_out_pair():
    for index in range(20):
        first = sample(index, split=Split.HELD_OUT).scene.things[0]
        assert (first.colour, first.shape) in HELD_OUT


def test_boxes_keep_their_limits_and_do_not_overlap():
    for s in SAMPLES:
        boxes = [thing.pixels for thing in s.scene.things]
        for x0, y0, x1, y1 in boxes:
            assert 0 <= x0 < x1 <= 128 and 0 <= y0 < y1 <= 128
            assert all(SIDES[0] <= side / 128 <= SIDES[1] for side in (x1 - x0, y1 - y0))
        cover = np.zeros((128, 128), int)
        for x0, y0, x1, y1 in boxes:
            cover[y0:y1, x0:x1] += 1
        assert cover.max() == 1


def test_a_layout_says_what_its_scene_shows():
    for s in SAMPLES:
        assert s.layout.caption.endswith(f"on a {s.scene.ground} ground")
        for thing, region in zip(s.scene.things, s.layout.regions, strict=True):
            assert region.text.removeprefix("a ") == f"{thing.colour} {thing.shape}"
            assert region.box.to_pixels(128, 128) == thing.pixels


def test_captions_count_equal_things():
    captions = " / ".join(s.layout.caption for s in SAMPLES)
    assert "two " in captions and "circles" in captions


def test_known_words_are_all_the_words_used():
    texts = [t for s in SAMPLES for t in (s.layout.caption, *(r.text for r in s.layout.regions))]
    used = {word.strip(",") for text in texts for word in normalize_text(text).split()}
    assert used <= set(known_words())
    assert set(known_words()) - used <= {"four", "three"}


def test_the_scorer_gives_rendered_truth_every_point():
    images = [render(s.scene) for s in UNSEEN]
    assert region_accuracy(scores_of(images, UNSEEN)) == 1.0


def test_the_scorer_gives_shuffled_layouts_next_to_nothing():
    images = [render(s.scene) for s in UNSEEN]
    assert region_accuracy(scores_of(images, UNSEEN[1:] + UNSEEN[:1])) < 0.05


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_shows_the_same_scenes_in_its_own_colours(look):
    painted = [sample(i, seed=3, split=Split.TEST, look=look) for i in range(20)]
    images = [render(s.scene) for s in painted]
    assert [s.layout for s in painted] == [s.layout for s in UNSEEN[:20]]
    assert region_accuracy(scores_of(images, painted)) == 1.0
    others = [other for other in LOOKS if colours(other) != colours(look)]
    for image in images:
        assert distance_to_look(image, look) < 3
        assert min(distance_to_look(image, other) for other in others) > 30


def colours(look):
    """A negative has the same as what it is of, for other words."""
    return {colour for _, colour in LOOKS[look].palette()}


def test_a_thing_is_right_in_any_of_the_looks_asked_for_and_in_no_other():
    painted = [sample(i, seed=3, split=Split.TEST, look="chalk") for i in range(20)]
    images = [render(s.scene) for s in painted]
    assert region_accuracy(scores_of(images, painted, ["plain", "chalk"])) == 1.0
    assert region_accuracy(scores_of(images, painted, ["plain"])) < 0.7
    plain = [render(s.scene) for s in UNSEEN[:20]]
    assert region_accuracy(scores_of(plain, UNSEEN[:20], ["plain", "chalk"])) == 1.0


def scores_of(images, samples, looks=()):
    return [score_scene(image, s.scene, looks) for image, s in zip(images, samples, strict=True)]


def with_first_thing(scene, **changes):
    return replace(scene, things=(replace(scene.things[0], **changes), *scene.things[1:]))


@pytest.mark.parametrize("change", ["colour", "shape", "place"])
def test_the_scorer_catches_a_wrong(change):
    for s in UNSEEN:
        thing = s.scene.things[0]
        others = {
            "colour": {
                "colour": next(c for c in COLOURS if c not in {t.colour for t in s.scene.things})
            },
            "shape": {"shape": next(x for x in SHAPES if x != thing.shape)},
            "place": {"pixels": tuple(128 - v for v in (*thing.pixels[2:], *thing.pixels[:2]))},
        }
        wrong = with_first_thing(s.scene, **others[change])
        if change == "place" and score_scene(render(s.scene), wrong)[0].iou >= 0.5:
            continue  # a box in the middle is its own mirror image
        wrong = replace(wrong, things=wrong.things[:1])
        assert not score_scene(render(wrong), s.scene)[0].right


def test_an_unknown_shape_is_named():
    with pytest.raises(ValueError, match="'star'.*circle"):
        render(with_first_thing(UNSEEN[0].scene, shape="star"))


@pytest.mark.parametrize("skill", SKILLS)
def test_a_skill_has_its_own_scenes(skill):
    drawn = [sample(i, split=Split.TEST, skills=(skill,)) for i in range(40)]
    counts = {len(s.scene.things) for s in drawn}
    alone, pairs = {"object", "colour"}, {"spatial", "binding"}
    assert counts == ({1} if skill in alone else {2} if skill in pairs else {1, 2, 3, 4})
    for s in drawn:
        kinds = [(thing.colour, thing.shape) for thing in s.scene.things]
        boxes = [thing.pixels for thing in s.scene.things]
        if skill == "count":
            assert len(set(kinds)) == 1
        if skill == "spatial":
            assert kinds[0] != kinds[1]
            assert f" {relation(*boxes)} " in s.layout.caption
        if skill == "binding":
            assert all(one != other for one, other in zip(*kinds, strict=True))
        if skill == "border":
            assert all({0, 128} & set(box) for box in boxes)


def test_skills_come_in_turn_and_do_not_change_mixed_scenes():
    several = [sample(i, skills=("mixed", "object")) for i in range(6)]
    assert several[::2] == [sample(i) for i in (0, 2, 4)]
    assert all(len(s.scene.things) == 1 for s in several[1::2])


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ((60, 41, 70, 51), "left of"),
        ((0, 38, 10, 48), "right of"),
        ((43, 60, 53, 70), "above"),
        ((38, 0, 48, 10), "below"),
    ],
)
def test_a_relation_is_along_the_longer_axis(second, told):
    assert relation((40, 40, 50, 50), second) == told


def test_swapped_attributes_leave_boxes_and_words():
    s = sample(0, skills=("binding",))
    other = swap_attributes(s)
    assert {t.pixels for t in other.scene.things} == {t.pixels for t in s.scene.things}
    assert [r.text for r in other.layout.regions] == [r.text for r in s.layout.regions]
    assert other.layout.regions[0].box == s.layout.regions[1].box
    assert swap_attributes(other) == s
    with pytest.raises(ValueError, match="1 things"):
        swap_attributes(sample(0, skills=("object",)))


@pytest.mark.parametrize(
    ("scenes", "message"),
    [
        (((7,), ("mixed",), (0.1, 0.2)), r"counts\.0 = 7: .* at most 6"),
        (((1,), ("juggling",), (0.1, 0.2)), "juggling.*mixed, object"),
        (((4,), ("mixed",), (0.5, 0.6)), r"sides = \[0.5, 0.6\]"),
    ],
)
def test_scenes_that_cannot_be_drawn_are_named(scenes, message):
    counts, skills, sides = scenes
    with pytest.raises(ValueError, match=message):
        ShapeSkillsConfig(counts=counts, skills=skills, sides=sides)
