"""Scores of regions: from boxes, colours and CLIP's cosines."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from reco_core.color_names import BASIC_COLORS, basic_colors, colors_in_text
from reco_core.layout import Box, Layout, Region
from reco_core.score import (
    Finding,
    RegionScore,
    box_iou,
    compared_texts,
    describe_scores,
    find_by_boxes,
    find_by_colors,
    find_by_similarity,
    gather_scores,
    picture_score,
    read_detections,
    scores_to_json,
    show_scores,
)
from train.data.shape_looks import PLAIN
from train.data.shapeskills import Scene, Split, Thing, render, sample

LEFT, RIGHT = Box(0, 0, 0.5, 1), Box(0.5, 0, 1, 1)
PETS = Layout("two pets", (Region("a brown dog", LEFT), Region("a cat", RIGHT)))
SAMPLES = [sample(index, seed=9, split=Split.TEST) for index in range(60)]


def one(text: str, box: Box = LEFT) -> Layout:
    return Layout("", (Region(text, box),))


def painted(**boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A white picture of 100 x 100 pixels with rectangles, xyxy, in colours of CSS."""
    image = Image.new("RGB", (100, 100), "white")
    draw = ImageDraw.Draw(image)
    for color, (x0, y0, x1, y1) in boxes.items():
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=color)
    return np.asarray(image)


def scores(findings) -> list[float | None]:
    return [found and found.score for found in findings]


# Boxes


@given(st.from_type(Box), st.from_type(Box))
def test_overlap_is_symmetric_from_0_to_1_and_1_only_for_itself(a, b):
    iou = box_iou(a, b)
    assert 0 <= iou <= 1 and iou == box_iou(b, a)
    assert box_iou(a, a) == (0 if a.area == 0 else 1)


def test_a_region_scores_its_overlap_with_the_best_box_of_its_label():
    detected = [(Box(0, 0, 0.5, 0.5), "dog"), (Box(0, 0, 0.25, 1), "dog"), (LEFT, "cat")]
    assert scores(find_by_boxes(PETS, detected)) == [0.5, 0]


@pytest.mark.parametrize(
    ("label", "text", "fits"),
    [
        ("Dogs", "two brown dogs, running", True),
        ("dog", "brown dogs", True),
        ("traffic light", "a red traffic-light", True),
        ("traffic light", "a red light", False),
        ("cat", "a category", False),
    ],
)
def test_a_label_fits_a_text_that_has_all_its_words(label, text, fits):
    (found,) = find_by_boxes(one(text), [(LEFT, label)])
    assert found.score == fits


def test_boxes_without_labels_fit_every_text():
    assert scores(find_by_boxes(PETS, [(LEFT, ""), (RIGHT, "")])) == [1, 1]


def test_nothing_detected_scores_0_and_says_so():
    (found,) = find_by_boxes(one("a dog"), [])
    assert found == Finding(0, "none of 0 of 0 detected boxes fits its text")


def test_a_batch_needs_boxes_for_each_picture():
    box = {"x": 5, "y": 0, "width": 5, "height": 10, "label": "cat"}
    found = (Box(0.5, 0, 1, 1), "cat")
    assert read_detections([[box], []], 2, 10, 10) == [[found], []]
    assert read_detections(box, 1, 10, 10) == read_detections([box], 1, 10, 10) == [[found]]
    assert read_detections([], 1, 10, 10) == [[]]
    with pytest.raises(ValueError, match=r"boxes of 1 picture\(s\) and 4 picture\(s\) to score"):
        read_detections([box], 4, 10, 10)


# Colours


def color_score(layout: Layout, scene: Scene) -> float:
    found = find_by_colors(layout, np.asarray(render(scene)))
    return picture_score(gather_scores(layout, {"colors": found}))


@pytest.mark.parametrize(
    ("text", "colors"),
    [
        ("a (Red:1.3) circle", {"red"}),
        ("a black-and-white cat", {"black", "white"}),
        ("darkblue jeans, light grey shirt", {"blue", "gray"}),
        ("a bored hundred-year-old reddish salmon in snow", set()),
    ],
)
def test_colours_are_found_as_words(text, colors):
    assert colors_in_text(text) == colors


def test_every_basic_colour_is_told_from_the_others():
    named = {**dict(PLAIN.palette()), "orange": (255, 140, 0), "pink": (255, 170, 190)}
    named["brown"] = (101, 67, 33)
    pixels = np.array([list(named.values())], dtype=np.uint8)
    seen = [list(BASIC_COLORS)[place] for place in basic_colors(pixels)[0]]
    assert seen == list(named)
    assert set(named) == set(BASIC_COLORS)


def test_a_box_full_of_its_colour_scores_1_and_an_empty_one_0():
    picture = painted(blue=(0, 0, 50, 100))
    assert scores(find_by_colors(one("blue sky"), picture)) == [1]
    assert scores(find_by_colors(one("blue sky", RIGHT), picture)) == [0]
    assert scores(find_by_colors(one("red sky"), picture)) == [0]


def test_half_a_box_is_full_and_less_counts_in_part():
    assert scores(find_by_colors(one("red"), painted(red=(0, 0, 25, 100)))) == [1]
    assert scores(find_by_colors(one("red"), painted(red=(0, 0, 50, 20)))) == [pytest.approx(0.4)]


def test_colour_outside_the_box_counts_against_it_but_not_in_a_box_that_wants_it():
    picture = painted(red=(0, 0, 100, 100))
    assert scores(find_by_colors(one("red"), picture)) == [0.5]
    both = Layout("", (Region("red", LEFT), Region("red and blue", RIGHT)))
    assert scores(find_by_colors(both, picture)) == [1, 1]


