"""The COCO suite: from the set's files and models in folders to figures."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from set_files import write_json
from tiny_models import save_checkpoint, save_clip, save_detector, save_features

from reco_core.layout import Box
from train.evaluate.coco import CocoOptions, coco_suite
from train.evaluate.frechet import FrechetDistance, to_bytes

SIZE = 64
COLOURS = {"dog": (200, 30, 40), "horse": (30, 60, 200), "cat": (20, 160, 60)}
PICTURES = 6


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Nothing is looked up on the hub, as on a machine without network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def models(tmp_path_factory, clip_tokenizer):
    folder = tmp_path_factory.mktemp("models")
    return {
        "clip": save_clip(folder / "clip", clip_tokenizer),
        "detector": save_detector(folder / "detector", ["Dog", "N/A", "horse", "zebra"]),
        "inception": save_features(folder / "features.pt"),
    }


@pytest.fixture
def files(tmp_path):
    """Pictures of 96 x 64 pixels: a dog at the left, half of it outside of the middle square, a
    horse in the middle, and in every second one a cat."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(PICTURES):
        image = {"id": number, "file_name": f"{number}.png", "width": 96, "height": 64}
        boxes = {"dog": (8, 8, 16, 24), "horse": (40, 16, 24, 32), "cat": (64, 40, 12, 12)}
        if number % 2:
            del boxes["cat"]
        ground = tuple(int(value) for value in rng.integers(200, 255, 3))
        picture = Image.new("RGB", (96, 64), ground)
        for name, (x, y, w, h) in boxes.items():
            picture.paste(COLOURS[name], (x, y, x + w, y + h))
            category = list(COLOURS).index(name) + 1
            annotation = {"id": len(annotations), "image_id": number, "category_id": category}
            annotations.append({**annotation, "bbox": [x, y, w, h]})
        picture.save(tmp_path / image["file_name"])
        images.append(image)
    categories = [{"id": place, "name": name} for place, name in enumerate(COLOURS, start=1)]
    instances = {"images": images, "annotations": annotations, "categories": categories}
    captions = [{"image_id": n, "caption": f"a yard, number {n}"} for n in range(PICTURES)]
    return {
        "images": str(tmp_path),
        "annotations": str(write_json(tmp_path / "instances.json", instances)),
        "captions": str(write_json(tmp_path / "captions.json", {"annotations": captions})),
        "size": SIZE,
    }


def real_pictures(suite):
    """Opens what the layouts were taken from."""
    return lambda case: suite.truth[case.name].open_real()


def texts(case):
    return [region.text for region in case.layout.regions]


