"""`python -m train data check`: what a set holds, what is cut, what is broken."""

import json
from pathlib import Path

import pytest
from PIL import Image
from set_files import COCO, encoded, write_coco, write_lines, write_picture, write_shard
from train_command import train

from train.data.check import Limits, check_set
from train.data.json_lines import JsonLinesConfig
from train.data.problems import Problem
from train.data.report import Cut, Summary
from train.data.sets import open_set
from train.data.shards import ShardsConfig

ROOT = Path(__file__).resolve().parents[2]


SAMPLE = {"jpg": encoded(), "txt": b"two dogs"}


def run(*words):
    return train("data", "check", *words)


def check(config, decode=True, **limits):
    return check_set(open_set(config), Limits(**limits), decode)[0]


@pytest.fixture
def lines(tmp_path):
    """Writes a JSON lines set of pictures a.png, b.png, ...; returns its config."""

    def write(*samples):
        named = zip("abcdefgh", samples, strict=False)
        objects = [{"image": f"{name}.png", "caption": "x", **sample} for name, sample in named]
        for one in objects:
            write_picture(tmp_path / one["image"], (64, 48))
        return JsonLinesConfig(path=str(write_lines(tmp_path / "set.jsonl", *objects)))

    return write


def region(text, *box):
    return {"text": text, "box": box}


def test_counts_boxes_and_tokens(lines):
    config = lines(
        {
            "caption": "two dogs",
            "regions": [
                region("a dog", 0.25, 0.25, 0.75, 0.5),
                region("a dog", -0.2, 0.5, 0.5, 1),
                region("dot", 0.5, 0.5, 0.52, 0.52),
            ],
        },
        {"captions": ["a yard", "a garden of many colors"], "width": 64, "height": 48},
    )
    report = check(config)
    assert (report.samples, report.captions, report.regions) == (2, 3, 3)
    assert report.regions_per_sample == {0: 1, 3: 1}
    assert (report.touching, report.tiny, report.clipped) == (1, 1, 1)
    assert report.common_texts == (("a dog", 2), ("dot", 1))
    assert report.width == Summary(64, 64, 64, 64)
    assert report.area.maximum == pytest.approx(0.25)
    assert report.aspect.maximum == pytest.approx(0.5 / 0.25 * 64 / 48)
    assert (report.caption.minimum, report.caption.maximum) == (4, 7)  # with BOS and EOS
    assert (report.region.minimum, report.region.maximum) == (7, 8)  # and four positions
    assert (report.sequence.minimum, report.sequence.maximum) == (7, 4 + 8 + 8 + 7)
    assert report.cuts == report.problems == ()


def test_samples_that_are_cut_are_named_with_what_is_lost(lines):
    box = (0, 0, 1, 1)
    config = lines(
        {"caption": "two dogs", "regions": [region("a dog", *box), region("a cat", *box)]},
        {"caption": "a dog " * 10},
        {"caption": "two dogs", "regions": [region("a dog", *box)]},
    )
    assert check(config, max_length=12).cuts == (
        Cut("a.png", 8, "1 of 2 regions do not fit: a cat"),
        Cut("b.png", 10, "the caption alone has 22 tokens"),
    )
    assert [cut.key for cut in check(config, max_length=12, num_bins=0).cuts] == ["b.png"]
    assert check(config, max_length=22).cuts == ()


def test_no_more_regions_are_counted_than_training_draws(lines):
    regions = [region("large", 0, 0, 1, 1), *[region("small", 0, 0, 0.1, 0.1)] * 5]
    report = check(lines({"regions": regions}), max_regions=1)
    assert (report.drawn_from, report.regions) == (1, 6)
    assert report.sequence.maximum == 3 + 7


