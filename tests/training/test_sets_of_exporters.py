"""Data sets as exporters write them: COCO's many dialects, YOLO, VOC, SimpleTuner's sidecars."""

from __future__ import annotations

import json
import os
import unicodedata

import pytest
from set_files import COCO, write_coco, write_json, write_lines, write_picture

from reco_core.layout import Box
from train.data.check import Limits, check_set
from train.data.coco import CocoConfig
from train.data.json_lines import JsonLinesConfig
from train.data.mixture import open_mixture
from train.data.options import DataConfig
from train.data.problems import Problem, check_losses
from train.data.sets import open_set
from train.data.sidecars import SidecarsConfig
from train.data.voc_set import VocConfig
from train.data.yolo_set import YoloConfig

MIDDLE = Box(0.25, 0.25, 0.75, 0.75)
HUGE = int("9" * 400)


def regions(sample):
    return [(region.text, region.box) for region in sample.regions]


def one_picture(folder, image=None, annotation=None, category=None, **more):
    """A COCO set of one picture and one box in its middle, changed; None takes a key away."""
    write_picture(folder / "a.png")

    def entry(changes, **plain):
        return {k: v for k, v in {**plain, **(changes or {})}.items() if v is not None}

    instances = {
        "images": [entry(image, id=7, file_name="a.png", width=64, height=48)],
        "annotations": [entry(annotation, image_id=7, category_id=1, bbox=[16, 12, 32, 24])],
        "categories": [entry(category, id=1, name="dog")],
        **more,
    }
    file = folder / "instances.json"
    file.write_text(json.dumps(instances), encoding="utf-8")
    return CocoConfig(path=str(folder), annotations=str(file))


@pytest.mark.parametrize(
    "changes",
    [
        {"image": {"id": "7"}},
        {"annotation": {"image_id": "7"}},
        {"annotation": {"image_id": 7.0}},
        {"image": {"id": "7.0"}, "annotation": {"image_id": " 7 "}},
        {"image": {"id": "abc"}, "annotation": {"image_id": "abc"}},
        {"category": {"id": "1"}},
        {"annotation": {"category_id": 1.0}},
        {"annotation": {"iscrowd": "0"}},
        {"annotation": {"iscrowd": False}},
        {"annotation": {"iscrowd": "false"}},
        {"annotation": {"iscrowd": ""}},
        {"category": {"name": None, "supercategory": "dog"}},
        {"category": {"name": "", "supercategory": "dog"}},
        {"image": {"width": 64.0, "height": 48.0}},
        {"image": {"width": "64", "height": "48"}},
        {"image": {"width": None, "height": None}},
        {"image": {"width": 0, "height": 0}},
        {"image": {"file_name": "images\\a.png"}},
        {"image": {"file_name": "C:\\Users\\me\\set\\a.png"}},
        {"image": {"file_name": "/data/upload/1/a.png"}},
        {"image": {"file_name": "/data/local-files/?d=set/a.png"}},
        {"image": {"file_name": "../../images/a.png"}},
        {"image": {"file_name": "s3://bucket/A.PNG"}},
        {"image": {"file_name": "set%2Fa.png"}},
        {"annotation": {"id": [1], "segmentation": [], "score": None}},
    ],
    ids=str,
)
def test_coco_is_read_as_its_exporters_write_it(tmp_path, changes):
    opened = open_set(one_picture(tmp_path, **changes))
    assert opened.problems == []
    assert regions(opened[0]) == [("dog", MIDDLE)]
    assert opened[0].open().size == (64, 48)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_found_composed_or_not(tmp_path, form):
    other = "NFD" if form == "NFC" else "NFC"
    config = one_picture(tmp_path, {"file_name": unicodedata.normalize(form, "Café Zoë.png")})
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "sub" / unicodedata.normalize(other, "Café Zoë.png"))
    assert open_set(config)[0].open().size == (64, 48)