def test_a_text_without_a_colour_is_not_scored():
    layout = Layout("", (Region("a dog", LEFT), Region("red", RIGHT)))
    assert scores(find_by_colors(layout, painted(red=(50, 0, 100, 100)))) == [None, 1]


@given(st.from_type(Layout), st.integers(0, 9))
def test_any_layout_has_colour_scores_from_0_to_1(layout, seed):
    layout = Layout("", tuple(Region(f"red {r.text}", r.box) for r in layout.regions))
    noise = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    assert all(0 <= score <= 1 for score in scores(find_by_colors(layout, noise)))


def test_obeyed_layouts_score_higher_than_those_of_other_pictures():
    """Area under the ROC curve: how often a picture's own layout beats another's, of all pairs."""
    own = [color_score(s.layout, s.scene) for s in SAMPLES]
    shifted = SAMPLES[1:] + SAMPLES[:1]
    others = [color_score(a.layout, b.scene) for a, b in zip(SAMPLES, shifted, strict=True)]
    wins = np.greater.outer(own, others).mean() + 0.5 * np.equal.outer(own, others).mean()
    print(f"AUC {wins:.4f}, own {np.mean(own):.3f} (least {min(own):.3f}), {np.mean(others):.3f}")
    assert wins > 0.99
    assert min(own) > 0.9


def moved(thing: Thing) -> Thing:
    """A third of its width to where there is more room."""
    x0, y0, x1, y1 = thing.pixels
    step = (x1 - x0) // 3 * (1 if x0 + x1 < 128 else -1)
    return replace(thing, pixels=(x0 + step, y0, x1 + step, y1))


WRONG = {
    "missing": lambda thing: [],
    "recoloured": lambda thing: [replace(thing, colour="blue" if thing.colour == "red" else "red")],
    "moved": lambda thing: [moved(thing)],
}


@pytest.mark.parametrize("mistake", WRONG)
def test_the_first_thing_gone_wrong_lowers_the_score(mistake):
    for s in SAMPLES:
        first, *rest = s.scene.things
        wrong = replace(s.scene, things=(*WRONG[mistake](first), *rest))
        right = color_score(s.layout, s.scene)
        assert color_score(s.layout, wrong) < right - 0.1 / len(s.scene.things)


# CLIP


def similarity(own: float, *others: float, text: str = "a dog") -> float:
    names = [f"text {number}" for number in range(len(others))]
    cosines = {text: own, **dict(zip(names, others, strict=True))}
    (found,) = find_by_similarity(one(text), [cosines])
    return found.score


def test_a_crop_is_compared_with_all_texts_the_caption_and_nothing():
    assert compared_texts(PETS) == ["a brown dog", "a cat", "two pets", ""]


def test_the_score_is_clips_probability_of_the_own_text():
    assert similarity(0.3, 0.3) == 0.5
    assert similarity(0.30, 0.29, 0.28) == pytest.approx(1 / (1 + math.exp(-1) + math.exp(-2)))


@given(st.floats(-1, 1), st.lists(st.floats(-1, 1), max_size=4))
def test_clip_scores_lie_between_0_and_1(own, others):
    assert 0 <= similarity(own, *others) <= 1


def test_the_same_text_written_otherwise_is_no_rival():
    cosines = {"a dog": 0.3, "A Dog ": 0.3, "": 0.2}
    (found,) = find_by_similarity(one("a dog"), [cosines])
    assert found.score > 0.999
    assert found.said == "cosine 0.300; next is 0.200, the empty text"


# Scores


def test_a_region_has_the_mean_of_its_findings_and_a_picture_of_its_regions():
    evidence = {
        "boxes": [Finding(0.5, ""), Finding(0.25, "")],
        "clip": [Finding(1.0, ""), None],
    }
    regions = gather_scores(PETS, evidence)
    assert [region.score for region in regions] == [0.75, 0.25]
    assert picture_score(regions) == 0.5


def test_regions_without_a_score_do_not_count():
    regions = gather_scores(PETS, {"colors": [Finding(0.5, ""), None]})
    assert [region.score for region in regions] == [0.5, None]
    assert picture_score(regions) == 0.5


PICTURES = [
    (RegionScore("a brown dog", {"colors": Finding(score, "why")}), RegionScore("a cat", {}))
    for score in (0.25, 1.0)
]


def test_the_report_begins_with_the_best_picture_and_tells_why():
    assert describe_scores(PICTURES, best=1).splitlines() == [
        "best: picture 2 of 2 (index 1), score 1.00",
        "scores: 0.25 1.00",
        "",
        "picture 1: 0.25",
        "  region 1 (a brown dog): 0.25 - colors: why",
        "  region 2 (a cat): not scored",
        "",
        "picture 2: 1.00",
        "  region 1 (a brown dog): 1.00 - colors: why",
        "  region 2 (a cat): not scored",
    ]


def test_the_json_has_every_score():
    data = json.loads(scores_to_json(PICTURES, best=1))
    assert data["best"] == 1
    assert data["pictures"][0] == {
        "score": 0.25,
        "regions": [
            {"text": "a brown dog", "score": 0.25, "colors": 0.25},
            {"text": "a cat", "score": None},
        ],
    }


def test_boxes_to_draw_go_from_red_to_green_and_say_their_score():
    bad, good = (show_scores(PETS, regions).regions for regions in PICTURES)
    assert [region.text for region in good] == ["(100%) a brown dog", "(not scored) a cat"]
    (red, green, blue), (less_red, more_green, _) = (
        bytes.fromhex(regions[0].color[1:]) for regions in (bad, good)
    )
    assert red > green > blue and more_green > less_red
    assert good[1].color == "#808080"
