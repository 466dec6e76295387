"""`python -m train evaluate` looks at what it is given before it draws, and goes on over what
cannot be used."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from PIL import Image
from set_files import write_json
from tiny_models import save_checkpoint, save_features

from train.__main__ import main
from train.evaluate.coco import CocoOptions, coco_suite
from train.evaluate.coco_measures import FrechetMeasure, Shown, middle_square
from train.evaluate.draw import Studio, open_checkpoint
from train.evaluate.drawing import Drawing
from train.evaluate.shapeskills import ShapeSkillsOptions, ShapeSkillsSuite
from train.evaluate.suite import Case

LONG = "a dog and " * 60
PICTURES = 4


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint") / "x.safetensors")


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    return save_features(tmp_path_factory.mktemp("models") / "features.pt")


def coco_files(folder, words=None, captions=None):
    """PICTURES grey pictures with two dogs each; words: number -> texts of its regions."""
    annotations, told = [], []
    for number in range(PICTURES):
        Image.new("RGB", (64, 64), (40 * number, 99, 200)).save(folder / f"{number}.png")
        for x, text in zip((0, 32), (words or {}).get(number, ("a dog", "a dog")), strict=True):
            annotations.append(
                {"id": len(annotations), "image_id": number, "category_id": 1, "caption": text}
                | {"bbox": [x, 0, 20 - x // 8, 64]}
            )
        told.append({"image_id": number, "caption": (captions or {}).get(number, "a yard")})
    images = [
        {"id": n, "file_name": f"{n}.png", "width": 64, "height": 64} for n in range(PICTURES)
    ]
    instances = {"images": images, "annotations": annotations}
    instances["categories"] = [{"id": 1, "name": "dog"}]
    return {
        "images": str(folder),
        "annotations": str(write_json(folder / "instances.json", instances)),
        "captions": str(write_json(folder / "captions.json", {"annotations": told})),
    }


@pytest.fixture
def evaluate(monkeypatch, capsys, checkpoint, tmp_path):
    """Run the command in this process: (exit code, what it printed, what it said went wrong)."""

    def run(**options):
        options = {"checkpoint": checkpoint, "output": tmp_path / "scores", **options}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        monkeypatch.setattr("sys.argv", ["train", "evaluate", *words])
        return main(), *capsys.readouterr()

    return run


QUICK = {"sampler": "ddim", "steps": 1, "size": 64, "batch-size": 2}


# what cannot be read


def truncated(path):
    path.write_bytes(path.read_bytes()[:70])


def of_another_size(path):
    Image.new("RGB", (32, 64)).save(path)


def a_folder(path):
    path.unlink()
    path.mkdir()


def as_text(path):
    path.write_text("no picture")


def a_damaged_chunk(path):
    data = bytearray(path.read_bytes())
    place = data.index(b"IDAT") + 8
    data[place : place + 8] = b"\xff" * 8
    path.write_bytes(data)


BROKEN = {
    "missing": lambda path: path.unlink(),
    "truncated": truncated,
    "empty": lambda path: path.write_bytes(b""),
    "text": as_text,
    "folder": a_folder,
    "another size": of_another_size,
    "damaged": a_damaged_chunk,
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_picture_that_cannot_be_measured_is_left_out_and_named(broken, inception, tmp_path):
    files = coco_files(tmp_path)
    broken(tmp_path / "2.png")
    suite = coco_suite(CocoOptions(**files, size=64, inception=inception, device="cpu"))
    assert [case.name for case in suite.cases] == ["0", "1", "3"]
    assert [case.seed for case in suite.cases] == [0, 1, 3], "others keep their noise"
    (problem,) = suite.left_out["pictures"]
    assert problem.key == "2.png" and problem.reason
    result = suite.score(lambda case: suite.truth[case.name].open_real())
    assert result.figures["pictures"] == 3 and "fid" in result.figures


def test_a_set_without_a_usable_picture_is_refused(tmp_path):
    files = coco_files(tmp_path)
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with pytest.raises(ValueError, match=r"none of the 4 layouts can be used, first 0\.png: "):
        coco_suite(CocoOptions(**files, size=64))


# what does not fit


@pytest.mark.parametrize(
    ("words", "captions", "told"),
    [
        ({3: ("a dog", LONG)}, {}, {"3": "1 region of 2 cannot be told"}),
        ({1: (LONG, "a dog")}, {}, {"1": "2 regions of 2 cannot be told"}),
        ({0: (LONG, LONG), 2: ("a dog", LONG)}, {}, {"0": "2 regions", "2": "1 region of 2"}),
        ({}, {1: LONG}, {"1": "the end of its caption and 2 regions of 2 cannot be told"}),
        ({}, {n: LONG for n in range(4)}, {str(n): "the end of its caption" for n in range(4)}),
        ({}, {}, {}),
    ],
)
def test_what_does_not_fit_is_left_out_as_in_training_and_named(
    words, captions, told, evaluate, tmp_path
):
    files = coco_files(tmp_path, words, captions)
    code, said, wrong = evaluate(suite="coco", **files, **QUICK)
    assert code == 0, wrong
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    found = {one["key"]: one["reason"] for one in scores["left_out"].get("texts", [])}
    assert found.keys() == told.keys()
    for name, begins in told.items():
        assert found[name].startswith(begins) and "more than the checkpoint's 96" in found[name]
    assert (f"**Left out, texts: {len(told)}.**" in said) == bool(told)
    assert scores["figures"]["pictures"] == PICTURES and scores["figures"]["regions"] == 8


# cheap before slow


@pytest.fixture
def no_model(monkeypatch):
    """Fails the test when a model is opened that might have to be fetched."""

    def fetched(*arguments):
        raise AssertionError(f"opened {arguments} before what is on this machine was looked at")

    for module in ("clip_scores", "detection"):
        monkeypatch.setattr(f"train.evaluate.{module}.load_pretrained", fetched)
    monkeypatch.setattr("train.evaluate.draw.load_model", fetched)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suite": "paintskills", "path": "/nowhere"}, "/nowhere"),
        ({"suite": "coco", "images": "/nowhere"}, "'/nowhere' is not a folder"),
        ({"suite": "coco", "annotations": "/no/instances.json"}, "/no/instances.json"),
        ({"suite": "coco", "captions": "/no/captions.json"}, "/no/captions.json"),
        ({"suite": "coco", "region-captions": "/no/told.jsonl"}, "/no/told.jsonl"),
        ({"suite": "coco", "inception": "/no/weights.pth"}, "'/no/weights.pth' is not a file"),
        ({"suite": "coco", "checkpoint": "/no/file.safetensors"}, "/no/file.safetensors"),
        ({"suite": "coco", "people": "/no/other.safetensors"}, "/no/other.safetensors"),
        ({"suite": "coco", "device": "cuda:77"}, "'cuda:77': this machine has no such device"),
        ({"suite": "coco", "device": "gpu"}, "'gpu': this machine has no such device"),
        ({"suite": "coco", "sampler": "guesswork"}, "guesswork"),
    ],
)
def test_nothing_is_opened_for_long_before_a_mistake_is_told(
    options, message, no_model, evaluate, tmp_path
):
    files = coco_files(tmp_path) if options["suite"] == "coco" else {}
    named = {"detector": "nobody/detector"} | ({"clip": "nobody/clip"} if files else {})
    code, _, wrong = evaluate(**(files | named | QUICK | options))
    assert code == 2 and message in wrong and len(wrong.strip().splitlines()) == 1
    assert not (tmp_path / "scores").exists()


# memory


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
@pytest.mark.parametrize("batch_size", [5, 2, 1])
def test_memory_that_is_too_little_for_one_picture_is_told_as_that(
    error, batch_size, checkpoint, tmp_path, monkeypatch
):
    """After smaller batches were tried; what helps is an option of this command."""
    tried = []

    def full(model, layouts, *rest):
        tried.append(len(layouts))
        raise error

    suite = ShapeSkillsSuite(ShapeSkillsOptions(layouts=5, parts=("mixed",), size=64))
    studio = Studio(open_checkpoint_once(checkpoint), Drawing(batch_size=batch_size), tmp_path)
    monkeypatch.setattr("train.model.sampling.denoise", full)
    said = (
        "while a single picture of 64 x 64 pixels was drawn.*: give --precision fp16.*--device cpu"
    )
    with pytest.raises(ValueError, match=said) as caught:
        studio.draw(suite.cases)
    assert tried == [size for size in (5, 2, 1) if size <= batch_size]
    assert "compute.precision" not in str(caught.value)


def open_checkpoint_once(path):
    from pathlib import Path

    return open_checkpoint(Path(path))


def test_memory_that_runs_out_in_loading_or_scoring_is_told_as_that(
    checkpoint, tmp_path, monkeypatch
):
    from train.evaluate.command import evaluate

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    suite = ShapeSkillsSuite(ShapeSkillsOptions(layouts=1, parts=("mixed",), size=64))
    studio = Studio(open_checkpoint_once(checkpoint), Drawing(batch_size=6), tmp_path)
    monkeypatch.setattr("train.evaluate.draw.load_model", full)
    with pytest.raises(ValueError, match=r"while x\.safetensors was loaded.*--device cpu"):
        studio.draw(suite.cases)
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (64, 64)).save(studio.path(suite.cases[0]))
    monkeypatch.setattr(suite, "score", full)
    with pytest.raises(ValueError, match="while pictures were scored .*: give --batch-size 3"):
        evaluate(suite, studio)
    monkeypatch.setattr(suite, "score", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate(suite, studio)


# figures of too few pictures


def test_a_distance_of_too_few_pictures_warns_in_every_output(evaluate, inception, tmp_path):
    """4 pictures and 8 crops in 12 features."""
    files = coco_files(tmp_path)
    code, said, wrong = evaluate(suite="coco", **files, **QUICK, inception=inception)
    assert code == 0, wrong
    report = (tmp_path / "scores" / "report.md").read_text()
    warnings = json.loads((tmp_path / "scores" / "scores.json").read_text())["warnings"]
    assert [one.split(" of ")[0] for one in warnings] == [
        "FID",
        "SceneFID stretched",
        "SceneFID squared",
    ]
    assert "4 pictures in 12 features" in warnings[0] and "8 crops in 12 features" in warnings[1]
    for warning in warnings:
        assert "at least 12" in warning and "singular" in warning
        assert f"**Warning:** {warning}." in report and warning in said


@pytest.mark.parametrize(("pictures", "warns"), [(2, True), (11, True), (12, False), (13, False)])
def test_the_limit_is_as_many_pictures_as_features(pictures, warns):
    from tiny_models import MeanColours

    from reco_core.layout import Box, Layout, Region

    measure = FrechetMeasure("colours", MeanColours(), "cpu", 16)
    layout = Layout("", (Region("a dog", Box(0, 0, 0.5, 1)),), 8, 8)
    for number in range(pictures):
        picture = Image.effect_noise((8, 8), 20 + number).convert("RGB")
        shown = Shown(Case("x", layout, 0), (None,), picture, picture.copy, [{}])
        measure.add([shown])
    assert bool(measure.warnings()) == warns
    assert f"{pictures} pictures" in measure.notes()[0]


@pytest.mark.parametrize(
    ("size", "cut"),
    [
        ((8, 8), (0, 0, 8, 8)),
        ((12, 4), (4, 0, 8, 4)),
        ((3, 9), (0, 3, 3, 6)),
        ((5, 2), (1, 0, 3, 2)),
        ((1, 7), (0, 3, 1, 4)),
    ],
)
def test_a_squared_crop_is_the_middle_of_a_box(size, cut):
    picture = Image.effect_noise(size, 99)
    assert middle_square(picture).tobytes() == picture.crop(cut).tobytes()


def test_a_folder_without_pictures_takes_other_options(evaluate, tmp_path):
    """What was refused before anything was drawn leaves no trace that stands in the way."""
    files = coco_files(tmp_path)
    shutil.rmtree(tmp_path / "scores", ignore_errors=True)
    assert evaluate(suite="coco", **files, **QUICK, clip="/nowhere")[0] == 2
    assert evaluate(suite="coco", **files, **QUICK | {"steps": 2})[0] == 0
