"""What is measured on held-out samples while a model trains."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from reco_core.family import SD1
from reco_core.layout import Box, Layout, Region
from reco_core.position_tokens import CLIP_VOCABULARY_SIZE
from train.data.mixture import Mixture
from train.data.sample import Sample
from train.data.shapeskills import Split, render, sample
from train.fit.validation import Validation, fixed_view, foreign_boxes
from train.model.autoencoder import build_autoencoder
from train.model.embeddings import neighbour_cosine, position_token_rows
from train.model.latents import TinyCodec
from train.model.options import ModelConfig
from train.model.text_to_image import new_model

SMALL = {"unet_channels": (32, 32), "text_width": 32, "text_layers": 1, "text_heads": 2}


def small_model(**sizes):
    codec = TinyCodec(build_autoencoder(8), SD1)
    return new_model(ModelConfig(**SMALL, max_length=96, **sizes), codec, seed=0)


@pytest.fixture(scope="module")
def model():
    return small_model(num_bins=100)


@dataclass
class Drawn:
    """A set of ShapeSkills scenes; size: side of each picture, counts: things in each."""

    counts: tuple[int, ...]
    sizes: tuple[int, ...]

    def __getitem__(self, index):
        scene = sample(
            index, 3, Split.VALIDATION, self.sizes[index], (self.counts[index],), sides=(0.15, 0.3)
        )
        return Sample(
            str(index),
            (scene.layout.caption,),
            scene.layout.regions,
            self.sizes[index],
            self.sizes[index],
            lambda: render(scene.scene),
        )


def held_out(counts, sizes=None):
    sizes = sizes or (32,) * len(counts)
    return mixture_of([Drawn(counts, sizes)], [(0, n) for n in range(len(counts))], sizes)


def mixture_of(sets, entries, sides):
    squares = np.array([(side, side) for side in sides])
    return Mixture(sets, np.array(entries), squares, np.full(len(sides), -1))


def measured(model, mixture, micro_batch, **options):
    words = model.words(6)
    validation = Validation(model, mixture, words, (300,), 0, micro_batch, **options)
    return validation.measure()


@pytest.mark.parametrize(
    ("counts", "sizes"),
    [
        ((1, 1, 1, 1, 1), None),
        ((1, 2, 3, 4, 2), None),
        ((4, 1), None),
        ((2, 2, 2, 2, 2, 2), (32, 48, 32, 48, 32, 48)),
        ((1, 3, 1), (32, 48, 64)),  # no two samples can be in a batch
    ],
)
def test_figures_do_not_depend_on_the_batch(model, counts, sizes):
    one, *others = (measured(model, held_out(counts, sizes), size) for size in (1, 2, 4))
    assert one["gap"] != 0 and one["gap"] == pytest.approx(one["foreign"] - one["right"])
    for other in others:
        assert other == pytest.approx(one, rel=1e-3, abs=1e-4)


def test_samples_without_boxes_do_not_thin_out_the_gap(model):
    """A sample whose caption alone is told has no boxes that could be wrong."""
    boxed = held_out((2, 2))
    sets, entries = [*boxed.sets, Bare(boxed.sets[0])], [(0, 0), (0, 1), (1, 0), (1, 1)]
    mixture = mixture_of(sets, entries, (32,) * 4)
    validation = Validation(model, mixture, model.words(6), (300,), 0, 1)
    with torch.no_grad():
        wrong = [validation._clean_error(n, validation.foreign[n][0]) for n in (0, 1)]
    assert validation.measure()["foreign"] == pytest.approx(float(torch.cat(wrong).mean()))


class Bare:
    """A set without its regions."""

    def __init__(self, of):
        self.of = of

    def __getitem__(self, index):
        return replace(self.of[index], regions=())


@pytest.mark.parametrize(
    ("counts", "options"), [((2,), {}), ((1, 1), {"use_regions": False})], ids=["alone", "unread"]
)
def test_there_is_no_gap_without_boxes_of_others(model, counts, options):
    assert not {"gap", "right", "foreign"} & measured(model, held_out(counts), 1, **options).keys()


def test_a_model_that_is_told_in_words_has_a_gap_too():
    model = small_model(num_bins=0, positional_words=True)
    first, second = (measured(model, held_out((2, 2, 2)), size) for size in (1, 3))
    assert first["gap"] != 0 and second == pytest.approx(first, rel=1e-3, abs=1e-4)


def layout(*corners):
    return Layout("", tuple(Region(f"thing {x}", Box(x, 0.0, x + 0.1, 0.5)) for x in corners))


@pytest.mark.parametrize(
    ("own", "foreign"),
    [
        (((0.1,), (0.2,), (0.3,)), ((0.2,), (0.3,), (0.1,))),
        (((0.1, 0.2), (0.3,), (0.4, 0.5)), ((0.4, 0.5), (0.4,), (0.1, 0.2))),
        (((0.1, 0.2, 0.3), (0.4,)), ((0.4, 0.4, 0.4), (0.1,))),
        (((0.1,), (0.1,), (0.1, 0.2), (0.5,)), ((0.5,), (0.5,), (0.5, 0.5), (0.1,))),
        (((0.1,), (), (0.2,)), ((0.2,), (), (0.1,))),
        (((0.1, 0.2), (0.1, 0.2)), ((), ())),
        (((0.1,),), ((),)),
    ],
)
def test_foreign_boxes_are_those_of_one_other_layout_of_the_whole_set(own, foreign):
    found = foreign_boxes([layout(*corners) for corners in own])
    assert [tuple(box.x0 for box in boxes) for boxes in found] == list(foreign)


def test_foreign_boxes_change_position_tokens_and_nothing_else(model):
    mixture, words = held_out((2, 3, 1)), model.words(6)
    validation = Validation(model, mixture, words, (300,), 0, 1)
    for number, (batch, (ids, _)) in enumerate(
        zip(validation.batches, validation.foreign, strict=True)
    ):
        _, _, own = fixed_view(mixture, number, 6)
        is_position = batch.ids >= CLIP_VOCABULARY_SIZE
        assert int(is_position.sum()) == 4 * len(own.regions)
        assert torch.equal(is_position, ids >= CLIP_VOCABULARY_SIZE)
        assert torch.equal(batch.ids[~is_position], ids[~is_position])
        assert not torch.equal(batch.ids, ids)


def test_the_neighbour_cosine_tells_order_from_noise():
    steps = torch.linspace(0, 3, 100)
    ordered = torch.stack([steps.cos(), steps.sin()], 1)
    assert neighbour_cosine(ordered) == pytest.approx(float(torch.tensor(3 / 99).cos()), abs=1e-5)
    assert neighbour_cosine(torch.tensor([[1.0, 0], [0, 1], [-1, 0]])) == pytest.approx(0)
    assert neighbour_cosine(torch.tensor([[1.0, 0], [-2, 0], [3, 0]])) == pytest.approx(-1)
    noise = torch.randn(1000, 64, generator=torch.Generator().manual_seed(0))
    assert abs(neighbour_cosine(noise)) < 0.02


def test_validation_follows_the_order_of_the_rows(model):
    mixture = held_out((1, 1))
    rows = position_token_rows(model.text_encoder)
    before = measured(model, mixture, 1)["neighbour_cosine"]
    assert before > 0.9, "rows start in order"
    kept = rows.clone()
    try:
        rows.copy_(torch.randn(rows.shape, generator=torch.Generator().manual_seed(0)))
        assert abs(measured(model, mixture, 1)["neighbour_cosine"]) < 0.3
    finally:
        rows.copy_(kept)
    plain = small_model(num_bins=0, positional_words=True)
    assert "neighbour_cosine" not in measured(plain, mixture, 1)
