"""Text states that are remembered: the same training, each text encoded once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reco_core.checkpoint_file import read_checkpoint
from train.fit.loop import fit
from train.model.compute import prepare_model
from train.model.options import ComputeConfig, ModelConfig
from train.model.text_cache import cache_text
from train.model.text_to_image import load_model


@pytest.fixture
def frozen_text(tiny_config):
    """A short training on captions that leaves the text encoder as it is."""
    return replace(
        tiny_config,
        output_precision="fp32",
        data=replace(tiny_config.data, use_regions=False, cache_text=True),
        optimizer=replace(tiny_config.optimizer, train_text_encoder=False),
        loss=replace(tiny_config.loss, grounding_weight=0.0),
        sample=replace(tiny_config.sample, every=0),
        validation=replace(tiny_config.validation, every=0),
    )


def with_data(config, **options):
    return replace(config, data=replace(config.data, **options))


def cached(config):
    return sorted((Path(config.folder) / "cache").glob("text-*/*.safetensors"))


def test_remembered_texts_train_the_same_model(frozen_text, tmp_path):
    ours = read_checkpoint(fit(frozen_text))[0]
    elsewhere = {"folder": str(tmp_path / "plain"), "output": str(tmp_path / "plain.safetensors")}
    plain = with_data(replace(frozen_text, **elsewhere), cache_text=False)
    theirs = read_checkpoint(fit(plain))[0]
    assert cached(frozen_text) and not cached(plain)
    # On average: a bias before a norm has a gradient of rounding, of which Adam makes whole steps.
    differences = torch.cat(
        [(tensor - theirs[key]).abs().flatten() for key, tensor in ours.items()]
    )
    assert differences.mean() < 1e-5  # other texts move every weight by some 1e-4


def test_a_text_is_encoded_once(frozen_text):
    fit(frozen_text)
    before = {path: path.stat().st_mtime_ns for path in cached(frozen_text)}
    again = replace(frozen_text, optimizer=replace(frozen_text.optimizer, steps=8))
    fit(again)
    after = {path: path.stat().st_mtime_ns for path in cached(frozen_text)}
    assert before.items() <= after.items()
    assert len({path.parent for path in after}) == 1


def test_regions_are_refused_for_they_come_in_a_new_order(frozen_text):
    with pytest.raises(ValueError, match="use_regions = false"):
        fit(with_data(frozen_text, use_regions=True))


def test_a_text_encoder_that_learns_is_refused(frozen_text):
    learning = replace(frozen_text.optimizer, train_text_encoder=True)
    with pytest.raises(ValueError, match="train_text_encoder = false"):
        fit(replace(frozen_text, optimizer=learning))


@pytest.mark.parametrize("frozen", ["bf16", "fp32"])
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_states_are_those_of_the_encoder_in_every_precision_of_its_weights(
    frozen, precision, base, tmp_path
):
    model = load_model(*read_checkpoint(base), ModelConfig(max_length=96))
    model.text_encoder.requires_grad_(False)
    compute = ComputeConfig(frozen_precision=frozen, precision="bf16")
    prepare_model(model, compute, torch.device("cpu"))
    cached = cache_text(model, False, tmp_path)
    ids = torch.tensor([[49406, 320, 1929, 49407] + [49407] * 92, [49406] + [49407] * 95])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        ours, again = cached.text_states(ids), cached.text_states(ids)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=frozen == "bf16"):
        theirs = model.text_states(ids).float()
    assert ours.dtype == torch.float32 and torch.equal(ours, again)
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)