def test_every_broken_picture_is_named_and_the_rest_counted(tmp_path, lines):
    config = lines({}, {}, {}, {"width": 46, "height": 64}, {"image": "gone.png"}, {})
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.png").write_text("no picture")
    (tmp_path / "gone.png").unlink()
    report = check(config)
    assert report.samples == 2
    reasons = {problem.key: problem.reason for problem in report.problems}
    assert set(reasons) == {"b.png", "sample 3", "d.png", "sample 5"}
    assert reasons["b.png"].startswith("the picture cannot be read: ")
    assert reasons["d.png"] == "the picture is 64 x 48 pixels, its entry says 46 x 64"
    assert reasons["sample 3"].startswith("c.png: ")
    assert reasons["sample 5"].startswith("gone.png: ")


def test_pictures_are_left_alone_on_request(tmp_path, lines):
    config = lines({"width": 64, "height": 48})
    (tmp_path / "a.png").write_text("no picture")
    assert (check(config, decode=False).samples, check(config).samples) == (1, 0)


def test_shards_are_checked_too(tmp_path):
    members = {"a.jpg": encoded(), "a.txt": b"two dogs", "b.jpg": encoded()[:400], "b.txt": b"b"}
    write_shard(tmp_path / "set.tar", members)
    report = check(ShardsConfig(path=str(tmp_path / "set.tar")))
    assert (report.samples, report.captions) == (1, 1)
    assert [problem.key for problem in report.problems] == ["set.tar/b"]


def test_a_cut_shard_is_a_problem_of_its_set(tmp_path):
    members = {f"{n}.{suffix}": data for n in "ab" for suffix, data in SAMPLE.items()}
    path = write_shard(tmp_path / "set.tar", members)
    path.write_bytes(path.read_bytes().rstrip(b"\0"))
    result = run("--kind", "shards", "--path", path)
    assert result.returncode == 0 and "1 samples, 1 captions" in result.stdout
    assert "left out: 0 samples (0 for their pictures), 0 regions and 1 files" in result.stdout
    assert f"  {path}: only 1 samples of it were read, the rest is cut" in result.stdout


def test_the_command_prints_and_writes_what_it_found(tmp_path):
    instances = {
        **COCO,
        "images": [*COCO["images"], {"id": 1, "file_name": "d.png", "width": 9, "height": 9}],
    }
    options = write_coco(tmp_path, instances)
    words = [part for name, value in options.items() for part in (f"--{name}", value)]
    sheet, found = tmp_path / "sheet.png", tmp_path / "found.json"
    result = run(*words, "--max-length", 12, "--sheet", sheet, "--json", found)
    assert result.returncode == 0, result.stderr
    for line in (
        "3 samples, 4 captions, 3 regions",
        "  a.png: 9 tokens too many, 2 of 2 regions do not fit: dog, mare",
        "  d.png: has neither a caption nor a region",
    ):
        assert line in result.stdout.splitlines()
    (report,) = json.loads(found.read_text("utf-8"))
    assert (report["kind"], report["samples"], report["max_length"]) == ("coco", 3, 12)
    assert report["problems"] == [
        vars(Problem("d.png", "has neither a caption nor a region", "silent"))
    ]
    with Image.open(sheet) as drawn:
        assert drawn.width > 3 * 400


def test_the_command_checks_all_sets_of_a_configuration(tmp_path):
    write_picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("two dogs")
    config = tmp_path / "config.toml"
    config.write_text(
        "image_size = 64\n[model]\nmax_length = 30\n"
        "[[data.sets]]\nsamples = 2\n"
        '[[data.sets]]\nkind = "bbox"\npath = "nowhere"\n'
    )
    result = run("--config", config, f"data.sets.1.path={tmp_path}", "--no-decode")
    assert result.returncode == 0, result.stderr
    for line in ("shapeskills", f"bbox {tmp_path}", "every sequence fits into L = 30"):
        assert line in result.stdout.splitlines()


def test_a_set_without_a_usable_sample_is_an_error(tmp_path):
    write_picture(tmp_path / "a.png")
    result = run("--kind", "bbox", "--path", tmp_path)
    assert result.returncode == 2
    assert "  a.png: has neither a caption nor a usable region" in result.stdout.splitlines()
    assert f"error: no sample of bbox '{tmp_path}' can be used" in result.stderr
