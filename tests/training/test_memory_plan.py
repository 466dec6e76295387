"""`python -m train memory`: what it counts is what torch takes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.training_utils import EMAModel
from on_base import on_base
from random_checkpoint import HEADS, Size, random_state_dict
from safetensors.torch import save_file
from torch._subclasses.fake_tensor import FakeTensorMode
from train_command import train

from reco_core.checkpoint_file import read_checkpoint
from train.config import load_config
from train.fit.learner import Learner
from train.fit.optimizer import build_optimizer, choose_trained, trained_parameters
from train.fit.options import FitConfig
from train.memory.count import count_memory, empty_model, give_fake_weights
from train.memory.live import LiveBytes, Operations, StepMemory, grid_memory, step_memory
from train.memory.probe import STEPS, WARM_UP, measure_speed
from train.memory.speed import A100_SAMPLES, UNET_FLOPS, estimates
from train.model.compute import prepare_model
from train.model.text_to_image import load_model

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
PLAIN = Size(max_length=77, num_bins=0)
SMALL = (
    "image_size=32",
    "data.max_regions=3",
    "model.num_bins=64",
    "model.max_length=100",
    "optimizer.batch_size=2",
)
LORA = ("lora.rank=4", "lora.text_rank=2", "compute.frozen_precision=bf16")
BF16 = "compute.precision=bf16"
CHECKPOINTING = "compute.gradient_checkpointing=true"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("base") / "sd1.safetensors"
    save_file(random_state_dict(PLAIN), path, HEADS)
    return path


@pytest.fixture
def configured(base, config_file):
    def configure(*words):
        return load_config(config_file, [*SMALL, *on_base(base), *words])

    return configure


def real_model(config: FitConfig):
    model = load_model(*read_checkpoint(config.model.base), config.model)
    choose_trained(model, config)
    prepare_model(model, config.compute, CPU)
    return model


def bytes_of(tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@pytest.mark.parametrize(
    "words", [(), (*LORA, BF16), ("optimizer.kind=adafactor", "optimizer.ema_text=true")]
)
def test_weights_gradients_and_states_are_those_of_a_real_step(words, configured):
    config = configured(*words)
    plan, model = count_memory(config), real_model(config)
    optimizer = build_optimizer(model, config.optimizer, CPU)
    step_memory(model, config, micro_batch=2, passes=1)
    optimizer.step()
    trained = trained_parameters(model.unet, model.text_encoder)
    states = [t for state in optimizer.state.values() for t in state.values()]
    averaged = trained if config.optimizer.ema_text else trained_parameters(model.unet)
    assert plan.unet == bytes_of(model.unet.parameters())
    assert plan.text_encoder == bytes_of(model.text_encoder.parameters())
    assert plan.autoencoder == bytes_of(model.codec.autoencoder.parameters())
    assert plan.gradients == bytes_of(p.grad for p in trained)
    assert plan.optimizer == bytes_of(t for t in states if torch.is_tensor(t))
    assert plan.average == bytes_of(EMAModel(averaged).shadow_params)


@pytest.mark.parametrize(
    "words",
    [(), (*LORA, BF16, CHECKPOINTING), ("loss.grounding_weight=1.0", "data.use_regions=true")],
)
def test_a_step_without_content_takes_what_a_real_one_takes(words, configured):
    config = configured(*words)
    model, _ = empty_model(config)
    with FakeTensorMode(allow_non_fake_inputs=True):
        give_fake_weights(model)
        counted = step_memory(model, config, micro_batch=2, passes=2)
    real = step_memory(real_model(config), config, micro_batch=2, passes=2)
    assert counted.kept == pytest.approx(real.kept, rel=0.01)
    assert counted.peak == pytest.approx(real.peak, rel=0.01)


def test_a_sample_grid_is_counted_and_decoded_one_by_one(configured):
    one, many = (configured(f"sample.layouts={n}", "sample.every=1") for n in (1, 16))
    model, _ = empty_model(many)
    with FakeTensorMode(allow_non_fake_inputs=True):
        give_fake_weights(model)
        counted, of_one = grid_memory(model, many), grid_memory(model, one)
    assert of_one < counted < 16 * of_one
    assert grid_memory(real_model(many), many) == pytest.approx(counted, rel=0.01)
    step = count_memory(one)
    drawing = replace(step, grid_peak=step.grid_peak + step.step_peak + step.average)
    assert drawing.total > step.total
    assert count_memory(configured("sample.every=0")).grid_peak == 0


def test_operations_are_counted_by_torchs_formulas_attention_too():
    x, layer = torch.ones(8, 16, requires_grad=True), torch.nn.Linear(16, 4, bias=False)
    with Operations() as linear:
        layer(x).sum().backward()
    assert linear.count == 3 * 2 * 8 * 16 * 4
    query = torch.ones(1, 2, 16, 8, requires_grad=True)
    with Operations() as attention:
        torch.nn.functional.scaled_dot_product_attention(query, query, query).sum().backward()
    assert attention.count == 3.5 * 2 * 2 * (2 * 16 * 16 * 8)


def test_hours_are_scaled_from_a_measured_training(configured):
    plan = replace(count_memory(configured()), flops=int(UNET_FLOPS))
    found = {one.card: one for one in estimates(plan, 3_600_000, "fp16", tf32=True)}
    assert found["A100"].samples == pytest.approx(A100_SAMPLES)
    assert found["A100"].hours == pytest.approx(1000 / A100_SAMPLES)
    bf16 = {one.card for one in estimates(plan, 1, "bf16", tf32=True)}
    assert found.keys() - bf16 == {"V100 SXM", "T4"}
    slow, fast = (estimates(plan, 1, "no", tf32)[1].samples for tf32 in (False, True))
    assert slow < fast


def test_a_probe_does_real_steps_on_the_device_that_is_here(configured, tmp_path, monkeypatch):
    """Each has a finite gradient, and changes the weights."""
    moved = []

    def learn(learner, norm):
        before = [weight.clone() for weight in learner.parameters]
        real(learner, norm)
        now = zip(before, learner.parameters, strict=True)
        moved.append(norm.isfinite().item() and any(not torch.equal(a, b) for a, b in now))

    real = Learner.learn
    monkeypatch.setattr(Learner, "learn", learn)
    speed = measure_speed(configured(f'folder="{tmp_path.as_posix()}"', "compute.threads=1"))
    assert moved == [True] * (WARM_UP + STEPS)
    assert speed.samples > 0 and speed.device.startswith(("cpu", "NVIDIA"))
    assert not list(tmp_path.iterdir())


def test_what_a_forward_pass_keeps_is_what_autograd_saves(configured):
    config = configured()
    model, saved = real_model(config), {}

    def keep(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step = step_memory(model, config, micro_batch=2, passes=1)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = sum(size for place, size in saved.items() if place not in weights)
    assert kept == pytest.approx(step.kept, rel=0.02)


def test_checkpointing_and_smaller_batches_take_less(configured):
    whole = count_memory(configured())
    checkpointed, half = (
        count_memory(configured(word)) for word in (CHECKPOINTING, "optimizer.micro_batch=1")
    )
    assert checkpointed.kept_for_backward < whole.kept_for_backward / 2
    assert half.kept_for_backward == pytest.approx(whole.kept_for_backward / 2, rel=0.05)
    assert checkpointed.unet == whole.unet and half.gradients == whole.gradients


def test_files_on_the_way_are_counted_on_disk(configured):
    none, some = (
        count_memory(configured("optimizer.steps=7", f"export_every={n}")) for n in (0, 2)
    )
    assert some.disk - none.disk == 3 * none.output > 0


def test_eight_bit_moments_take_about_two_bytes_a_weight(configured):
    config = configured("optimizer.kind=adamw8bit")
    numbers = count_memory(config).gradients / 4
    assert 2 < count_memory(config).optimizer / numbers < 2.2


def test_live_bytes_counts_memory_once_and_until_it_is_freed():
    weight = torch.zeros(10)
    with LiveBytes([weight]) as live:
        made = torch.zeros(100)
        view = made[10:]
        same = weight.view(2, 5)
        assert live.now == 400
        more = torch.zeros(50)
        del more, made
        assert (live.now, live.peak) == (400, 600)
        del view, same
        assert live.now == 0
    assert StepMemory(live.now, live.peak).peak == 600


def test_the_command_says_what_it_counted(base, config_file):
    words = [*SMALL, *on_base(base)]
    done = train("memory", "--config", config_file, *words, "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    plan = count_memory(load_config(config_file, words))
    assert (figures["total"], figures["disk"], figures["base"]) == (
        plan.total,
        plan.disk,
        str(base),
    )


def test_batches_that_leave_a_process_nothing_are_refused(configured):
    with pytest.raises(ValueError, match="9 processes"):
        count_memory(configured(), processes=9)
    with pytest.raises(ValueError, match="holds all of it.*divide .* by 2"):
        count_memory(configured("compute.engine=fsdp"), processes=2)


def test_half_precision_weights_need_half_precision_products(configured):
    with pytest.raises(ValueError, match="'bf16'.*compute.precision"):
        count_memory(configured(*LORA))
