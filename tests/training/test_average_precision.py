"""Average precision against pycocotools itself, and on answers that are known."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reco_core.layout import Box
from train.evaluate.average_precision import PrecisionTally, average_precision
from train.evaluate.clip_scores import clip_score, cosines, nearest_categories
from train.evaluate.detection import Detection, read_detections

CATEGORIES = ["dog", "horse", "traffic light"]
SIZE = (200, 100)


def random_box(rng):
    x0, y0 = rng.uniform(0, 0.7, 2)
    return Box(x0, y0, x0 + rng.uniform(0.05, 0.3), y0 + rng.uniform(0.05, 0.3))


def random_truth(rng, pictures=12):
    return [
        [(str(rng.choice(CATEGORIES)), random_box(rng)) for _ in range(rng.integers(0, 5))]
        for _ in range(pictures)
    ]


def guesses(rng, truth):
    """Some true boxes, some moved, some of nothing."""
    found = [
        Detection(label.title(), rng.uniform(), moved(rng, box))
        for label, box in truth
        for _ in range(rng.integers(0, 3))
    ]
    return [*found, Detection("dog", rng.uniform(), random_box(rng))]


def moved(rng, box):
    x, y = rng.normal(0, 0.03, 2)
    corners = np.clip([box.x0 + x, box.y0 + y, box.x1 + x, box.y1 + y], 0, 1)
    return Box(*corners.tolist())


def by_pycocotools(detections, truth, tmp_path):
    """Its own way: files read by COCO and loadRes."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def row(number, image, label, box):
        x0, y0, x1, y1 = box.x0 * SIZE[0], box.y0 * SIZE[1], box.x1 * SIZE[0], box.y1 * SIZE[1]
        bbox = [x0, y0, x1 - x0, y1 - y0]
        category = CATEGORIES.index(label.lower())
        own = {"id": number, "image_id": image, "category_id": category, "bbox": bbox}
        return {**own, "area": bbox[2] * bbox[3], "iscrowd": 0}

    boxes = [(image, *box) for image, some in enumerate(truth) for box in some]
    instances = {
        "images": [{"id": n} for n in range(len(truth))],
        "categories": [{"id": n, "name": name} for n, name in enumerate(CATEGORIES)],
        "annotations": [row(n, *box) for n, box in enumerate(boxes, start=1)],
    }
    results = [
        {**row(0, image, x.label, x.box), "score": x.score}
        for image, some in enumerate(detections)
        for x in some
    ]
    for name, data in (("truth", instances), ("results", results)):
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    coco = COCO(tmp_path / "truth.json")
    evaluation = COCOeval(coco, coco.loadRes(str(tmp_path / "results.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[:3].tolist()


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_are_pycocotools_own(seed, tmp_path, capsys):
    rng = np.random.default_rng(seed)
    truth = random_truth(rng)
    detections = [guesses(rng, some) for some in truth]
    expected = by_pycocotools(detections, truth, tmp_path)
    capsys.readouterr()
    result = average_precision(detections, truth, CATEGORIES, SIZE)
    assert capsys.readouterr().out == ""
    assert [result.ap, result.ap50, result.ap75] == pytest.approx(expected)
    assert 0 < result.ap < result.ap50 < 1
    assert result.ap == pytest.approx(np.mean(list(result.by_category.values())))


def test_a_perfect_detector_has_ap_1():
    rng = np.random.default_rng(0)
    truth = random_truth(rng)
    perfect = [[Detection(label, 0.9, box) for label, box in some] for some in truth]
    result = average_precision(perfect, truth, CATEGORIES, SIZE)
    assert [result.ap, result.ap50, result.ap75] == pytest.approx([1, 1, 1])
    assert result.by_category == pytest.approx(dict.fromkeys(CATEGORIES, 1))


def test_a_detector_that_finds_nothing_has_ap_0_and_nothing_to_find_has_none():
    truth = [[("dog", Box(0, 0, 0.5, 0.5))], []]
    assert average_precision([[], []], truth, CATEGORIES).ap == 0
    assert average_precision([[], []], [[], []], CATEGORIES) is None


def test_a_box_counts_at_the_thresholds_that_its_overlap_reaches():
    truth = [[("dog", Box(0, 0, 0.4, 0.5))]]
    found = [[Detection("dog", 0.9, Box(0, 0, 0.4, 0.31))]]  # IoU 0.62: 3 of 10
    result = average_precision(found, truth, CATEGORIES)
    assert [result.ap, result.ap50, result.ap75] == pytest.approx([0.3, 1, 0])


def test_the_wrong_class_is_not_found_and_other_classes_do_not_count():
    truth = [[("dog", Box(0, 0, 0.5, 0.5))]]
    horse = Detection("horse", 0.9, Box(0, 0, 0.5, 0.5))
    zebra = Detection("zebra", 1.0, Box(0, 0, 0.5, 0.5))
    dog = Detection("dog", 0.5, Box(0, 0, 0.5, 0.5))
    assert average_precision([[horse]], truth, CATEGORIES).ap == 0
    assert average_precision([[zebra, dog]], truth, CATEGORIES).ap == pytest.approx(1)


def test_weak_detections_can_be_left_out():
    tally = PrecisionTally(CATEGORIES, min_score=0.3)
    box = Box(0, 0, 0.5, 0.5)
    tally.add([Detection("dog", 0.2, box)], [("dog", box)], SIZE)
    assert tally.result().ap == 0


def test_detections_are_cut_at_the_picture_and_come_best_first():
    found = {
        "scores": torch.tensor([0.2, 0.9, 0.5]),
        "labels": torch.tensor([0, 1, 1]),
        "boxes": torch.tensor([[-0.5, 0.25, 0.5, 0.75], [0.5, 0.5, 1.5, 1.25], [1.5, 0, 2, 1]]),
    }
    assert [(x.label, x.box) for x in read_detections(found, {0: "dog", 1: "horse"})] == [
        ("horse", Box(0.5, 0.5, 1, 1)),
        ("dog", Box(0, 0.25, 0.5, 0.75)),
    ]


# CLIP


def unit(rows):
    return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float32), dim=-1)


def test_a_crop_is_of_the_category_whose_prompt_is_nearest():
    categories = unit([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    crops = unit([[0.9, 0.1, 0], [0.1, 0.2, 0.9], [-1, 0.1, 0], [0, 0.6, 0.5]])
    assert nearest_categories(crops, categories) == [0, 2, 1, 1]
    assert nearest_categories(crops[:0], categories) == []


@given(st.floats(-1, 1))
def test_clip_score_is_100_times_the_cosine_and_never_negative(cosine):
    turn = np.sqrt(1 - cosine**2)
    (found,) = cosines(torch.tensor([[1.0, 0.0]]), torch.tensor([[cosine, turn]]))
    assert found == pytest.approx(cosine, abs=1e-6)
    assert clip_score(cosine) == max(0, 100 * cosine)


class Tensors:
    """A CLIP whose features are tensors, as before transformers 5 and as torchmetrics expects."""

    def __init__(self, model):
        self.model, self.config, self.to = model, model.config, lambda device: self

    def get_image_features(self, pixels):
        return self.model.get_image_features(pixels).pooler_output

    def get_text_features(self, ids, mask):
        return self.model.get_text_features(ids, mask).pooler_output


def test_clip_scores_are_those_of_torchmetrics(tmp_path, clip_tokenizer):
    from PIL import Image
    from tiny_models import save_clip
    from torchmetrics.functional.multimodal import clip_score as torchmetrics_score

    from train.evaluate.clip_scores import ClipFeatures

    clip = ClipFeatures(save_clip(tmp_path / "clip", clip_tokenizer), "cpu", batch_size=2)
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (24 + 8 * n, 40, 3), dtype=np.uint8) for n in range(5)]
    texts = ["a red dog", "two horses in a field", "x", "a traffic light", "a cat"]
    own = cosines(clip.of_pictures([Image.fromarray(x) for x in pixels]), clip.of_texts(texts))
    for array, text, cosine in zip(pixels, texts, own, strict=True):
        tensor = torch.from_numpy(array).permute(2, 0, 1)
        with torch.no_grad():
            expected = torchmetrics_score(
                tensor, text, lambda: (Tensors(clip.model), clip.processor)
            )
        assert clip_score(cosine) == pytest.approx(float(expected), abs=1e-3)
    assert len({round(x, 4) for x in own}) == len(own)
    # longer than CLIP's 77 tokens: the end is cut off, EOS stays (torchmetrics loses it)
    long, longer = clip.of_texts(["a dog " * 40 + "x", "a dog " * 60])
    torch.testing.assert_close(long, longer)
