"""Every kind of data set as samples."""

import copy
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from set_files import (
    COCO,
    THING,
    encoded,
    picture,
    write_coco,
    write_json,
    write_lines,
    write_picture,
    write_shard,
)

from reco_core.coco import layout_from_coco
from reco_core.layout import Box, Layout, Region
from reco_core.position_tokens import PositionVocabulary
from reco_core.sequence import build_sequence
from train.data.check import check_set
from train.data.coco import CocoConfig
from train.data.json_lines import JsonLinesConfig
from train.data.limits import Limits
from train.data.mixture import open_mixture
from train.data.options import DataConfig
from train.data.paintskills import PaintSkillsConfig
from train.data.problems import Problem
from train.data.region_texts import RetoldStream, read_region_texts
from train.data.sets import KINDS, open_set
from train.data.shapeskills_set import ShapeSkillsConfig
from train.data.shards import ShardsConfig
from train.data.sidecars import SidecarsConfig

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "tokens.json").read_text("utf-8"))
MIDDLE = Box(0.25, 0.25, 0.75, 0.75)


def said(sample):
    """Captions and regions as plain values."""
    return sample.captions, [(region.text, region.box) for region in sample.regions]


def everything(opened):
    """What a set holds, in a form that can be compared."""
    return [(sample.key, *said(sample), sample.width, sample.height) for sample in opened]


def test_golden_token_ids_come_out_of_samples(tmp_path):
    from train.model.tokenizer import plain_tokenize

    write_picture(tmp_path / "a.png")
    lines = [
        {
            "image": "a.png",
            "captions": [case["caption"]],
            "regions": [
                {"text": region["text"], "box": [v / 1000 for v in region["box_per_mille"]]}
                for region in case["regions"]
            ],
        }
        for case in GOLDEN
        if case["caption"]
    ]
    opened = open_set(JsonLinesConfig(path=str(write_lines(tmp_path / "set.jsonl", *lines))))
    cases = [case for case in GOLDEN if case["caption"]]
    assert len(opened) == len(cases)
    for case, sample in zip(cases, opened, strict=True):
        length = case["max_length"]
        layout = Layout(sample.captions[0], sample.regions)
        ids = build_sequence(layout, plain_tokenize(), length, PositionVocabulary(1000)).ids
        assert ids == case["ids"] + [49407] * (length - len(case["ids"]))


# COCO


def test_coco_pictures_come_with_all_captions_and_regions_but_crowds(tmp_path):
    opened = open_set(CocoConfig(**write_coco(tmp_path)))
    assert [sample.key for sample in opened] == ["a.png", "b.png", "c.png"]
    assert said(opened[0]) == (
        ("a dog and a mare", "two animals"),
        [("dog", MIDDLE), ("mare", Box(0.5, 0, 1, 1))],
    )
    assert np.array(opened[0].open())[12, 16].tolist() == list(THING)
    assert opened.problems == []


def test_coco_regions_are_those_of_the_nodes(tmp_path):
    opened = open_set(CocoConfig(**write_coco(tmp_path)))
    for sample in opened:
        assert sample.regions == layout_from_coco(COCO, sample.key).layout.regions


def test_a_picture_without_caption_says_what_is_in_it(tmp_path):
    options = {**write_coco(tmp_path), "captions": ""}
    opened = open_set(CocoConfig(**options))
    assert [sample.captions for sample in opened] == [("dog and mare",), ("horse",)]
    assert opened.problems == [Problem("c.png", "has neither a caption nor a region", "silent")]


