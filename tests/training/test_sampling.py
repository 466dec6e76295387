"""Pictures from layouts: second passes over what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_checkpoint import HEADS, Size, random_state_dict
from torch.nn.functional import interpolate

from reco_core.layout import Box, Layout, Region
from train.model.sampling import SecondPass, Start, denoise, sample_batch, to_image
from train.model.text_to_image import load_model

LAYOUT = Layout("a cat", (Region("a hat", Box(0.1, 0.2, 0.6, 0.7)),), 64, 40)


@pytest.fixture(scope="module")
def model():
    metadata = {"format": "reco", "num_bins": "1000", "max_length": "96", **HEADS}
    return load_model(random_state_dict(Size(max_length=96), torch.float32), metadata)


def drawn(model, noise, sampler="euler", start=None, steps=3):
    return denoise(model, [LAYOUT] * len(noise), noise, steps, 3.0, sampler, None, start)


def test_all_of_the_way_over_nothing_is_a_first_pass(model):
    noise = torch.randn(2, 4, 5, 8, generator=torch.manual_seed(0))
    start = Start(torch.zeros_like(noise), 1.0)
    assert torch.equal(drawn(model, noise), drawn(model, noise, start=start))


@pytest.mark.parametrize("sampler", ["euler", "ddim", "plms", "HeunDiscreteScheduler"])
def test_less_of_the_way_keeps_more(model, sampler):
    """What the model does with noise aside: the distance from where it began."""
    noise = torch.randn(1, 4, 5, 8, generator=torch.manual_seed(0))
    begun = 3 * torch.randn(1, 4, 5, 8, generator=torch.manual_seed(1))
    moved = [
        float((drawn(model, noise, sampler, Start(begun, strength)) - begun).abs().mean())
        for strength in (0.06, 0.3, 0.9)
    ]
    assert moved[0] < moved[1] < moved[2], moved
    assert moved[0] < begun.abs().mean() / 2


def test_a_weak_second_pass_shows_the_first_one_enlarged(model):
    """Nearer to it than to what another first pass, or a strong second one, makes."""

    def drawn_twice(seed, strength):
        (image,) = sample_batch(model, [LAYOUT], [seed], 2, 3.0, "euler", SecondPass(2.0, strength))
        return np.asarray(image, float)

    noise = torch.randn(1, 4, 5, 8, generator=torch.Generator().manual_seed(7))
    large = interpolate(drawn(model, noise, steps=2), scale_factor=2.0, mode="nearest-exact")
    first = np.asarray(to_image(model.codec.decode(large)[0]), float)
    near = np.abs(drawn_twice(7, 0.02) - first).mean()
    assert near < np.abs(drawn_twice(8, 0.02) - first).mean() / 2
    assert near < np.abs(drawn_twice(7, 1.0) - first).mean() / 2


@pytest.mark.parametrize("scale, size", [(1.5, (96, 56)), (2.0, (128, 80)), (1.0, (64, 40))])
def test_a_second_pass_is_of_its_scale_and_of_whole_cells(model, scale, size):
    second = SecondPass(scale, 0.5)
    (image,) = sample_batch(model, [LAYOUT], [7], 2, 3.0, "euler", second)
    assert image.size == second.size_of((64, 40)) == size
    (again,) = sample_batch(model, [LAYOUT], [7], 2, 3.0, "euler", second)
    assert image.tobytes() == again.tobytes()
