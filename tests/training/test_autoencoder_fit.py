"""Training of the small autoencoder."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from train.data.picture import to_tensor
from train.data.shapeskills import Split, render, sample
from train.fit.autoencoder import fit_autoencoder, load_autoencoder, start_autoencoder
from train.model.autoencoder import autoencoder_loss
from train.model.options import AutoencoderConfig

TINY = AutoencoderConfig(
    width=8,
    encoder_blocks=(0, 0, 1, 1),
    decoder_blocks=(1, 1, 0, 0),
    steps=200,
    encoder_steps=150,
    batch_size=4,
    learning_rate=3e-3,
    latent_noise=0.0,
)
BF16 = partial(torch.autocast, "cpu", torch.bfloat16)


@pytest.mark.parametrize("options", [{}, {"autocast": BF16}], ids=["fp32", "bf16"])
def test_pictures_come_back_better_than_at_the_start(options, tmp_path):
    images = torch.stack([to_tensor(render(sample(i, split=Split.TEST).scene)) for i in range(4)])
    torch.manual_seed(0)
    start = start_autoencoder(TINY)
    trained = load_autoencoder(TINY, fit_autoencoder(TINY, 128, 0, tmp_path, **options))
    with torch.no_grad():
        before, after = (autoencoder_loss(x, images, TINY).item() for x in (start, trained))
    assert after < 0.8 * before


def test_the_encoder_stays_when_only_the_decoder_goes_on(tmp_path):
    early = fit_autoencoder(TINY, 128, 0, tmp_path / "early")
    frozen = AutoencoderConfig(**{**vars(TINY), "encoder_steps": 0})
    late = fit_autoencoder(frozen, 128, 0, tmp_path / "late")
    torch.manual_seed(0)
    start = start_autoencoder(TINY).state_dict()
    changed = {
        name: {key.split(".")[0] for key, x in load_file(path).items() if not x.equal(start[key])}
        for name, path in (("early", early), ("late", late))
    }
    assert changed == {"early": {"encoder", "decoder"}, "late": {"decoder"}}