def test_coco_annotations_that_are_not_legal_are_named_and_their_pictures_stay(tmp_path):
    bad = [
        {"id": 5, "image_id": 9, "category_id": 18, "bbox": [70, 0, 10, 10]},
        {"id": 6, "image_id": 9, "category_id": 18, "bbox": [0, 0, float("nan"), 10]},
        {"id": 7, "image_id": 9, "category_id": 18, "bbox": [0, 0, 10]},
        {"id": 8, "image_id": 9, "category_id": 99, "bbox": [0, 0, 10, 10]},
        {"id": 9, "image_id": 99, "category_id": 18, "bbox": [0, 0, 10, 10]},
    ]
    instances = {**COCO, "annotations": COCO["annotations"] + bad}
    opened = open_set(CocoConfig(**write_coco(tmp_path, instances)))
    assert said(opened[1]) == (("horse",), [("horse", Box(0, 0, 0.5, 0.5))])
    assert {problem.key for problem in opened.problems} == {"b.png", "image 99"}
    reasons = " ".join(problem.reason for problem in opened.problems)
    assert len(opened.problems) == 5
    for part in ("[70.0, 0.0, 10.0, 10.0] has no area", "nan", "got [0, 0, 10]", "neither a text"):
        assert part in reasons


def test_boxes_that_stick_out_are_cut_and_counted(tmp_path):
    instances = copy.deepcopy(COCO)
    instances["annotations"][0]["bbox"] = [-6.4, 0, 38.4, 24]
    instances["annotations"][1]["bbox"] = [16, 12, 48.000001, 36]  # rounding is no sticking out
    opened = open_set(CocoConfig(**write_coco(tmp_path, instances)))
    assert opened[1].regions == (Region("horse", Box(0, 0, 0.5, 0.5)),)
    assert (opened.clipped, opened.problems) == (1, [])


def test_a_second_look_finds_the_same(tmp_path):
    opened = open_set(CocoConfig(**write_coco(tmp_path)))
    assert everything(opened) == everything(opened)


def test_sets_go_to_reading_processes(tmp_path):
    opened = open_set(CocoConfig(**write_coco(tmp_path)))
    there = pickle.loads(pickle.dumps(opened))
    assert everything(there) == everything(opened)
    there[0].open()