def test_a_name_that_can_mean_several_pictures_is_not_guessed(tmp_path):
    config = one_picture(tmp_path, {"file_name": "x.png"})
    for folder in ("train", "val"):
        write_picture(tmp_path / folder / "x.png")
    with pytest.raises(FileNotFoundError, match="x.png: it can be any of 'train/x.png', 'val/x.p"):
        open_set(config)[0]
    config = one_picture(tmp_path, {"file_name": "test/x.png"})
    with pytest.raises(FileNotFoundError, match="test/x.png: there is no such picture; put it"):
        open_set(config)[0]


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"annotation": {"image_id": [7]}}, "box", "image_id must be a number or a text, got [7]"),
        ({"annotation": {"image_id": None}}, "stray", "has no image_id"),
        ({"annotation": {"image_id": 8}}, "stray", "instances.json has no image of this id"),
        ({"annotation": {"category_id": [1]}}, "box", "category_id must be a number or a text"),
        ({"annotation": {"category_id": None}}, "text", "neither a text nor a category with"),
        ({"annotation": {"bbox": None}}, "box", "bbox must be four numbers"),
        ({"annotation": {"bbox": [0, 0, HUGE, 1]}}, "box", "is not four finite numbers"),
        ({"annotation": {"bbox": [0, 0, "9", 1]}}, "box", "is not four finite numbers"),
        ({"annotation": {"bbox": [0, 0, 0, 9]}}, "area", "has no area in a picture of 64 x 48"),
        ({"annotation": {"iscrowd": "maybe"}}, "box", "iscrowd = 'maybe' must be 0 or 1"),
        ({"annotation": {"caption": "\ud800"}}, "text", "half a character"),
        (
            {"annotation": {"id": 5, "bbox": [99, 99, 9, 9]}},
            "area",
            "instances.json, annotation 5 ",
        ),
    ],
    ids=str,
)
def test_a_region_that_is_none_is_named_by_file_and_entry(tmp_path, changes, kind, reason):
    captions = write_json(tmp_path / "c.json", {"annotations": [{"image_id": 7, "caption": "x"}]})
    config = CocoConfig(
        path=str(tmp_path),
        annotations=one_picture(tmp_path, **changes).annotations,
        captions=str(captions),
    )
    (problem,) = open_set(config).problems
    assert problem.kind == kind and "instances.json" in problem.reason
    assert reason in problem.reason
    problem.reason.encode()
    with pytest.raises(ValueError, match="none of the 1 regions of coco .* can be used: 1 "):
        open_mixture([config], DataConfig(), 64)
    assert len(open_mixture([config], DataConfig(use_regions=False), 64)) == 1


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"id": [7]}, "id of 'a.png' must be a number or a text, got [7]"),
        ({"id": None}, "id of 'a.png' must be a number or a text, got None"),
        ({"file_name": None}, "has no file_name"),
        ({"file_name": 5}, "has no file_name"),
        ({"width": HUGE}, "width = <a number of about 400 digits> is too large"),
        ({"width": 64.5}, "width = 64.5 is not a positive whole number"),
        ({"width": -1}, "width = -1 is not a positive whole number"),
    ],
    ids=str,
)
def test_an_image_that_is_none_is_named(tmp_path, image, reason):
    config = one_picture(tmp_path, image)
    problem = open_set(config).problems[0]
    assert reason in problem.reason
    with pytest.raises(ValueError, match="no sample of coco .* can be used: 1 samples whose words"):
        open_mixture([config], DataConfig(), 64)


def test_names_that_no_system_can_have_stop_nothing(tmp_path):
    for name in ("\ud800.png", "a\0.png", "x" * 5000 + ".png", ".", ".."):
        opened = open_set(one_picture(tmp_path, {"file_name": name}))
        with pytest.raises((OSError, ValueError)) as refusal:
            opened[0]
        assert len(str(refusal.value).encode()) < 1000


