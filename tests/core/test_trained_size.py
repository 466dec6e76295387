"""Sizes of pictures that a checkpoint was trained for, and what is said of others."""

from dataclasses import replace

import pytest

from reco_core.checkpoint_info import CheckpointInfo, full_size
from reco_core.family import SD1

BUCKETS = ((384, 640), (448, 576), (512, 512), (576, 448), (640, 384))


def info(image_size: int | None, buckets=()) -> CheckpointInfo:
    return replace(full_size(SD1, 1000), image_size=image_size, buckets=buckets)


@pytest.mark.parametrize("size", [(512, 512), (128, 64)])
def test_where_the_size_is_not_said_none_is_remarked(size):
    assert info(None).trained_size() is None
    assert info(None).size_remark(*size) is None


@pytest.mark.parametrize("side", [128, 512])
def test_without_buckets_only_the_square_is_fit(side):
    assert info(side).trained_size() == (side, side)
    assert info(side).size_remark(side, side) is None


@pytest.mark.parametrize("size", [(512, 512), (128, 120), (136, 128), (64, 256), (120, 120)])
def test_another_size_is_remarked_with_the_one_to_take(size):
    remark = info(128).size_remark(*size)
    assert remark.kind == "size"
    assert f"the layout is {size[0]} x {size[1]}" in remark.message
    assert remark.message.endswith("make it 128 x 128.")


@pytest.mark.parametrize("size", [*BUCKETS, (640, 400), (400, 640)])
def test_with_buckets_all_within_their_areas_and_aspects_is_fit(size):
    assert info(512, BUCKETS).trained_size() == (512, 512)
    assert info(512, BUCKETS).size_remark(*size) is None


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        ((1024, 1024), "512 x 512"),  # area
        ((576, 456), "576 x 448"),
        ((256, 256), "512 x 512"),
        ((704, 352), "640 x 384"),  # aspect
        ((352, 704), "384 x 640"),
        ((1024, 256), "640 x 384"),
    ],
)
def test_with_buckets_what_lies_outside_is_remarked_with_the_nearest(size, nearest):
    message = info(512, BUCKETS).size_remark(*size).message
    assert "from 384 x 640 to 640 x 384" in message and message.endswith(f"make it {nearest}.")
    width, height = info(512, BUCKETS).nearest_size(*size)
    assert f"{width} x {height}" == nearest