def test_a_picture_that_is_missing_is_named(tmp_path):
    options = write_coco(tmp_path)
    (tmp_path / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.png"):
        open_set(CocoConfig(**options))[1]


def test_a_changed_picture_has_another_version(tmp_path):
    options = write_coco(tmp_path)
    before = open_set(CocoConfig(**options))[0].version
    write_picture(tmp_path / "a.png", box=(0, 0, 8, 8))
    assert open_set(CocoConfig(**options))[0].version != before


def test_a_file_that_is_not_coco_is_refused(tmp_path):
    options = write_coco(tmp_path, instances={"info": {}})
    with pytest.raises(ValueError, match="it has no list of images"):
        open_set(CocoConfig(**options))


@pytest.mark.parametrize(("samples", "keys"), [(2, ["a.png", "b.png"]), (0, None)])
def test_the_first_so_many_are_used(tmp_path, samples, keys):
    opened = open_set(CocoConfig(**write_coco(tmp_path), samples=samples))
    assert [sample.key for sample in opened] == (keys or ["a.png", "b.png", "c.png"])


# texts of regions from `data caption`


def test_region_captions_replace_the_texts(tmp_path):
    told = write_lines(
        tmp_path / "told.jsonl",
        {"key": "a.png", "index": 1, "text": "a brown mare", "box": [0.5, 0, 1, 1]},
        '{"key": "a.png", "ind',
    )
    opened = open_set(CocoConfig(**write_coco(tmp_path), region_captions=str(told)))
    assert [region.text for region in opened[0].regions] == ["dog", "a brown mare"]
    assert [region.text for region in opened[1].regions] == ["horse"]
    assert [problem.key for problem in opened.problems] == ["told.jsonl:2"]


def test_region_captions_of_another_set_are_refused(tmp_path):
    told = write_lines(tmp_path / "told.jsonl", {"key": "b.png", "index": 1, "text": "a cat"})
    opened = open_set(CocoConfig(**write_coco(tmp_path), region_captions=str(told)))
    with pytest.raises(ValueError, match=r"b\.png: region_captions has a text for region 2 of 1"):
        opened[1]


@pytest.mark.parametrize("key", ["d.png", "A.png", "pictures/a.png", "a.jpg", "0"])
def test_region_captions_that_are_for_no_sample_are_refused(key, tmp_path):
    """Once every sample was looked at: for a training, a check and a stream."""
    told = write_lines(tmp_path / "told.jsonl", {"key": key, "index": 0, "text": "a cat"})
    config = CocoConfig(**write_coco(tmp_path), region_captions=str(told))
    said = f"texts for 1 samples, such as .{key}.*none for those of this set, such as .[abc].png"
    with pytest.raises(ValueError, match=said):
        open_mixture([config], DataConfig(), 64)
    with pytest.raises(ValueError, match=said):
        check_set(open_set(config), Limits(616, 10), decode=False)
    members = {"one.png": encoded("PNG"), "one.txt": b"a horse"}
    shard = ShardsConfig(path=str(write_shard(tmp_path / "set.tar", members)))
    texts, problems = read_region_texts(told)
    with pytest.raises(ValueError, match="none for those of this set"):
        list(RetoldStream(open_set(shard), texts, problems).epoch(0, 0))


def test_region_captions_for_some_samples_will_do(tmp_path):
    told = write_lines(
        tmp_path / "told.jsonl",
        {"key": "gone.png", "index": 0, "text": "a cat"},
        {"key": "b.png", "index": 0, "text": "a foal"},
    )
    config = CocoConfig(**write_coco(tmp_path), region_captions=str(told))
    assert len(open_mixture([config], DataConfig(), 64)) == 3


# PaintSkills


def write_skill(folder):
    """Two scenes in the released form; a third has lost its picture."""
    scenes = [
        {"id": "color_val_00937", "text": "a photo of a red stop sign", "objects": []},
        {"id": "color_val_00003", "text": "a photo of 2 humans", "objects": []},
        {"id": "color_val_00004", "text": "a photo of a dog", "objects": []},
    ]
    images = [
        {"file_name": f"image_color_val_{n:05d}.png", "height": 720, "width": 720, "id": n}
        for n in (3, 937)
    ]
    things = [
        {"image_id": 937, "shape": "stopSign", "color": "red", "bbox": [180, 180, 360, 360]},
        {"image_id": 3, "shape": "humanSophie", "color": "plain", "bbox": [0, 0, 72, 720]},
    ]
    boxes = {"images": images, "annotations": [{"category_id": 13, **thing} for thing in things]}
    write_json(folder / "scenes" / "color_val.json", {"data": scenes})
    write_json(folder / "color_val_bounding_boxes.json", boxes)
    for image in images:
        write_picture(folder / "images" / image["file_name"], (720, 720))


def test_paintskills_scenes_meet_their_pictures(tmp_path):
    write_skill(tmp_path / "color")
    opened = open_set(PaintSkillsConfig(path=str(tmp_path / "color"), split="val"))
    assert [said(sample) for sample in opened] == [
        (("a photo of 2 humans",), [("human", Box(0, 0, 0.1, 1))]),
        (("a photo of a red stop sign",), [("red stop sign", MIDDLE)]),
    ]
    assert opened[1].open().size == (720, 720)
    assert [problem.key for problem in opened.problems] == ["color_val_00004"]


def test_a_skill_without_the_split_is_refused(tmp_path):
    write_skill(tmp_path / "color")
    with pytest.raises(ValueError, match=r"color_train\.json"):
        open_set(PaintSkillsConfig(path=str(tmp_path / "color")))


# JSON lines


def test_json_lines_hold_captions_regions_and_layouts(tmp_path):
    write_picture(tmp_path / "pictures" / "a.png")
    layout = Layout("a yard", (Region("a dog", MIDDLE),), 512, 384)
    file = write_lines(
        tmp_path / "set.jsonl",
        {
            "image": "pictures/a.png",
            "caption": "two dogs",
            "regions": [{"text": "a dog", "box": [0.25, 0.25, 0.75, 0.75]}],
        },
        {"image": "pictures/a.png", "layout": json.loads(layout.to_json())},
        "",
        {"image": "pictures/a.png", "captions": ["one", "two"], "width": 64, "height": 48},
    )
    opened = open_set(JsonLinesConfig(path=str(file)))
    assert everything(opened) == [
        ("pictures/a.png", ("two dogs",), [("a dog", MIDDLE)], 64, 48),
        ("pictures/a.png:2", ("a yard",), [("a dog", MIDDLE)], 64, 48),
        ("pictures/a.png:4", ("one", "two"), [], 64, 48),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"image": "a.png", "caption"', "not JSON"),
        ([1, 2], "expected an object, got \\[1, 2\\]"),
        ({"caption": "no picture"}, "must be a file's path, got None"),
        ({"image": "a.png"}, "neither a caption nor a usable region"),
        ({"image": "a.png", "captions": "a text"}, "must be texts, got 'a text'"),
        ({"image": "a.png", "caption": "x", "regions": {}}, "regions must be a list"),
        ({"image": "a.png", "caption": "x", "width": 0, "height": 9}, "width = 0 is not a pos"),
    ],
)
def test_a_broken_line_is_named_by_its_number(tmp_path, line, reason):
    write_picture(tmp_path / "a.png")
    file = write_lines(tmp_path / "set.jsonl", {"image": "a.png", "caption": "good"}, line)
    opened = open_set(JsonLinesConfig(path=str(file)))
    assert len(opened) == 1
    (problem,) = opened.problems
    assert problem.key == "set.jsonl:2"
    with pytest.raises(ValueError, match=reason):
        raise ValueError(problem.reason)


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        ({"text": "x", "box": [0.5, 0, 0.5, 1]}, "[0.5, 0, 0.5, 1] has no area"),
        ({"text": "x", "box": [0.6, 0, 0.5, 1]}, "x0 < x1"),
        ({"text": "x", "box": [16, 12, 48, 36]}, "are these pixels?"),
        ({"text": "x", "box": [0, 0, float("inf"), 1]}, "inf is not a finite number"),
        ({"text": "x", "box": ["0", 0, 1, 1]}, "'0' is not a finite number"),
        ({"text": " ", "box": [0, 0, 1, 1]}, "is empty"),
        ({"text": "x"}, "expected"),
    ],
)
def test_a_region_that_is_not_legal_is_left_out_and_its_sample_stays(tmp_path, region, reason):
    write_picture(tmp_path / "a.png")
    good = {"text": "good", "box": [-0.1, 0, 0.5, 1]}
    line = {"image": "a.png", "caption": "x", "regions": [region, good]}
    opened = open_set(JsonLinesConfig(path=str(write_lines(tmp_path / "set.jsonl", line))))
    assert opened[0].regions == (Region("good", Box(0, 0, 0.5, 1)),)
    assert opened.clipped == 1
    assert [problem.key for problem in opened.problems] == ["set.jsonl:1"]
    assert reason in opened.problems[0].reason


