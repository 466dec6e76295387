"""Training of the small autoencoder."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from set_files import write_picture

from train.data.mixture import open_mixture
from train.data.options import DataConfig
from train.data.picture import to_tensor
from train.data.shapeskills import Split, render, sample
from train.data.shapeskills_set import ShapeSkillsConfig
from train.data.sidecars import SidecarsConfig
from train.fit.autoencoder import (
    SAVE_EVERY,
    crops,
    fit_autoencoder,
    load_autoencoder,
    start_autoencoder,
)
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
PICTURES = open_mixture([ShapeSkillsConfig(samples=1000)], DataConfig(), 128)
BF16 = partial(torch.autocast, "cpu", torch.bfloat16)


@pytest.mark.parametrize("options", [{}, {"autocast": BF16}], ids=["fp32", "bf16"])
def test_pictures_come_back_better_than_at_the_start(options, tmp_path):
    images = torch.stack([to_tensor(render(sample(i, split=Split.TEST).scene)) for i in range(4)])
    torch.manual_seed(0)
    start = start_autoencoder(TINY)
    trained = load_autoencoder(TINY, fit_autoencoder(TINY, PICTURES, 0, tmp_path, **options))
    with torch.no_grad():
        before, after = (autoencoder_loss(x, images, TINY).item() for x in (start, trained))
    assert after < 0.8 * before


def test_the_encoder_stays_when_only_the_decoder_goes_on(tmp_path):
    early = fit_autoencoder(TINY, PICTURES, 0, tmp_path / "early")
    frozen = AutoencoderConfig(**{**vars(TINY), "encoder_steps": 0})
    late = fit_autoencoder(frozen, PICTURES, 0, tmp_path / "late")
    torch.manual_seed(0)
    start = start_autoencoder(TINY).state_dict()
    changed = {
        name: {key.split(".")[0] for key, x in load_file(path).items() if not x.equal(start[key])}
        for name, path in (("early", early), ("late", late))
    }
    assert changed == {"early": {"encoder", "decoder"}, "late": {"decoder"}}


def test_crops_show_what_is_in_the_boxes():
    """Not the ground: nearly every crop of small things has a coloured pixel."""
    small = open_mixture(
        [ShapeSkillsConfig(samples=200, counts=(1,), sides=(0.1, 0.2))], DataConfig(), 128
    )
    pieces = torch.cat([crops(step, replace(TINY, crop=32), small, 0) for step in range(20)])
    spread = pieces.flatten(2).std(dim=2).amax(dim=1)
    assert pieces.shape[1:] == (3, 32, 32) and (spread > 0.1).float().mean() > 0.9
    assert crops(3, TINY, PICTURES, 0).equal(crops(3, TINY, PICTURES, 0))


def test_a_crop_that_does_not_fit_is_refused(tmp_path):
    pictures = open_mixture([ShapeSkillsConfig(samples=20)], DataConfig(), 64)
    with pytest.raises(ValueError, match="autoencoder.crop = 72: .* shortest side is 64"):
        fit_autoencoder(replace(TINY, crop=72), pictures, 0, tmp_path)


def test_pictures_that_cannot_be_read_are_passed_over_unless_all_are(tmp_path):
    for number in range(4):
        write_picture(tmp_path / f"{number}.png", (64, 64), (8, 8, 40, 40))
        (tmp_path / f"{number}.txt").write_text("a square")
    pictures = open_mixture([SidecarsConfig(path=str(tmp_path))], DataConfig(), 64)
    (tmp_path / "2.png").write_bytes(b"broken")
    assert len(crops(0, TINY, pictures, 0)) == TINY.batch_size
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match="pictures cannot be read, the last was .*png"):
        crops(0, TINY, pictures, 0)


def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(tmp_path, monkeypatch):
    """Latent noise is on, so that what is drawn at random counts too."""
    config = replace(TINY, steps=SAVE_EVERY + 20, encoder_steps=SAVE_EVERY + 10, latent_noise=0.1)
    whole = load_file(fit_autoencoder(config, PICTURES, 0, tmp_path / "whole"))

    def stopped(step, *arguments):
        if step == SAVE_EVERY + 5:
            raise KeyboardInterrupt
        return crops(step, *arguments)

    monkeypatch.setattr("train.fit.autoencoder.crops", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit_autoencoder(config, PICTURES, 0, tmp_path / "stopped")
    monkeypatch.undo()
    resumed = load_file(fit_autoencoder(config, PICTURES, 0, tmp_path / "stopped"))
    assert all(resumed[name].equal(tensor) for name, tensor in whole.items())


def test_what_it_makes_of_unseen_pictures_is_logged(tmp_path):
    unseen = open_mixture([ShapeSkillsConfig(samples=4, split="test")], DataConfig(), 64)
    fit_autoencoder(TINY, PICTURES, 0, tmp_path, unseen=unseen)
    lines = (tmp_path / "autoencoder.jsonl").read_text().splitlines()
    figures = [json.loads(line) for line in lines]
    assert [one["step"] for one in figures] == [SAVE_EVERY, 2 * SAVE_EVERY] == [100, TINY.steps]
    assert figures[-1]["unseen_psnr"] > 12