def test_layouts_are_the_middle_of_real_pictures(files):
    suite = coco_suite(CocoOptions(**files, seed=100))
    assert [case.name for case in suite.cases] == [str(n) for n in range(PICTURES)]
    assert [case.seed for case in suite.cases] == [100 + n for n in range(PICTURES)]
    layout = suite.cases[0].layout
    assert (layout.caption, layout.width, layout.height) == ("a yard, number 0", SIZE, SIZE)
    assert [(region.text, region.box) for region in layout.regions] == [
        ("horse", Box(24 / 64, 16 / 64, 48 / 64, 48 / 64)),
        ("dog", Box(0, 8 / 64, 8 / 64, 32 / 64)),  # 16 pixels are outside
        ("cat", Box(48 / 64, 40 / 64, 60 / 64, 52 / 64)),
    ]
    picture = suite.truth["0"].open_real()
    assert picture.size == (SIZE, SIZE)
    for region in layout.regions:
        x0, y0, x1, y1 = region.box.covered_pixels(SIZE, SIZE)
        assert picture.getpixel(((x0 + x1) // 2, (y0 + y1) // 2)) == COLOURS[region.text]


def test_some_layouts_are_the_same_with_any_seed_and_keep_their_own(files):
    every = coco_suite(CocoOptions(**files)).cases
    some = coco_suite(CocoOptions(**files, layouts=3)).cases
    assert len(some) == 3 and set(some) <= set(every)
    others = coco_suite(CocoOptions(**files, layouts=3, seed=7)).cases
    assert [case.layout for case in others] == [case.layout for case in some]
    assert len(coco_suite(CocoOptions(**files, max_regions=1)).cases[0].layout.regions) == 1


def test_region_captions_are_drawn_and_categories_stay_the_truth(files, tmp_path):
    told = tmp_path / "told.jsonl"
    told.write_text(json.dumps({"key": "0.png", "index": 1, "text": "a blue mare"}) + "\n")
    suite = coco_suite(CocoOptions(**files, region_captions=str(told)))
    assert [region.text for region in suite.cases[0].layout.regions] == [
        "a blue mare",
        "dog",
        "cat",
    ]
    assert suite.truth["0"].classes == ("horse", "dog", "cat")


def test_words_of_annotations_are_drawn_and_categories_stay_the_truth(files, tmp_path):
    instances = json.loads((tmp_path / "instances.json").read_text())
    instances["annotations"][0]["caption"] = "a red puppy"
    write_json(tmp_path / "instances.json", instances)
    suite = coco_suite(CocoOptions(**files))
    assert [region.text for region in suite.cases[0].layout.regions] == [
        "horse",
        "a red puppy",
        "cat",
    ]
    assert suite.truth["0"].classes == ("horse", "dog", "cat")


def test_what_has_no_model_is_not_measured_and_says_what_to_give(files):
    suite = coco_suite(CocoOptions(**files))
    result = suite.score(real_pictures(suite))
    assert result.figures["pictures"] == PICTURES
    assert result.figures["regions"] == 3 * 3 + 3 * 2
    assert not {"fid", "scene_fid_squared", "ap", "clip_region_accuracy"} & result.figures.keys()
    (row,) = result.tables[0].rows
    cells = dict(zip(result.tables[0].columns, row, strict=True))
    assert cells["FID"] == "not measured: give --inception"
    assert cells["AP %"] == "not measured: give --detector"
    assert cells["CLIP region accuracy %"] == "not measured: give --clip"


def test_every_measure_from_models_in_folders(files, models, tmp_path):
    """Drawn are the real pictures upside down, saved and opened one at a time."""
    suite = coco_suite(CocoOptions(**files, **models, batch_size=4, device="cpu"))
    for case in suite.cases:
        picture = suite.truth[case.name].open_real().rotate(180)
        picture.save(tmp_path / f"drawn_{case.name}.png")
    opened = []

    def open_drawn(case):
        opened.append(case.name)
        return Image.open(tmp_path / f"drawn_{case.name}.png").convert("RGB")

    result = suite.score(open_drawn)
    assert opened == [case.name for case in suite.cases]
    figures = result.figures
    distances = {figures[name] for name in ("fid", "scene_fid_stretched", "scene_fid_squared")}
    assert len(distances) == 3 and min(distances) > 0.01
    for name in ("ap", "ap50", "ap75", "clip_region_accuracy"):
        assert 0 <= figures[name] <= 1
    assert figures["clip_score"] == pytest.approx(
        np.mean([max(100 * r["clip_cosine"], 0) for p in result.pictures for r in p.regions])
    )
    assert set(figures["categories"]) == set(COLOURS)
    assert "The detector lacks and AP leaves out: cat." in result.tables[0].note
    assert all(isinstance(cell, int | float) for cell in result.tables[0].rows[0][1:])
    for picture in result.pictures:
        assert 0 <= picture.score <= 1
        assert len(picture.regions) == len(picture.case.layout.regions)
        for region in picture.regions:
            assert region["class_right"] == (region["clip_class"] == region["class"])
            assert ("iou" in region) == (region["class"] != "cat")
    json.dumps([result.figures, [dict(r) for p in result.pictures for r in p.regions]])


def test_real_pictures_are_a_row_of_their_own(files, models):
    """A detector and CLIP say of them what they say of drawn pictures that are the same."""
    suite = coco_suite(CocoOptions(**files, **models, real=True, device="cpu"))
    result = suite.score(real_pictures(suite))
    assert result.figures["real"] == {
        name: result.figures[name]
        for name in ("clip_region_accuracy", "clip_score", "clip_cosine", "ap", "ap50", "ap75")
    }
    table = result.tables[0]
    drawn, real = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert (drawn["of"], real["of"]) == ("drawn", "real")
    assert drawn["CLIP cosine"] == real["CLIP cosine"]
    assert drawn["FID"] is not None and real["FID"] is None
    blank = suite.score(lambda case: Image.new("RGB", (SIZE, SIZE))).figures
    assert blank["real"] == result.figures["real"]
    assert blank["clip_cosine"] != result.figures["clip_cosine"]


def test_the_command_draws_and_measures(files, models, tmp_path, monkeypatch, capsys):
    from train.__main__ import main

    options = {**files, **models, "layouts": 3, "sampler": "ddim", "steps": 2, "batch-size": 2}
    options |= {"suite": "coco", "checkpoint": save_checkpoint(tmp_path / "x.safetensors")}
    output = tmp_path / "scores"
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr(
        "sys.argv", ["train", "evaluate", *words, "--real", "--output", str(output)]
    )
    assert main() == 0, capsys.readouterr().err
    report = (output / "report.md").read_text()
    assert (
        "CLIP region accuracy %" in report and "| real |" in report and "not measured" not in report
    )
    scores = json.loads((output / "scores.json").read_text())
    assert {"scene_fid_stretched", "scene_fid_squared"} <= scores["figures"].keys()


def test_real_pictures_have_no_distance_to_themselves_and_scoring_again_says_the_same(
    files, models
):
    suite = coco_suite(CocoOptions(**files, inception=models["inception"], device="cpu"))
    first, again = (suite.score(real_pictures(suite)).figures for _ in range(2))
    assert first["fid"] == pytest.approx(0, abs=1e-3)
    for name in ("scene_fid_stretched", "scene_fid_squared"):
        assert first[name] == pytest.approx(0, abs=1e-3)
    assert first == again


def test_one_picture_is_too_few_for_a_distance(files, models):
    suite = coco_suite(CocoOptions(**files, layouts=1, inception=models["inception"]))
    result = suite.score(real_pictures(suite))
    assert "fid" not in result.figures
    assert "not measured: too few" in result.tables[0].rows[0]


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"clip": "nobody/no-such-clip"}, r"--clip 'nobody/no-such-clip': no CLIP model is in"),
        ({"detector": "/no/such/folder"}, r"--detector '/no/such/folder': no object detector"),
        ({"inception": "/no/weights.pth"}, r"--inception '/no/weights.pth' is not a file"),
    ],
)
def test_a_model_that_is_not_there_is_told_before_anything_is_drawn(files, option, reason):
    with pytest.raises(ValueError, match=reason):
        coco_suite(CocoOptions(**files, **option))