def test_crowds_are_counted(tmp_path):
    extra = [{"image_id": 7, "bbox": [0, 0, 9, 9], "iscrowd": told} for told in (1, "1", True)]
    instances = {**COCO, "annotations": [*COCO["annotations"], *extra]}
    report, _ = check_set(open_set(CocoConfig(**write_coco(tmp_path, instances))), Limits())
    assert report.crowds == 4 and "4 crowds (iscrowd), which are no regions" in report.to_text()
    assert report.problems == ()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"annotations": []}, "has no annotations: name the instances file that has"),
        ({"annotations": None}, "has no annotations"),
        ({"annotations": "none"}, "annotations in 'instances.json' must be a list"),
        ({"categories": {"1": "dog"}}, "categories in .* must be a list of objects"),
        ({"categories": [1]}, "categories in .* must be a list of objects"),
        ({"images": {}}, "it has no list of images"),
    ],
)
def test_a_file_without_what_is_needed_is_refused(tmp_path, more, reason):
    with pytest.raises(ValueError, match=reason):
        open_set(one_picture(tmp_path, **more))


@pytest.mark.parametrize("id_", [[1], {"a": 1}, None, True, ""])
def test_a_category_without_a_usable_id_costs_its_regions_alone(tmp_path, id_):
    categories = [{"id": id_, "name": "cat"}, {"id": 1, "name": "dog"}]
    opened = open_set(one_picture(tmp_path, categories=categories))
    assert regions(opened[0]) == [("dog", MIDDLE)]
    assert [problem.reason for problem in opened.problems] == [
        f"id of category 'cat' must be a number or a text, got {id_!r}"
    ]


def test_captions_of_another_split_are_refused(tmp_path):
    captions = {"annotations": [{"image_id": 99, "caption": "x"}]}
    with pytest.raises(ValueError, match="none of the captions in .* give both files of the same"):
        open_set(CocoConfig(**write_coco(tmp_path, captions=captions)))


def test_a_whole_number_of_any_length_costs_its_region_alone(tmp_path):
    write_picture(tmp_path / "a.png")
    digits = "9" * 10_000
    box = f'{{"label": "cat", "bbox": [0, 0, 1, {digits}]}}'
    (tmp_path / "a.bbox").write_text(f'[{{"label": "dog", "bbox": [0, 0, 1, 1]}}, {box}]')
    region = f'{{"text": "x", "box": [0, 0, 1, {digits}]}}'
    line = f'{{"image": "a.png", "caption": "x", "regions": [{region}]}}'
    file = write_lines(tmp_path / "set.jsonl", line, '{"image": "a.png", "caption": "\\ud800"}')
    bbox, lines = open_set(SidecarsConfig(path=str(tmp_path))), JsonLinesConfig(path=str(file))
    assert [region.text for region in bbox[0].regions] == ["dog"]
    opened = open_set(lines)
    assert [problem.key for problem in opened.problems] == ["set.jsonl:1", "set.jsonl:2"]
    assert len(opened) == 1 and opened[0].regions == ()
    region = {"text": "x", "box": [0, 0, 1, HUGE]}
    write_lines(file, {"image": "a.png", "caption": "x", "regions": [region]})
    (problem,) = open_set(lines).problems
    assert "<a number of about 400 digits> is not a finite number" in problem.reason


SIDECARS = {
    "a list": '[{"label": "dog", "bbox": [0.25, 0.25, 0.75, 0.75], "mask": "m.png"}]',
    "JSON lines": '{"label": "dog", "bbox": [0.25, 0.25, 0.75, 0.75]}\n\n',
    "one object": '{\n "label": "dog",\n "bbox": [0.25, 0.25, 0.75, 0.75]\n}',
    "YOLO's lines": "0 0.5 0.5 0.5 0.5\n",
    "YOLO's lines with a word": "dog 0.5 0.5 0.5 0.5",
    "an outline": "0 0.25 0.25 0.75 0.25 0.5 0.75",
    "with a byte order mark": '\ufeff[{"label": "dog", "bbox": [0.25, 0.25, 0.75, 0.75]}]',
}


@pytest.mark.parametrize("text", SIDECARS.values(), ids=SIDECARS)
def test_sidecars_are_read_in_all_forms(tmp_path, text):
    write_picture(tmp_path / "a.png")
    (tmp_path / "a.bbox").write_text(text, encoding="utf-8")
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    opened = open_set(SidecarsConfig(path=str(tmp_path)))
    assert (regions(opened[0]), opened.problems) == ([("dog", MIDDLE)], [])


