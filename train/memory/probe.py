"""How fast a training is on the device that is here: its steps, done with random numbers."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

import torch
from tqdm import tqdm

from train.fit.learner import Learner
from train.fit.options import FitConfig
from train.fit.steps import Stepper, divide
from train.memory.count import empty_model, give_weights
from train.memory.live import step_inputs
from train.memory.plan import Speed
from train.model.compute import prepare_model, start_accelerator
from train.model.grounding import record_cross_attention

WARM_UP, STEPS = 2, 10
SPREAD = 0.02
"""Of the random weights: numbers neither overflow nor become so small that a CPU slows down."""


def measure_speed(config: FitConfig) -> Speed:
    """Do steps of one micro-batch each, of the largest pictures, with weights of no meaning.

    Reading pictures is not part of it. A whole step is its micro-batches and one update.

    Raises:
        ValueError: options that cannot be on this device, or more than its memory.
    """
    accelerator = start_accelerator(config.compute)
    share = divide(config, accelerator)
    model, _ = empty_model(config)
    give_weights(model, lambda weight: _random(weight, accelerator.device))
    prepare_model(model, config.compute, accelerator.device)
    recorders = record_cross_attention(model.unet) if config.loss.grounding_weight else []
    learner = Learner(model, config, accelerator)
    batch, _ = step_inputs(model, config, share.micro_batch)
    one = replace(share, chunks=1)
    stepper = Stepper(model, config, one, accelerator, recorders, tqdm.write)
    passes, updates = [], []
    for step in tqdm(range(WARM_UP + STEPS), desc="steps", leave=False):
        start = _now()
        stepper.accumulate([batch], step)
        passed = _now()
        norm = learner.finish_gradients()
        learner.learn(norm)
        passes.append(passed - start)
        updates.append(_now() - passed)
    seconds = share.chunks * median(passes[WARM_UP:]) + median(updates[WARM_UP:])
    return Speed(config.optimizer.batch_size / seconds, _name(accelerator.device), STEPS)


def _random(weight: torch.Tensor, device: torch.device) -> torch.Tensor:
    made = torch.empty_like(weight, device=device)
    return made.normal_(0, SPREAD) if made.is_floating_point() else made.zero_()


def _now() -> float:
    """Seconds, when the device has done what it was given."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return time.perf_counter()


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"
