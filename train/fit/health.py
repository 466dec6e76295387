"""What tells that a run can no longer learn: it stops while its last good state is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils._pytree import tree_flatten_with_path

from train.data.batch import Batch
from train.fit.agreement import any_process
from train.fit.options import FitConfig
from train.fit.sharding import own_part

OVERFLOWS = 25
"""Steps in a row whose gradients overflow under fp16: enough to bring the scale from 65,536 to
nothing. Fewer are how the right scale is found."""
IDLE_STEPS = 10
"""Steps in a row without any gradient."""
KEPT = "nothing of it was kept, and states and files written before are as they were"


@dataclass
class Health:
    """Checks of a run as it goes; processes come to the same answer and stop together."""

    config: FitConfig
    accelerator: Accelerator
    overflows: int = 0
    idle: int = 0

    def check_gradients(
        self,
        step: int,
        loss: Tensor,
        norm: Tensor,
        chunks: Sequence[Batch],
        finds_picture: Callable[[], bool],
    ) -> None:
        """After a step's backward pass, before weights change.

        loss: this process's part of the batch's mean; norm: of all gradients, before clipping;
        finds_picture: whether any of the samples that follow can be read.

        Raises:
            ValueError: there is nothing to learn from, or loss or gradients are not finite.
        """
        there = sum(float(chunk.present.sum()) for chunk in chunks)
        both = torch.stack([loss.float(), torch.tensor(there, device=loss.device)])
        total, samples = self.accelerator.reduce(both).tolist()
        if not samples:
            return self._check_pictures(step, chunks, finds_picture)
        if not math.isfinite(total):
            raise ValueError(f"the loss of step {step} is {total}; {KEPT}; {self._advice()}")
        if not total:
            raise ValueError(
                f"the loss of step {step} is exactly 0 for all samples, so that nothing is "
                f"learned; {KEPT}; look at the weights of section [loss]"
            )
        self._check_norm(step, norm.item())

    def check_weights(
        self, step: int, parts: Mapping[str, Any], loss_after: Callable[[], float]
    ) -> None:
        """Before a state or a file is written.

        parts: what has a state_dict; loss_after: of this step's samples with the new weights.

        Raises:
            ValueError: weights, averages or moments are not finite, or give no finite loss.
        """
        bad = not_finite(
            {name: part.state_dict() for name, part in parts.items() if part is not None}
        )
        if any_process(bool(bad), self.accelerator):
            raise ValueError(
                f"after step {step} {_listed(bad)}; nothing of that was kept; states and files "
                f"written before are as they were; {self._advice()}"
            )
        loss = loss_after()
        if any_process(not math.isfinite(loss), self.accelerator):
            raise ValueError(
                f"the weights after step {step} give a loss of {loss}; {KEPT}; {self._advice()}"
            )

    def _check_pictures(
        self, step: int, chunks: Sequence[Batch], finds_picture: Callable[[], bool]
    ) -> None:
        if any_process(finds_picture(), self.accelerator):
            return
        problem = next((problem for chunk in chunks for problem in chunk.problems), None)
        example = f" ({problem.key}: {problem.reason})" if problem else ""
        raise ValueError(
            f"step {step} has nothing to learn from: none of its samples can be read, nor any of "
            f"those that follow{example}; {KEPT}; bring the pictures back and run the same command "
            "to continue; `python -m train data check` says what can be read"
        )

    def _check_norm(self, step: int, norm: float) -> None:
        overflows = not math.isfinite(norm)
        scales = self.config.compute.precision == "fp16"
        self.overflows = self.overflows + 1 if overflows else 0
        self.idle = self.idle + 1 if norm == 0 else 0
        if overflows and (not scales or self.overflows >= OVERFLOWS):
            many = f", for {self.overflows} steps in a row" if scales else ""
            raise ValueError(
                f"the gradients of step {step} have a norm of {norm}{many}; {KEPT}; "
                f"{self._advice()}"
            )
        if self.idle >= IDLE_STEPS:
            raise ValueError(
                f"up to step {step} there was no gradient for {self.idle} steps: nothing that is "
                "trained has part in the loss: look at optimizer.train_unet, "
                "optimizer.train_text_encoder and [lora]"
            )

    def _advice(self) -> str:
        """What to do about numbers that are not finite."""
        half = self.config.compute.precision == "fp16" or "fp16" in (
            self.config.compute.frozen_precision
        )
        other = "; with fp16, take bf16 instead" if half else ""
        return (
            "go on with a smaller optimizer.learning_rate (now "
            f"{self.config.optimizer.learning_rate:g}) or optimizer.max_grad_norm (now "
            f"{self.config.optimizer.max_grad_norm:g}){other}, in another folder with model.base "
            "set to the last good file"
        )


def check_finite(values: Any, subject: str, advice: str) -> None:
    """Raise ValueError when a tensor within is not finite.

    values: tensors in dicts and lists of any depth; subject: what they are.
    """
    if bad := not_finite(values):
        raise ValueError(f"{subject}: {_listed(bad)}; {advice}")


def not_finite(values: Any) -> list[str]:
    """The names of tensors that hold NaN or infinity, in dicts and lists of any depth; of those
    that are spread over processes, this one's part."""
    found = []
    for path, value in tree_flatten_with_path(values)[0]:
        is_number = isinstance(value, Tensor) and value.is_floating_point()
        if is_number and not bool(torch.isfinite(own_part(value)).all()):
            found.append(".".join(str(getattr(k, "key", getattr(k, "idx", k))) for k in path))
    return found


def _listed(names: Sequence[str]) -> str:
    if not names:  # another process found some
        return "weights of another process are not finite"
    return f"{len(names)} tensors are not finite, first {names[0]}"
