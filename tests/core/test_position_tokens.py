"""Bins, token ids and the starting values of their embedding rows."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reco_core.layout import Box
from reco_core.position_rows import ordered_rows, random_rows
from reco_core.position_tokens import PositionVocabulary

VOCABULARIES = st.sampled_from([2, 64, 999, 1000, 1001, 4096]).map(PositionVocabulary)


def test_corners_of_the_image_are_the_first_and_the_last_bin():
    assert PositionVocabulary().encode(Box(0, 0, 1, 1)) == (49408, 49408, 50407, 50407)


def test_halfway_coordinates_round_to_the_even_bin():
    vocabulary = PositionVocabulary(num_bins=6)  # 0.1 and 0.3 lie halfway between two bins
    assert [vocabulary.bin(v) for v in (0.1, 0.3, 0.5)] == [0, 2, 2]


@given(VOCABULARIES, st.data())
def test_bins_survive_the_way_through_coordinates(vocabulary, data):
    bin = data.draw(st.integers(0, vocabulary.num_bins - 1))
    assert vocabulary.bin(vocabulary.value(bin)) == bin


@given(VOCABULARIES, st.from_type(Box))
def test_decoded_box_is_at_most_half_a_bin_away_and_has_the_same_ids(vocabulary, box: Box):
    ids = vocabulary.encode(box)
    decoded = vocabulary.decode(ids)
    assert vocabulary.encode(decoded) == ids
    half_bin = 0.5 / (vocabulary.num_bins - 1) + 1e-12
    for name in ("x0", "y0", "x1", "y1"):
        assert abs(getattr(decoded, name) - getattr(box, name)) <= half_bin


@pytest.mark.parametrize("v", [-0.001, 1.001, math.nan])
def test_coordinate_outside_the_image_has_no_bin(v):
    with pytest.raises(ValueError, match="outside 0 to 1"):
        PositionVocabulary().bin(v)


@pytest.mark.parametrize("ids", [(49407, 49408, 49409, 49410), (49408, 49408, 49408, 50408)])
def test_words_are_not_position_tokens(ids):
    with pytest.raises(ValueError, match="outside 0 to 999"):
        PositionVocabulary().decode(ids)


def test_a_box_is_four_tokens():
    with pytest.raises(ValueError, match="four position tokens, got 3"):
        PositionVocabulary().decode((49408, 49408, 49409))


def test_one_bin_is_no_vocabulary():
    with pytest.raises(ValueError, match="num_bins = 1"):
        PositionVocabulary(1)


@pytest.mark.parametrize("make_rows", [ordered_rows, random_rows])
@pytest.mark.parametrize("num_bins", [2, 64, 1000])
def test_rows_have_the_asked_shape_and_spread_and_follow_the_seed(make_rows, num_bins):
    rows = make_rows(num_bins, 128, std=0.014, seed=3)
    assert rows.shape == (num_bins, 128) and rows.dtype == torch.float32
    assert rows.std().item() == pytest.approx(0.014, rel=1e-4)
    assert torch.equal(rows, make_rows(num_bins, 128, std=0.014, seed=3))
    assert not torch.equal(rows, make_rows(num_bins, 128, std=0.014, seed=4))


def test_ordered_rows_of_neighbours_are_alike_and_of_far_bins_are_not():
    rows = torch.nn.functional.normalize(ordered_rows(1000, 768, std=1.0), dim=1)
    similarity = rows @ rows.T
    assert similarity.diagonal(1).min() > 0.95
    assert similarity.diagonal(500).abs().max() < 0.5
    steps = [similarity.diagonal(step).mean() for step in (1, 2, 4, 8, 16)]
    assert steps == sorted(steps, reverse=True)


def test_random_rows_have_no_order():
    rows = torch.nn.functional.normalize(random_rows(1000, 768, std=1.0), dim=1)
    assert (rows @ rows.T).diagonal(1).mean().abs() < 0.02


def test_importing_reco_core_loads_no_heavy_package():
    heavy = "{'torch', 'numpy', 'PIL', 'safetensors', 'transformers', 'diffusers', 'comfy'}"
    code = f"import sys, reco_core; print(sorted({heavy} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