def test_a_class_without_a_name_is_not_trained_on_as_a_number(tmp_path):
    write_picture(tmp_path / "a.png")
    (tmp_path / "a.bbox").write_text("3 0.5 0.5 0.5 0.5")
    (tmp_path / "a.txt").write_text("a yard")
    (problem,) = open_set(SidecarsConfig(path=str(tmp_path))).problems
    assert problem.reason.startswith("a.bbox, region 1 left out: class '3' has no name")
    assert "write the names of all classes into classes.txt" in problem.reason


LAYOUTS = [
    ("images/train/a.png", "labels/train/a.txt", "data.yaml", ""),
    ("train/images/a.png", "train/labels/a.txt", "data.yaml", ""),
    ("images/a.png", "labels/A.TXT", "classes.txt", ""),
    ("a.png", "a.txt", "obj.names", ""),
    ("images/train/a.png", "labels/train/a.txt", "data.yaml", "images/train"),
    ("train/images/a.png", "train/labels/a.txt", "data.yaml", "train"),
    ("obj_train_data/a.png", "obj_train_data/a.txt", "obj.names", ""),
]


@pytest.mark.parametrize(("image", "labels", "classes", "path"), LAYOUTS)
def test_yolo_is_read_in_its_layouts(tmp_path, image, labels, classes, path):
    write_picture(tmp_path / image)
    for name in (labels, classes):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / labels).write_text("1 0.5 0.5 0.5 0.5\n0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n")
    names = "names: [dog, brown horse]\nnc: 2\n" if classes == "data.yaml" else "dog\nbrown horse\n"
    (tmp_path / classes).write_text(names)
    opened = open_set(YoloConfig(path=str(tmp_path / path)))
    assert opened.problems == []
    assert regions(opened[0]) == [("brown horse", MIDDLE), ("dog", MIDDLE)]
    assert opened[0].captions == ("brown horse and dog",)


def test_yolo_pictures_of_a_split_can_have_captions(tmp_path):
    for split in ("train", "val"):
        write_picture(tmp_path / "images" / split / "a.png")
        (tmp_path / "images" / split / "a.txt").write_text("a yard\nan evening")
        (tmp_path / "labels" / split).mkdir(parents=True)
        (tmp_path / "labels" / split / "a.txt").write_text("0 0.5 0.5 0.5 0.5 0.9")
    write_picture(tmp_path / "images" / "val" / "empty.png")
    (tmp_path / "images" / "val" / "empty.txt").write_text("nothing in sight")
    (tmp_path / "data.yaml").write_text("names: {0: dog}\n")
    opened = open_set(YoloConfig(path=str(tmp_path), split="val"))
    assert [(x.key, x.captions) for x in opened] == [
        ("images/val/a.png", ("a yard", "an evening")),
        ("images/val/empty.png", ("nothing in sight",)),
    ]
    assert opened.problems == []


def test_a_pose_is_its_box(tmp_path):
    write_picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5 0.1 0.1 2 0.9 0.9 2")
    (tmp_path / "data.yaml").write_text("names: [dog]\nkpt_shape: [2, 3]\n")
    assert regions(open_set(YoloConfig(path=str(tmp_path)))[0]) == [("dog", MIDDLE)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("7 0.5 0.5 0.5 0.5", "class '7' has no name (names has 1, counted from 0)"),
        ("0 0.5 0.5 0.5", "has 3 numbers: expected a class and x, y, width and height"),
        ("0 0.5 x 0.5 0.5", "is no line of YOLO's"),
        ("0 nan 0.5 0.5 0.5", "nan is not a finite number"),
        ("0 1e999 0.5 0.5 0.5", "inf is not a finite number"),
        ("0 320 240 64 48", "is far outside: are these pixels?"),
        ("0 0.5 0.5 0 0.5", "has no area in the picture"),
        ("0 0.1 0.1 0.5 0.5 0.9 0.9 0.9", "has 7 numbers"),
        ("9" * 400 + " 0.5 0.5 0.5 0.5", "has no name"),
    ],
)
def test_a_line_that_is_none_of_yolos_is_named(tmp_path, line, reason):
    write_picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text(f"0 0.5 0.5 0.5 0.5\n{line}")
    (tmp_path / "classes.txt").write_text("dog")
    opened = open_set(YoloConfig(path=str(tmp_path)))
    (problem,) = opened.problems
    assert problem.reason.startswith("a.txt, region 2 left out: ") and reason in problem.reason
    assert regions(opened[0]) == [("dog", MIDDLE)]


