"""What a step changes, and what it leaves when fp16 overflows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from train.fit.learner import Learner
from train.fit.options import FitConfig
from train.model.embeddings import ExtendedEmbedding
from train.options import build


class Text(nn.Module):
    """A text encoder's table of words, and a weight."""

    def __init__(self):
        super().__init__()
        self.token_embedding = ExtendedEmbedding(torch.ones(6, 2), 4)
        self.layer = nn.Linear(2, 2)


@pytest.fixture(params=["adamw", "adafactor"])
def learner(request, tmp_path):
    """adamw is fused, so that torch's scaler calls it even when gradients overflow."""
    accelerator = Accelerator(cpu=True)
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    model = SimpleNamespace(unet=nn.Linear(2, 2), text_encoder=Text(), codec=None)
    model.parameters = lambda: [*model.unet.parameters(), *model.text_encoder.parameters()]
    optimizer = {"kind": request.param, "warmup_steps": 10, "ema_decay": 0.9, "weight_decay": 0.5}
    options = build(FitConfig, {"folder": str(tmp_path), "optimizer": optimizer})
    return Learner(model, options, accelerator)


def step(learner, gradient):
    """A step with these gradients, scaled as the scaler wants them."""
    scaler = learner.accelerator.scaler
    scaler.scale(torch.ones(1))
    for parameter in learner.parameters:
        parameter.grad = torch.full_like(parameter, gradient * scaler.get_scale())
    scaler.unscale_(learner.optimizer.optimizer)
    learner.learn(torch.nn.utils.clip_grad_norm_(learner.parameters, 1.0))


def state(learner):
    return (
        [parameter.detach().clone() for parameter in learner.parameters],
        learner.schedule.last_epoch,
        learner.average.optimization_step,
        [parameter.clone() for parameter in learner.average.shadow_params],
    )


@pytest.mark.parametrize("bad", [float("inf"), float("nan"), -float("inf")])
def test_a_step_that_overflows_changes_the_scale_and_nothing_else(learner, bad):
    step(learner, 0.1)
    weights, steps, averaged, average = state(learner)
    scale = learner.accelerator.scaler.get_scale()
    assert (steps, averaged) == (1, 1)
    step(learner, bad)
    after, *counts, averages = state(learner)
    assert all(torch.equal(a, b) for a, b in zip(weights + average, after + averages, strict=True))
    assert counts == [1, 1] and learner.accelerator.scaler.get_scale() == scale / 2
    assert all(parameter.grad is None for parameter in learner.parameters)
    step(learner, 0.1)
    after, *counts, _ = state(learner)
    assert counts == [2, 2]
    assert not any(torch.equal(a, b) for a, b in zip(weights, after, strict=True))
