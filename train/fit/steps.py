"""One optimiser step: the batch shared out over processes and micro-batches, gradients summed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from reco_core.autoencoder import LATENT_CHANNELS
from train.data.batch import Batch
from train.data.plan import Share
from train.fit.agreement import any_process
from train.fit.losses import draw_noise, sample_losses
from train.fit.options import FitConfig
from train.model.compute import first_line, free_memory, is_out_of_memory
from train.model.grounding import RecordingAttention, forgotten
from train.model.text_to_image import TextToImage


def divide(config: FitConfig, accelerator: Accelerator) -> Share:
    """This process's part of every batch.

    Raises:
        ValueError: the batch does not divide by processes and micro-batches.
    """
    batch, processes = config.optimizer.batch_size, accelerator.num_processes
    micro = config.optimizer.micro_batch or batch // processes
    if batch < 1 or micro < 1 or batch % (processes * micro):
        raise ValueError(
            f"optimizer.batch_size = {batch} does not divide into {processes} process(es) with "
            f"micro-batches of {micro}: use a multiple of {processes * max(micro, 1)}"
        )
    return Share(accelerator.process_index, processes, batch // (processes * micro), micro)


@dataclass
class Stepper:
    """Gradients of a step's batch, in micro-batches that are halved when memory runs out.

    halvings: how often that happened; part of a run's state, so that a run continues as it was.
    """

    model: TextToImage
    config: FitConfig
    share: Share
    accelerator: Accelerator
    recorders: list[RecordingAttention]
    note: Callable[[str], None]
    halvings: int = 0
    failure: str = ""
    """What the last error said."""

    def accumulate(self, chunks: Sequence[Batch], step: int) -> dict[str, Tensor]:
        """Add up the gradients of this process's chunks; the batch's mean losses, its part of them.

        Raises:
            ValueError: one sample at a time is still too much for the memory.
        """
        while True:
            losses = self._try(chunks, step)
            if not any_process(losses is None, self.accelerator):
                assert losses is not None
                return losses
            self._halve()

    @torch.no_grad()
    def loss_of(self, chunk: Batch, step: int) -> float:
        """The mean loss that weights as they are give the first samples of a step's chunk."""
        part = chunk.split(2**self.halvings)[0]
        with forgotten(self.recorders):
            return self._losses(part, step, self.share.places(step)[0])["total"].mean().item()

    def _try(self, chunks: Sequence[Batch], step: int) -> dict[str, Tensor] | None:
        """As accumulate; None when memory ran out."""
        try:
            return self._forward_backward(chunks, step)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self.failure = first_line(error)
        return None  # the error is gone by now, and with it what the failed pass held

    def _forward_backward(self, chunks: Sequence[Batch], step: int) -> dict[str, Tensor]:
        sums: dict[str, Tensor] = {}
        for chunk, first in zip(chunks, self.share.places(step), strict=True):
            for part in chunk.split(2**self.halvings):
                with forgotten(self.recorders):  # recomputed activations are recorded once more
                    losses = self._losses(part, step, first)
                    mean = losses["total"].sum() * self.share.processes / self.batch_size
                    self.accelerator.backward(mean)
                first += len(part)
                for name, loss in losses.items():
                    total = loss.detach().sum() / self.batch_size
                    sums[name] = sums[name] + total if name in sums else total
        return sums

    def _losses(self, part: Batch, step: int, first: int) -> dict[str, Tensor]:
        shape = (len(part), LATENT_CHANNELS, *part.latent_size)
        drawn = draw_noise(shape, step, first, self.config.loss, self.config.seed)
        batch = part.to(self.accelerator.device)
        with self.accelerator.autocast():
            return sample_losses(self.model, batch, drawn, self.recorders, self.config.loss)

    def _halve(self) -> None:
        self.halvings += 1
        size = self.share.micro_batch // 2**self.halvings
        for parameter in (*self.model.unet.parameters(), *self.model.text_encoder.parameters()):
            parameter.grad = None
        free_memory()
        if size < 1:
            raise ValueError(
                f"memory runs out with one sample at a time ({self.failure}): use "
                "compute.gradient_checkpointing = true, compute.precision = 'bf16', a smaller "
                "image_size, or LoRA"
            )
        self.note(
            f"memory ran out: micro-batches of {size} from now on, "
            f"{self.share.chunks * 2**self.halvings} to a step"
        )

    @property
    def batch_size(self) -> int:
        return self.config.optimizer.batch_size


def finish_gradients(
    parameters: list[nn.Parameter], max_norm: float, accelerator: Accelerator
) -> Tensor:
    """Average gradients over processes and clip them; returns their norm before."""
    if accelerator.num_processes > 1:
        for parameter in parameters:
            if parameter.grad is None:  # every process must take part
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad = accelerator.reduce(parameter.grad, "mean")
    return accelerator.clip_grad_norm_(parameters, max_norm or float("inf"))
