"""The parts of the loss: noise weights, timesteps, grounding, the position gap's foreign boxes."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention

from reco_core.family import SD1
from train.fit.losses import contrastive_loss, draw_noise, loss_weights, region_error
from train.fit.options import LossConfig
from train.model.autoencoder import build_autoencoder
from train.model.grounding import (
    RecordingAttention,
    box_coverage,
    grounding_loss,
    record_cross_attention,
)
from train.model.latents import TinyCodec
from train.model.noise import HIGH_NOISE, Diffusion, draw_timestep, kept_signal
from train.model.options import ModelConfig
from train.model.text_to_image import new_model

EVERY = torch.arange(1000)
NOISE, V = Diffusion(SD1.noise, "eps"), Diffusion(SD1.noise, "v")


def test_a_limit_of_one_is_the_plain_loss():
    assert torch.equal(loss_weights(EVERY, LossConfig(), NOISE), torch.ones(1000))


def test_weights_are_one_plus_the_inverse_of_the_signal_to_noise_ratio():
    kept = kept_signal(SD1.noise)
    expected = 1 + (1 - kept) / kept
    torch.testing.assert_close(
        loss_weights(EVERY, LossConfig(snr_weight_limit=1e9), NOISE), expected
    )
    assert loss_weights(EVERY, LossConfig(snr_weight_limit=100.0), NOISE).max() == 100.0


def test_min_snr_weights_follow_the_paper_that_named_them():
    kept = kept_signal(SD1.noise)
    snr = kept / (1 - kept)
    expected = torch.minimum(snr, torch.tensor(5.0)) / snr
    torch.testing.assert_close(loss_weights(EVERY, LossConfig(min_snr_gamma=5.0), NOISE), expected)


def test_the_schedule_is_stable_diffusions():
    kept = kept_signal(SD1.noise)
    assert kept[0].item() == pytest.approx(1 - 0.00085)
    assert kept[-1].item() == pytest.approx(0.00466, rel=1e-2)


@pytest.mark.parametrize(("share", "high"), [(0.0, 0.4), (0.5, 0.7), (1.0, 1.0)])
def test_a_share_of_timesteps_is_drawn_from_high_noise(share, high):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([draw_timestep(share, generator) for _ in range(20_000)])
    assert drawn.min() >= 0 and drawn.max() == 999
    assert (drawn >= HIGH_NOISE).float().mean().item() == pytest.approx(high, abs=0.02)


@pytest.mark.parametrize("diffusion", [NOISE, V], ids=["noise", "v"])
def test_what_is_predicted_tells_the_clean_latents(diffusion):
    latents, noise = torch.randn(2, 3, 4, 8, 8)
    timesteps = torch.tensor([0, 500, 999])
    noisy = diffusion.add_noise(latents, noise, timesteps)
    target = diffusion.target(latents, noise, timesteps)
    clean = diffusion.clean(noisy, target, timesteps)
    torch.testing.assert_close(clean, latents, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("diffusion", [NOISE, V], ids=["noise", "v"])
def test_the_error_of_the_noise_is_a_share_of_that_of_the_prediction(diffusion):
    latents, noise = torch.randn(2, 1000, 4, 2, 2, dtype=torch.float64)
    noisy = diffusion.add_noise(latents, noise, EVERY)
    target = diffusion.target(latents, noise, EVERY)
    predicted = target + 0.1 * torch.randn_like(target)
    error = (predicted - target).square().mean(dim=(1, 2, 3))
    kept = diffusion.kept(EVERY)[:, None, None, None]
    clean = diffusion.clean(noisy, predicted, EVERY)
    implied = (noisy - kept.sqrt() * clean) / (1 - kept).sqrt()
    of_noise = (implied - noise).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(of_noise, error * diffusion.noise_share(EVERY), rtol=1e-3, atol=0)


def test_weights_of_v_make_of_its_error_what_they_make_of_the_noises():
    """The plain error of v is that of the noise with 1 + 1/SNR, however small the limit is."""
    kept = V.kept(EVERY)
    assert torch.equal(loss_weights(EVERY, LossConfig(), V), torch.ones(1000))
    snr, config = kept / (1 - kept), LossConfig(min_snr_gamma=5.0)
    expected = torch.minimum(snr, torch.tensor(5.0)) / (snr + 1)
    torch.testing.assert_close(loss_weights(EVERY, config, V), expected)


def test_a_sample_has_the_same_noise_wherever_its_batch_is_cut():
    config = LossConfig(noise_offset=0.1)
    whole = draw_noise((6, 4, 8, 8), 3, 0, config, seed=1)
    later = draw_noise((2, 4, 8, 8), 3, 4, config, seed=1)
    for ours, theirs in zip(vars(whole).values(), vars(later).values(), strict=True):
        assert torch.equal(ours[4:], theirs)
    other_step = draw_noise((6, 4, 8, 8), 4, 0, config, seed=1)
    assert not torch.equal(whole.noise, other_step.noise)


def test_noise_offset_moves_whole_channels():
    plain = draw_noise((4, 4, 8, 8), 0, 0, LossConfig(), seed=0).noise
    moved = draw_noise((4, 4, 8, 8), 0, 0, LossConfig(noise_offset=0.5), seed=0).noise
    shift = (moved - plain).flatten(2)
    assert shift.std(dim=2).max() < 1e-6 and shift.mean(dim=2).std() > 0.1


def test_the_contrastive_term_is_low_when_each_prediction_is_nearest_its_own_truth():
    latents = torch.randn(5, 4, 8, 8)
    right = contrastive_loss(latents + 0.1 * torch.randn_like(latents), latents, 0.07)
    wrong = contrastive_loss(latents.roll(1, 0), latents, 0.07)
    assert right.shape == (5,) and right.max() < 0.1 and wrong.min() > 3


def test_a_region_s_error_does_not_depend_on_its_size():
    boxes = torch.tensor([[[0.0, 0.0, 0.125, 0.125], [0.5, 0.0, 1.0, 1.0]], [[0.0] * 4] * 2])
    squared = torch.ones(2, 8, 8)
    squared[:, 0, 0] = 5.0
    small_and_large = region_error(squared, boxes)
    torch.testing.assert_close(small_and_large, torch.tensor([(5.0 + 1.0) / 2, 0.0]))
    torch.testing.assert_close(region_error(squared, boxes.flip(1)), small_and_large)


def test_coverage_counts_the_share_of_each_cell():
    box = torch.tensor([0.25, 0.0, 0.625, 0.5])
    expected = torch.tensor([[0, 1, 0.5, 0], [0, 1, 0.5, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(box_coverage(box, 4, 4), expected)
    whole = torch.tensor([[0.1, 0.2, 0.7, 0.9]])
    assert box_coverage(whole, 16, 16).mean().item() == pytest.approx(0.6 * 0.7, abs=1e-5)


def test_grounding_is_lowest_when_each_region_attends_to_its_own_box():
    boxes = torch.tensor([[[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]])
    spans = torch.tensor([[[2, 4], [4, 6], [0, 0]]])
    inside = box_coverage(boxes, 4, 4).flatten(2)  # (1, 3, 16)
    attention = torch.zeros(1, 16, 6)
    attention[..., 2:4] = inside[:, 0, :, None] / 2
    attention[..., 4:6] = inside[:, 1, :, None] / 2
    right, swapped = RecordingAttention(), RecordingAttention()
    right.probabilities = attention
    swapped.probabilities = attention[..., [0, 1, 4, 5, 2, 3]]
    assert grounding_loss([right], boxes, spans) < 1e-3
    assert grounding_loss([swapped], boxes, spans) > 5


SATURATED = {  # attention paid to a region's tokens by every cell -> loss where nothing is its box
    "all": (1.0, 9.2103),
    "nearly all": (0.99816, 6.2980),
    "none": (0.0, 1e-4),
    "hardly any": (1e-6, 1e-4),
    "half": (0.5, 0.6931),
}


@pytest.mark.parametrize("kind", SATURATED)
@pytest.mark.parametrize("precision", [None, torch.bfloat16, torch.float16])
def test_grounding_is_the_same_in_every_precision(kind, precision):
    share, expected = SATURATED[kind]
    recorder = RecordingAttention()
    recorder.probabilities = torch.tensor([share, 1 - share]).expand(1, 16, 2)
    boxes, spans = torch.zeros(1, 1, 4), torch.tensor([[[0, 1]]])
    with torch.autocast("cpu", precision, enabled=precision is not None):
        loss = grounding_loss([recorder], boxes, spans)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
@pytest.mark.parametrize("gap", [0.0, 6.0, 12.0, 25.0, 60.0])
def test_a_head_that_looks_away_altogether_still_learns(gap, precision):
    """The gradient of the cross-entropy of a softmax is the difference of share and target."""
    attn = Attention(query_dim=2, heads=1, dim_head=2, bias=False, processor=RecordingAttention())
    logits = torch.tensor([[[0.0, gap]]], requires_grad=True)  # to the second token, no region's
    with torch.no_grad():
        for layer in (attn.to_q, attn.to_k, attn.to_v):
            layer.weight.copy_(torch.eye(2))
    words = torch.eye(2)[None] / attn.scale
    with torch.autocast("cpu", precision, enabled=precision is not None):
        attn(logits, encoder_hidden_states=words)
        whole, first = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]), torch.tensor([[[0, 1]]])
        loss = grounding_loss([attn.processor], whole, first)
    loss.sum().backward()
    missing = torch.sigmoid(torch.tensor(gap)).item()
    assert logits.grad[0, 0].tolist() == pytest.approx([-missing, missing], rel=2e-2)


def test_recording_attention_computes_what_the_stock_processor_does():
    config = ModelConfig(unet_channels=(32, 64), text_width=32, text_layers=1, text_heads=2)
    model = new_model(config, TinyCodec(build_autoencoder(8), SD1), seed=0)
    inputs = torch.randn(2, 4, 8, 8), torch.tensor([10, 900]), torch.randn(2, 7, 32)
    with torch.no_grad():
        stock = model.unet(*inputs).sample
        recorders = record_cross_attention(model.unet)
        torch.testing.assert_close(model.unet(*inputs).sample, stock, rtol=1e-4, atol=1e-5)
    shapes = {tuple(r.probabilities.shape) for r in recorders}
    assert shapes == {(2, 64, 7), (2, 16, 7)}
