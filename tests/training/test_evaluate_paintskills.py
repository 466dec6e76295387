"""The PaintSkills suite: the rules on known detections, and from files to figures."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from set_files import write_json
from tiny_models import save_checkpoint, save_detector

from reco_core.layout import Box
from train.evaluate.detection import Detection
from train.evaluate.paintskills import PaintSkillsOptions, PaintSkillsSuite, paintskills_suite
from train.evaluate.paintskills_rules import (
    COLOURS,
    box_colour,
    judge,
    plain_detections,
    read_scene,
    relation_of,
)

BLANK = Image.new("RGB", (100, 100), "gray")
LEFT, RIGHT = Box(0.1, 0.4, 0.3, 0.6), Box(0.6, 0.4, 0.8, 0.6)
TOP, BOTTOM = Box(0.4, 0.1, 0.6, 0.3), Box(0.4, 0.6, 0.6, 0.8)


def scene(skill, *objects, number=0, text="a photo"):
    """A scene in the released form; objects: shape, and what is not as usual of it."""
    usual = {"color": "plain", "relation": None, "scale": 3.5, "texture": "plain", "state": None}
    return {
        "id": f"{skill}_val_{number:05d}",
        "scene": "empty",
        "text": text,
        "skill": skill,
        "split": "val",
        "objects": [
            {"id": place, **usual, "shape": shape, **more}
            for place, (shape, more) in enumerate(objects)
        ],
    }


def is_right(scene, *found, picture=BLANK):
    """found: (label, score, box)."""
    detections = plain_detections([Detection(*each) for each in found])
    return judge(read_scene(scene, scene["skill"]), detections, picture).right


# object


def test_the_best_detection_must_be_the_object():
    bus = scene("object", ("bus", {}))
    assert is_right(bus, ("bus", 0.3, LEFT), ("dog", 0.2, RIGHT))
    assert not is_right(bus, ("bus", 0.3, LEFT), ("dog", 0.4, RIGHT))
    assert not is_right(bus)


@pytest.mark.parametrize(
    ("shape", "label"),
    [
        ("humanSophie", "person"),
        ("humanKate", "human"),
        ("bike", "Bicycle"),
        ("van", "truck"),
        ("fireHydrant", "fire hydrant"),
        ("fireHydrant", "fireHydrant"),
        ("diningTable", "dining table"),
        ("pottedPlant", "potted plant"),
    ],
)
def test_shapes_have_the_names_of_coco_and_their_own(shape, label):
    assert is_right(scene("object", (shape, {})), (label, 0.9, LEFT))
    assert not is_right(scene("object", ("boat", {})), (label, 0.9, LEFT))


def test_a_scene_may_say_the_name_of_coco():
    told = scene("object", ("vehicleA", {"coconame": "Car"}))
    assert is_right(told, ("car", 0.9, LEFT))


# count


def dogs(count):
    return scene("count", *[("dog", {})] * count)


def test_as_many_as_asked_for_are_found():
    found = [("dog", 0.9, LEFT), ("dog", 0.8, RIGHT), ("cat", 0.95, TOP)]
    assert is_right(dogs(2), *found)
    assert not is_right(dogs(1), *found)
    assert not is_right(dogs(3), *found)


def test_only_scores_above_the_threshold_count():
    assert not is_right(dogs(1), ("dog", 0.7, LEFT))
    assert is_right(dogs(1), ("dog", 0.7000001, LEFT))
    assert is_right(dogs(1), ("dog", 0.71, LEFT), ("dog", 0.7, RIGHT), ("dog", 0.1, TOP))
    assert not is_right(dogs(1))


# spatial


def related(relation, first="dog", second="bus"):
    return scene("spatial", (first, {}), (second, {"relation": f"{relation}_0"}))


@pytest.mark.parametrize(
    ("relation", "first", "second"),
    [("left", RIGHT, LEFT), ("right", LEFT, RIGHT), ("above", BOTTOM, TOP), ("below", TOP, BOTTOM)],
)
@pytest.mark.parametrize("scores", [(0.9, 0.5), (0.5, 0.9)])
def test_the_second_object_is_on_the_asked_side_of_the_first(relation, first, second, scores):
    found = ("dog", scores[0], first), ("bus", scores[1], second)
    for asked in ("left", "right", "above", "below"):
        assert is_right(related(asked), *found) == (asked == relation)


def test_the_longer_axis_decides_and_the_vertical_one_on_a_tie():
    middle = Box(0.375, 0.375, 0.625, 0.625)
    assert relation_of(middle, Box(0.75, 0.5, 1, 0.75)) == "right"
    assert relation_of(middle, Box(0.5, 0.75, 0.75, 1)) == "below"
    assert relation_of(middle, Box(0.625, 0.125, 0.875, 0.375)) == "above"
    assert relation_of(middle, Box(0.25, 0.25, 0.75, 0.75)) is None


boxes = st.tuples(*[st.integers(0, 16)] * 4).map(
    lambda v: Box(
        min(v[0], v[2]) / 16, min(v[1], v[3]) / 16, max(v[0], v[2]) / 16, max(v[1], v[3]) / 16
    )
)


@given(boxes, boxes)
def test_relations_turn_round_with_the_objects(first, second):
    opposite = {"left": "right", "right": "left", "above": "below", "below": "above", None: None}
    assert relation_of(second, first) == opposite[relation_of(first, second)]


def test_both_objects_must_be_the_two_best_detections():
    dog, bus = ("dog", 0.9, LEFT), ("bus", 0.4, RIGHT)
    assert is_right(related("right"), dog, bus)
    assert not is_right(related("right"), dog)
    assert not is_right(related("right"), dog, ("cat", 0.4, RIGHT))
    assert not is_right(related("right"), dog, bus, ("cat", 0.5, TOP))
    assert not is_right(related("right"), dog, ("dog", 0.8, RIGHT), bus)


def test_two_of_a_kind_are_told_by_the_axis_only():
    found = ("dog", 0.9, LEFT), ("dog", 0.8, RIGHT)
    for asked in ("left", "right"):
        assert is_right(related(asked, "dog", "dog"), *found)
    for asked in ("above", "below"):
        assert not is_right(related(asked, "dog", "dog"), *found)


# colour


def painted(colour, box=LEFT):
    picture = Image.new("RGB", (100, 100), "gray")
    picture.paste(colour, box.covered_pixels(100, 100))
    return picture


def coloured(colour, shape="bus"):
    return scene("color", (shape, {"color": colour, "texture": "pure"}))


@pytest.mark.parametrize("colour", COLOURS)
def test_the_object_has_the_asked_colour(colour):
    for asked in COLOURS:
        right = is_right(coloured(asked), ("bus", 0.9, LEFT), picture=painted(colour))
        assert right == (asked == colour)


def test_the_colour_is_looked_for_in_the_middle_of_the_object():
    picture = painted("white")
    x0, y0, x1, y1 = LEFT.covered_pixels(100, 100)
    picture.paste("red", (x0 + 5, y0 + 5, x1 - 5, y1 - 5))  # a quarter of the box
    assert box_colour(picture, LEFT) == "red"
    assert is_right(coloured("red"), ("bus", 0.9, LEFT), picture=picture)


def test_shades_of_grey_and_black_say_nothing():
    picture = painted("black")
    assert box_colour(picture, LEFT) is None
    picture.putpixel((20, 50), (240, 230, 10))
    assert box_colour(picture, LEFT) == "yellow"
    assert box_colour(painted((150, 20, 25)), LEFT) == "red"


def test_another_object_of_the_asked_colour_is_not_right():
    picture = painted("red")
    assert not is_right(coloured("red"), ("dog", 0.9, LEFT), picture=picture)
    assert not is_right(coloured("red"), ("dog", 0.9, RIGHT), ("bus", 0.8, LEFT), picture=picture)
    assert not is_right(coloured("red"), picture=picture)


# from files


@pytest.fixture
def folder(tmp_path):
    """Two scenes of every skill, with pictures and boxes in the released form."""
    skills = {
        "object": [
            scene("object", ("fireHydrant", {}), text="a photo of fire hydrant"),
            scene("object", ("bus", {}), number=12, text="a photo of bus"),
        ],
        "count": [dogs(1), {**dogs(3), "id": "count_val_00001"}],
        "color": [coloured("red"), {**coloured("blue", "boat"), "id": "color_val_00001"}],
        "spatial": [
            related("left"),
            {**related("above", "humanSophie", "bear"), "id": "spatial_val_00003"},
        ],
    }
    for skill, scenes in skills.items():
        images, annotations = [], []
        for each in scenes:
            number = int(each["id"][-5:])
            name = f"image_{each['id']}.png"
            images.append({"file_name": name, "height": 720, "width": 720, "id": number})
            for place, thing in enumerate(each["objects"]):
                annotations.append(
                    {
                        "category_id": 1,
                        "image_id": number,
                        "id": len(annotations),
                        "shape": thing["shape"],
                        "state": None,
                        "iscrowd": 0,
                        "color": thing["color"],
                        "texture": thing["texture"],
                        "bbox": [180 * place, 90, 144, 180],
                        "area": 144 * 180,
                    }
                )
            (tmp_path / skill / "images").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (720, 720)).save(tmp_path / skill / "images" / name)
        write_json(tmp_path / skill / "scenes" / f"{skill}_val.json", {"data": scenes})
        boxes = {"annotations": annotations, "images": images, "categories": []}
        write_json(tmp_path / skill / f"{skill}_val_bounding_boxes.json", boxes)
    return tmp_path


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    labels = ["person", "dog", "bus", "N/A", "fire hydrant", "bear"]
    return save_detector(tmp_path_factory.mktemp("detector"), labels)


def test_scenes_become_layouts(folder, detector):
    suite = paintskills_suite(
        PaintSkillsOptions(str(folder), seed=50, size=64, detector=detector, device="cpu")
    )
    assert [case.name for case in suite.cases] == [
        "image_object_val_00000",
        "image_object_val_00012",
        "image_count_val_00000",
        "image_count_val_00001",
        "image_color_val_00000",
        "image_color_val_00001",
        "image_spatial_val_00000",
        "image_spatial_val_00003",
    ]
    assert [case.seed for case in suite.cases] == [50, 51] * 4
    layout = suite.cases[0].layout
    assert (layout.caption, layout.width, layout.height) == ("a photo of fire hydrant", 64, 64)
    (region,) = layout.regions
    assert (region.text, region.box) == ("fire hydrant", Box(0, 0.125, 0.2, 0.375))
    assert [region.text for region in suite.cases[4].layout.regions] == ["red bus"]
    assert [len(case.layout.regions) for case in suite.cases] == [1, 1, 1, 3, 1, 1, 2, 2]


def test_pictures_of_a_model_are_judged_by_a_detector_in_a_folder(folder, detector, tmp_path):
    options = PaintSkillsOptions(
        str(folder), ("object", "colour"), size=64, detector=detector, device="cpu"
    )
    suite = paintskills_suite(options)
    for case in suite.cases:
        Image.new("RGB", (64, 64), "red").save(tmp_path / f"{case.name}.png")
    result = suite.score(lambda case: Image.open(tmp_path / f"{case.name}.png").convert("RGB"))
    assert set(result.figures) == {"pictures", "object", "colour", "average", "parts"}
    assert result.tables[0].note == f"Judged by {detector}. It cannot find: boat."
    assert [score.details["skill"] for score in result.pictures] == ["object"] * 2 + ["colour"] * 2
    json.dumps([result.figures, [dict(x.details) for x in result.pictures]])


def test_the_command_draws_and_judges(folder, detector, tmp_path, monkeypatch, capsys):
    from train.__main__ import main

    words = ["--suite", "paintskills", "--path", str(folder), "--parts", "count", "spatial"]
    words += ["--checkpoint", save_checkpoint(tmp_path / "x.safetensors"), "--detector", detector]
    words += ["--sampler", "ddim", "--steps", "2", "--output", str(tmp_path / "scores")]
    monkeypatch.setattr("sys.argv", ["train", "evaluate", *words])
    assert main() == 0, capsys.readouterr().err
    report = (tmp_path / "scores" / "report.md").read_text()
    assert "| count |" in report and "| spatial |" in report


def test_a_detector_that_finds_all_that_was_asked_for_scores_1_and_a_blind_one_0(folder, detector):
    """The detections are those of the layouts; the pictures show their colours."""
    opened = paintskills_suite(
        PaintSkillsOptions(str(folder), size=64, detector=detector, device="cpu")
    )
    # the simulator puts things side by side here, so that what is asked to be above is not
    lying = opened.truth["image_spatial_val_00003"].asked
    assert lying.relation == "above"

    class Known:
        """What a perfect detector of these pictures would be; one batch after the other."""

        name = "known"
        labels = frozenset({"dog", "bus", "boat", "person", "bear", "fire hydrant"})

        def __init__(self, sees):
            self.cases, self.sees = iter(opened.cases), sees

        def detect(self, pictures):
            return [self.of(next(self.cases)) if self.sees else [] for _ in pictures]

        def of(self, case):
            labels = opened.truth[case.name].labels
            return [
                Detection(min(own), 0.9, region.box)
                for own, region in zip(labels, case.layout.regions, strict=True)
            ]

    def draw(case):
        picture = Image.new("RGB", (64, 64), "gray")
        for region in case.layout.regions:
            colour = region.text.split()[0] if "color" in case.name else "gray"
            picture.paste(colour, region.box.covered_pixels(64, 64))
        return picture

    def score(sees):
        return PaintSkillsSuite(opened.cases, opened.truth, Known(sees), 3).score(draw)

    figures = score(sees=True).figures
    assert [figures[skill] for skill in ("object", "count", "colour")] == [1, 1, 1]
    # "left" was asked where the second thing is at the right of the first, "above" likewise
    assert figures["spatial"] == 0
    assert figures["parts"]["count"] == {"1": 1, "3": 1}
    assert figures["parts"]["spatial"] == {"above": 0, "left": 0}
    assert figures["average"] == 0.75
    blind = score(sees=False)
    assert blind.figures["average"] == 0
    assert [picture.score for picture in blind.pictures] == [0] * len(opened.cases)


def test_ranks_go_by_what_is_right_then_by_where_it_is(folder, detector):
    from train.evaluate.paintskills import picture_score

    assert picture_score(True, [{"iou": 0.0}]) >= picture_score(False, [{"iou": 1.0}])
    assert picture_score(True, [{"iou": 0.6}]) > picture_score(True, [{"iou": 0.5}])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"parts": ("object", "taste")}, "'taste'.*choose from object, count, colour, spatial"),
        ({"split": "test"}, "split = 'test': choose from train, val"),
        ({"layouts": -1}, "layouts = -1"),
    ],
)
def test_options_that_cannot_be_are_refused(folder, detector, options, reason):
    with pytest.raises(ValueError, match=reason):
        paintskills_suite(PaintSkillsOptions(str(folder), **{"detector": detector, **options}))


def test_a_detector_is_needed(folder):
    with pytest.raises(ValueError, match="paintskills needs a detector: give --detector FOLDER"):
        paintskills_suite(PaintSkillsOptions(str(folder)))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (scene("spatial", ("dog", {}), ("bus", {"relation": "behind_0"})), "'behind_0'"),
        (scene("spatial", ("dog", {}), ("bus", {"relation": "left_1"})), "'left_1'"),
        (scene("spatial", ("dog", {})), "has 1 objects"),
        (scene("color", ("dog", {"color": "plain"})), "color = 'plain' is none of"),
        (scene("object"), "'object_val_00000' has no objects"),
    ],
)
def test_a_scene_that_cannot_be_judged_is_named(broken, reason):
    with pytest.raises(ValueError, match=reason):
        read_scene(broken, broken["skill"])