def test_the_size_is_that_of_the_picture_turned_upright(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    picture().save(tmp_path / "a.jpg", exif=turned)
    file = write_lines(tmp_path / "set.jsonl", {"image": "a.jpg", "caption": "x"})
    sample = open_set(JsonLinesConfig(path=str(file)))[0]
    assert (sample.width, sample.height) == sample.open().size == (48, 64)


# folders with .bbox files


def test_a_folder_is_read_with_the_files_beside_its_pictures(tmp_path):
    write_picture(tmp_path / "b.png")
    write_picture(tmp_path / "deep" / "a.webp")
    write_json(tmp_path / "deep" / "a.bbox", [{"label": "dog", "bbox": [0.25, 0.25, 0.75, 0.75]}])
    (tmp_path / "deep" / "a.txt").write_text("a dog\n\na pet\n")
    (tmp_path / "b.caption").write_text("a yard")
    opened = open_set(SidecarsConfig(path=str(tmp_path)))
    assert everything(opened) == [
        ("b.png", ("a yard",), [], 64, 48),
        ("deep/a.webp", ("a dog", "a pet"), [("dog", MIDDLE)], 64, 48),
    ]
    assert opened.problems == []


def test_what_a_folder_has_in_vain_is_named(tmp_path):
    for name in ("silent", "broken", "good"):
        write_picture(tmp_path / f"{name}.png")
    (tmp_path / "broken.bbox").write_text('[{"label": "dog"')
    entries = [{"label": "dog", "bbox": [0, 0, 1, 1]}, {"label": "cat"}]
    write_json(tmp_path / "good.bbox", entries)
    write_json(tmp_path / "alone.bbox", entries)
    opened = open_set(SidecarsConfig(path=str(tmp_path)))
    assert [sample.captions for sample in opened] == [("dog",)]
    reasons = {problem.key: problem.reason for problem in opened.problems}
    assert set(reasons) == {"alone.bbox", "broken.png", "silent.png", "good.png"}
    assert "region 2 left out: expected an object like" in reasons["good.png"]
    assert "broken .bbox file" in reasons["broken.png"]


# shards


@pytest.fixture
def shards(tmp_path):
    """Four shards of five samples; their captions name shard and sample."""
    for shard in range(4):
        members = {}
        for number in range(5):
            name = f"{shard}{number}"
            members[f"{name}.jpg"] = encoded()
            if number % 2:
                data = {
                    "caption": name,
                    "regions": [{"text": "x", "box": [0.25, 0.25, 0.75, 0.75]}],
                }
                members[f"{name}.json"] = json.dumps(data).encode()
            else:
                members[f"{name}.txt"] = name.encode()
                members[f"{name}.bbox"] = b'[{"label": "x", "bbox": [0.25, 0.25, 0.75, 0.75]}]'
        write_shard(tmp_path / f"set-{shard}.tar", members)
    return str(tmp_path / "set-{0..3}.tar")


def captions(opened, *arguments):
    return [sample.captions[0] for sample in opened.epoch(*arguments)]


def test_shards_hold_the_same_samples_as_files(shards):
    samples = {sample.key: sample for sample in open_set(ShardsConfig(path=shards)).epoch(0, 0)}
    assert len(samples) == 20
    for name in ("set-1.tar/12", "set-1.tar/13"):
        assert said(samples[name]) == ((name[-2:],), [("x", MIDDLE)])
        assert samples[name].open().size == (64, 48) == (samples[name].width, samples[name].height)


def test_an_epoch_of_shards_depends_on_its_arguments_alone(shards):
    opened = open_set(ShardsConfig(path=shards))
    first = captions(opened, 0, 0)
    assert captions(opened, 0, 0) == first == captions(open_set(ShardsConfig(path=shards)), 0, 0)
    assert captions(opened, 1, 0) != first != captions(opened, 0, 1)
    assert sorted(captions(opened, 1, 0)) == sorted(first) == sorted(set(first))


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_workers_share_an_epoch_without_gap_and_overlap(shards, workers):
    opened = open_set(ShardsConfig(path=shards))
    shares = [captions(opened, 2, 5, worker, workers) for worker in range(workers)]
    assert sorted(sum(shares, [])) == sorted(captions(opened, 2, 5))
    assert all(shares)


def test_an_epoch_of_shards_can_be_limited(shards):
    opened = open_set(ShardsConfig(path=shards, samples=7))
    shares = [captions(opened, 0, 0, worker, 2) for worker in range(2)]
    assert [len(share) for share in shares] == [4, 3]


def test_what_is_broken_in_shards_is_named_once(tmp_path, shards):
    whole = (tmp_path / "set-3.tar").read_bytes()
    (tmp_path / "set-3.tar").write_bytes(whole[:700])
    (tmp_path / "set-2.tar").unlink()
    members = {"a.jpg": encoded(), "b.jpg": b"no picture", "b.txt": b"b", "c.txt": b"c"}
    write_shard(tmp_path / "set-1.tar", members)
    opened = open_set(ShardsConfig(path=shards))
    for epoch in range(2):
        assert {"00", "01", "02", "03", "04"} <= set(captions(opened, epoch, 0))
    keys = sorted(problem.key.removeprefix(f"{tmp_path}/") for problem in opened.problems)
    assert keys == ["set-1.tar/a", "set-1.tar/b", "set-1.tar/c", "set-2.tar", "set-3.tar"]


SAMPLES, BLOCK = 6, 512


def whole_tar(path, form=""):
    """A shard of SAMPLES; returns the place in it of the fourth, in bytes where it is plain."""
    members = {}
    for number in range(SAMPLES):
        members |= {f"{number}.jpg": encoded(), f"{number}.txt": f"{number}".encode()}
    write_shard(path, members, form)
    return [member.offset for member in tarfile.open(path)][6]


def cut_at_a_sample(data, place):
    return data[:place]


def cut_in_a_picture(data, place):
    return data[: place + BLOCK + 100]


def a_hole(data, place):
    return data[:place] + bytes(2 * BLOCK) + data[place + 2 * BLOCK :]


def bad_bytes(data, place):
    return data[:place] + b"\xff" * BLOCK + data[place + BLOCK :]


def half_an_end(data, place):
    return data[:place] + bytes(BLOCK)


def two_after_one_another(data, place):
    return data + data


@pytest.mark.parametrize(
    ("damage", "kept", "reason"),
    [
        (cut_at_a_sample, 2, "it ends without the mark"),
        (cut_in_a_picture, 2, "unexpected end of data"),
        (a_hole, 2, "more follows the mark"),
        (bad_bytes, 2, "what follows is no file's header"),
        (half_an_end, 2, "it ends with half of the mark"),
        (two_after_one_another, SAMPLES - 1, "more follows the mark"),
    ],
)
def test_a_shard_that_is_not_read_to_its_end_is_named(damage, kept, reason, tmp_path):
    """The sample before the damage is left out too, as some of its members may be missing."""
    path = tmp_path / "set.tar"
    place = whole_tar(path)
    path.write_bytes(damage(path.read_bytes(), place))
    opened = open_set(ShardsConfig(path=str(path)))
    assert sorted(captions(opened, 0, 0)) == [str(number) for number in range(kept)]
    (problem,) = opened.problems
    assert (problem.key, problem.kind) == (str(path), "shard")
    assert problem.reason.startswith(f"only {kept} samples of it were read, the rest is cut or dam")
    assert reason in problem.reason


@pytest.mark.parametrize("form", ["", "gz", "bz2", "xz"])
def test_a_whole_shard_has_no_problem_and_a_cut_one_has_however_it_is_compressed(form, tmp_path):
    path = tmp_path / "set.tar"
    whole_tar(path, form)
    opened = open_set(ShardsConfig(path=str(path)))
    assert len(captions(opened, 0, 0)) == SAMPLES and not opened.problems
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert len(captions(opened, 0, 0)) < SAMPLES and len(opened.problems) == 1


def test_a_shard_from_a_pipe_is_read_to_its_end(tmp_path):
    whole_tar(tmp_path / "set.tar")
    opened = open_set(ShardsConfig(path=f"pipe:cat {tmp_path / 'set.tar'}"))
    assert len(captions(opened, 0, 0)) == SAMPLES and not opened.problems


# all of them


def test_shapeskills_are_a_set(tmp_path):
    opened = open_set(ShapeSkillsConfig(samples=3, seed=1), shapes_size=64)
    assert len(list(opened)) == 3
    assert opened[2].open().size == (64, 64) == (opened[2].width, opened[2].height)
    assert everything(opened) == everything(opened)
    with pytest.raises(ValueError, match="samples = 0"):
        open_set(ShapeSkillsConfig())


@pytest.mark.parametrize("kind", ["coco", "paintskills", "json_lines", "bbox", "shards"])
def test_a_set_without_path_is_refused(kind):
    with pytest.raises(ValueError, match="path = ''"):
        open_set(KINDS[kind][0]())