@pytest.mark.parametrize(
    "text", ["names: 5", "[1, 2]", "names: [[a]]", "names: {x: dog}", "a: [", "names: \xff"]
)
def test_names_of_classes_that_cannot_be_read_are_refused(tmp_path, text):
    (tmp_path / "data.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"cannot read the names of classes in .*data\.yaml"):
        open_set(YoloConfig(path=str(tmp_path)))


def voc(box="<xmin>17</xmin><ymin>13</ymin><xmax>48</xmax><ymax>36</ymax>", name="dog", size=True):
    told = "<size><width>64</width><height>48</height><depth>3</depth></size>" if size else ""
    return (
        f"<annotation><filename>a.png</filename>{told}<object><name>{name}</name>"
        f"<part><name>tail</name><bndbox/></part><bndbox>{box}</bndbox></object></annotation>"
    )


@pytest.mark.parametrize(
    ("image", "xml"),
    [
        ("JPEGImages/a.png", "Annotations/a.xml"),
        ("VOC2012/JPEGImages/a.png", "VOC2012/Annotations/a.xml"),
        ("a.png", "a.xml"),
        ("images/a.png", "annotations/a.xml"),
        ("train/A.PNG", "train/a.XML"),
    ],
)
@pytest.mark.parametrize("size", [True, False])
def test_voc_is_read_in_its_layouts(tmp_path, image, xml, size):
    write_picture(tmp_path / image)
    (tmp_path / xml).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / xml).write_text(voc(size=size))
    opened = open_set(VocConfig(path=str(tmp_path)))
    assert (opened.problems, opened.clipped) == ([], 0)
    assert regions(opened[0]) == [("dog", MIDDLE)]


