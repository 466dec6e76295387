"""The size of micro-batches that is kept for the next start."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from train.data.batch import Batch
from train.fit.micro_batch import FILE, keep_micro_batch, kept_halvings, size_after


def batch_of(size):
    tensors = {f.name: torch.zeros(size, 4) for f in fields(Batch)}
    return Batch(**tensors | {"problems": (), "cut": 0})


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 5, 6, 8, 12])
def test_sizes_are_those_of_the_parts_that_a_batch_is_split_into(micro_batch):
    batch = batch_of(micro_batch)
    for halvings in range(5):
        parts = batch.split(2**halvings)
        assert max(map(len, parts)) == size_after(halvings, micro_batch)
        assert -(-micro_batch // size_after(halvings, micro_batch)) == len(parts)


@pytest.mark.parametrize(("micro_batch", "halvings"), [(8, 1), (9, 2), (16, 2), (4, 0), (1, 0)])
def test_the_next_start_has_no_more_samples_at_once_than_were_kept(micro_batch, halvings, tmp_path):
    assert kept_halvings(tmp_path, micro_batch) == 0
    keep_micro_batch(tmp_path, 4)
    assert kept_halvings(tmp_path, micro_batch) == halvings


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"micro_batch": 0}', '{"micro_batch": "4"}'])
def test_a_file_that_says_no_size_is_named(text, tmp_path):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match=f"{FILE}.*does not say how many samples"):
        kept_halvings(tmp_path, 8)
