"""What learns: weights under an optimiser with its schedule, and the average of weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from train.fit.agreement import trained_tensors
from train.fit.optimizer import (
    build_optimizer,
    build_schedule,
    decay_used_rows,
    trained_parameters,
)
from train.fit.options import FitConfig
from train.fit.sharding import is_part, whole
from train.fit.state_parts import FROZEN, Frozen, Learned
from train.fit.training_state import check_room
from train.model.text_to_image import TextToImage


class Learner:
    """The model's weights that learn, and what makes them.

    Raises:
        ValueError: nothing learns, or the disk has no room for states.
    """

    def __init__(self, model: TextToImage, config: FitConfig, accelerator: Accelerator):
        self.model, self.options, self.accelerator = model, config.optimizer, accelerator
        self.parameters = trained_parameters(model.unet, model.text_encoder)
        check_room(config, self.parameters, sum(map(torch.numel, model.parameters())))
        optimizer = build_optimizer(model, self.options, accelerator.device)
        self.schedule = build_schedule(optimizer, self.options)
        self.optimizer = accelerator.prepare_optimizer(optimizer)
        self.average, self.in_average = start_average(model, config)
        self.frozen = Frozen(model)

    @property
    def parts(self) -> dict[str, Any]:
        """What a state keeps, by its names there; None where there is no such part."""
        return {
            "unet": Learned(self.model.unet),
            "text_encoder": Learned(self.model.text_encoder),
            FROZEN: self.frozen,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "ema": self.average,
            "scaler": self.accelerator.scaler,
        }

    @property
    def rate(self) -> float:
        """The UNet's learning rate of the next step."""
        return self.schedule.get_last_lr()[0]

    def finish_gradients(self) -> Tensor:
        """Clip the gradients, of which all processes have the mean; returns their norm before."""
        limit = self.options.max_grad_norm or float("inf")
        return whole(self.accelerator.clip_grad_norm_(self.parameters, limit))

    def learn(self, norm: Tensor) -> None:
        """Change the weights by their gradients, which are gone, or zero, then.

        norm: of the gradients before clipping. Where it is not finite, fp16 has overflowed: the
        optimiser looks for a smaller scale, and nothing else moves on. (accelerate's
        `step_was_skipped` does not say so of a fused optimiser, which is called all the same.)
        """
        overflows = not math.isfinite(norm.item())
        if not overflows:
            decay_used_rows(self.optimizer, self.options.weight_decay)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=not self.sends_views)
        if overflows:
            return
        self.schedule.step()
        if self.average:
            self.average.step(self.in_average)

    @property
    def sends_views(self) -> bool:
        """Whether gradients are views of what DistributedDataParallel sends, and have to stay."""
        return self.accelerator.num_processes > 1 and not any(map(is_part, self.parameters))

    def tensors(self) -> dict[str, Tensor]:
        """What all processes have alike of the model and of what the optimiser remembers, by name:
        all of it, or what is not spread over them."""
        tensors = trained_tensors(self.model, self.optimizer)
        return {name: tensor for name, tensor in tensors.items() if not is_part(tensor)}

    def shown(self) -> list[Tensor]:
        """The weights that are shown in place of each parameter that learns: averages, if kept."""
        averages = self.average.shadow_params if self.average else ()
        kept = dict(zip(map(id, self.in_average), averages, strict=True))
        return [kept.get(id(parameter), parameter) for parameter in self.parameters]

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within, the model has its averaged weights."""
        if self.average is None:
            yield
            return
        self.average.store(self.in_average)
        self.average.copy_to(self.in_average)
        try:
            yield
        finally:
            self.average.restore(self.in_average)


def start_average(
    model: TextToImage, config: FitConfig
) -> tuple[Average | None, list[nn.Parameter]]:
    """The running average of weights, and the parameters it averages."""
    modules = (model.unet, model.text_encoder) if config.optimizer.ema_text else (model.unet,)
    parameters = trained_parameters(*modules)
    if not (config.optimizer.ema_decay and parameters):
        return None, []
    decay = config.optimizer.ema_decay
    ema = Average(parameters, decay=decay, use_ema_warmup=True, power=0.75, foreach=True)
    return ema, parameters


class Average(EMAModel):
    """A running average that stays on its device when it is restored."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        averages = state_dict["shadow_params"]
        super().load_state_dict({**state_dict, "shadow_params": None})
        with torch.no_grad():
            for mine, theirs in zip(self.shadow_params, averages, strict=True):
                if mine.shape != theirs.shape:
                    raise ValueError(f"an average is {tuple(theirs.shape)}")
                mine.copy_(theirs)