def test_a_model_of_another_kind_is_refused(files, models, tmp_path):
    with pytest.raises(ValueError, match="is no CLIP model: this is a model of type 'yolos'"):
        coco_suite(CocoOptions(**files, clip=models["detector"]))
    with pytest.raises(ValueError, match="is no object detector: "):
        coco_suite(CocoOptions(**files, detector=models["clip"]))
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="neither the weights of FID's Inception"):
        coco_suite(CocoOptions(**files, inception=str(tmp_path / "weights.pth")))


def test_a_detector_of_other_things_is_refused(files, tmp_path):
    detector = save_detector(tmp_path / "detector", ["zebra", "kite"])
    with pytest.raises(ValueError, match=r"knows none of the set's categories \(dog, horse, cat"):
        coco_suite(CocoOptions(**files, detector=detector))


def noise(count, seed, low=0):
    pixels = np.random.default_rng(seed).integers(low, 256, (count, 8, 8, 3), dtype=np.uint8)
    return [Image.fromarray(x) for x in pixels]


def test_the_distance_is_torchmetrics_own_and_the_formulas():
    from scipy.linalg import sqrtm
    from tiny_models import MeanColours
    from torchmetrics.image.fid import FrechetInceptionDistance

    real, drawn = noise(40, 0), noise(30, 1, low=60)
    distance = FrechetDistance(MeanColours(), "cpu", batch_size=7)
    distance.add(real, real=True)
    distance.add(drawn, real=False)

    own = FrechetInceptionDistance(feature=MeanColours())
    own.update(to_bytes(real), real=True)
    own.update(to_bytes(drawn), real=False)
    assert distance.result() == pytest.approx(float(own.compute()), rel=1e-4)

    a, b = (MeanColours()(to_bytes(x)).double().numpy() for x in (real, drawn))
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shared = sqrtm(covariances[0] @ covariances[1]).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(sum(covariances) - 2 * shared)
    assert distance.result() == pytest.approx(expected, rel=1e-4)


def test_weights_of_fids_inception_are_opened_and_give_its_features(tmp_path):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    from train.evaluate.frechet import open_features

    class Random(FeatureExtractorInceptionV3):
        """Built as it is before weights are read."""

        def load_state_dict(self, state):
            pass

    torch.manual_seed(0)
    torch.save({}, tmp_path / "empty.pth")
    network = Random("inception", ["2048"], str(tmp_path / "empty.pth"))
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    pictures = to_bytes(noise(1, 0))
    features = open_features(str(tmp_path / "weights.pth"), "cpu")(pictures)
    assert features.shape == (1, 2048)
    # 299 pixels are not resized again, so that torch-fidelity's own path gives the same
    torch.testing.assert_close(features, network(pictures)[0], rtol=1e-3, atol=1e-4)
    assert math.isfinite(float(features.sum())) and float(features.std()) > 0