def test_a_split_of_voc_is_chosen(tmp_path):
    for name in ("a", "b"):
        write_picture(tmp_path / "JPEGImages" / f"{name}.png")
        write_picture(tmp_path / "Annotations" / "unused.png").unlink()
        (tmp_path / "Annotations" / f"{name}.xml").write_text(voc(name=name))
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "val.txt").write_text("b  1\n")
    opened = open_set(VocConfig(path=str(tmp_path), split="val"))
    assert [sample.key for sample in opened] == ["JPEGImages/b.png"]
    with pytest.raises(ValueError, match=r"split = 'test': there is no ImageSets/Main/test.txt"):
        open_set(VocConfig(path=str(tmp_path), split="test"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (voc(box=""), "give four numbers"),
        (voc(box=f"<xmin>{HUGE}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"), "finite"),
        (voc(name=""), "object has no name"),
        (voc()[:-9], "is not XML"),
        (f'<!DOCTYPE a [<!ENTITY x "dog">]>{voc(name="&x;")}', "has a DOCTYPE"),
        (voc(name="&x;"), "is not XML"),
        (voc().replace("64<", f"{HUGE}<"), "width = inf is not a positive whole number"),
        ("<a>" * 100_000, "is not XML"),
    ],
    ids=range(8),
)
def test_what_is_wrong_in_voc_is_named(tmp_path, text, reason):
    write_picture(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(text)
    problem = open_set(VocConfig(path=str(tmp_path))).problems[0]
    assert problem.key == "a.png" and "a.xml" in f"{problem.reason} a.xml"
    assert reason in problem.reason


def test_json_lines_find_pictures_of_another_system(tmp_path):
    write_picture(tmp_path / "pictures" / "Ä.png")
    lines = [
        {"image": name, "caption": "x"} for name in ("pictures\\ä.PNG", "C:\\set\\pictures\\Ä.png")
    ]
    opened = open_set(JsonLinesConfig(path=str(write_lines(tmp_path / "set.jsonl", *lines[:1]))))
    assert opened[0].open().size == (64, 48)


def test_a_pipe_in_place_of_annotations_is_refused(tmp_path):
    config = one_picture(tmp_path)
    os.remove(config.annotations)
    os.mkfifo(config.annotations)
    with pytest.raises(ValueError, match="cannot read the instances file .* it is a pipe"):
        open_set(config)


# how problems are told


def test_a_table_tells_problems_by_kind_with_the_first_and_what_to_do(tmp_path):
    boxes = [{"image_id": 7, "category_id": 18, "bbox": [0, 0, 0, n]} for n in range(5)]
    stray = [{"image_id": 99, "category_id": 18, "bbox": [0, 0, 9, 9]}]
    instances = {**COCO, "annotations": [*COCO["annotations"], *boxes, *stray]}
    report, _ = check_set(open_set(CocoConfig(**write_coco(tmp_path, instances))), Limits())
    lines = report.to_text().splitlines()
    start = lines.index(
        "6 problems; left out: 0 samples (0 for their pictures), 6 regions and 0 files"
    )
    assert lines[start + 1] == "        5  boxes without area in their picture"
    assert all(
        line.startswith("  a.png: instances.json, anno") for line in lines[start + 2 : start + 5]
    )
    assert lines[start + 5] == "  and 2 more" and lines[start + 6].startswith(
        "  to do: remove them"
    )
    assert lines[start + 7] == "        1  regions of pictures that the set does not know"


@pytest.mark.parametrize(
    ("samples", "count", "kinds", "message"),
    [
        (0, 0, ["unreadable"], "no sample of x can be used: 1 pictures that cannot be read; the"),
        (3, 0, ["area", "area", "text"], "none of the 3 regions of x can be used: 2 boxes without"),
        (3, 0, ["stray"], "none of the 1 regions"),
        (0, 0, [], "no sample of x can be used$"),
        (2, 1, ["area"], ""),
        (2, 0, ["unreadable", "lonely"], ""),
        (2, 0, [], ""),
    ],
)
def test_a_set_that_loses_everything_is_an_error(samples, count, kinds, message):
    problems = [Problem("a.png", "because", kind) for kind in kinds]
    if not message:
        check_losses("x", samples, count, problems)
    else:
        with pytest.raises(ValueError, match=message):
            check_losses("x", samples, count, problems)


def test_a_set_of_crowds_alone_is_an_error():
    with pytest.raises(ValueError, match="none of the 2 regions of x can be used: all are crowds"):
        check_losses("x", 3, 0, [], crowds=2)


@pytest.mark.parametrize("text", ["\ud800", "a" * 10_000, "\n\udfff", "x\ud800" * 999])
def test_a_problem_can_always_be_printed(text):
    problem = Problem(text, text)
    assert len(f"{problem.key}{problem.reason}".encode()) < 5000


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ('[{"label": "dog", "bbox": [0, 0, 1, 1]}]', 0, ""),
        ('[{"label": "dog", "bbox": [0, 0, 640, 480]}]', 2, "none of the 1 regions of bbox"),
        ('[{"label": "", "bbox": [0, 0, 1, 1]}]', 2, "1 regions without a usable text"),
        ("5 0.5 0.5 0.5 0.5", 2, "1 regions without a usable text; the first is a.png: a.bbox"),
        ("", 0, ""),
    ],
)
def test_the_command_fails_where_all_regions_are_lost(
    tmp_path, capsys, monkeypatch, text, code, error
):
    from train.__main__ import main

    write_picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a yard")
    (tmp_path / "a.bbox").write_text(text)
    words = ["train", "data", "check", "--kind", "bbox", "--path", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    assert main() == code
    said = capsys.readouterr()
    assert "1 samples, 1 captions" in said.out and error in said.err
