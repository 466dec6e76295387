"""One optimiser step: the batch shared out over processes and micro-batches, gradients summed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from reco_core.autoencoder import LATENT_CHANNELS
from train.data.batch import Batch
from train.data.plan import Share
from train.fit.agreement import any_process
from train.fit.engine import BatchLoss, start_ddp
from train.fit.losses import draw_noise
from train.fit.micro_batch import keep_micro_batch, size_after
from train.fit.options import FitConfig
from train.model.compute import first_line, free_memory, is_out_of_memory, taken
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


@dataclass(frozen=True)
class Part:
    """A micro-batch: samples of a step, from a place in its whole batch on."""

    batch: Batch
    step: int
    place: int


@dataclass
class Stepper:
    """Gradients of a step's batch, in micro-batches that are halved when memory runs out.

    halvings: how often that happened; part of a run's state, so that a run continues as it was.
    reserve: bytes that the optimiser will take after the first step.
    """

    model: TextToImage
    config: FitConfig
    share: Share
    accelerator: Accelerator
    recorders: list[RecordingAttention]
    note: Callable[[str], None]
    halvings: int = 0
    reserve: int = 0
    failure: str = ""
    """What the last error said."""
    is_settled: bool = False
    """Whether processes have ordered what they average for good."""

    def __post_init__(self) -> None:
        self.loss = BatchLoss(self.model, self.recorders, self.config.loss)
        self.engine: nn.Module = self.loss
        """The loss, or what averages its gradients over processes."""
        self.shapes: set[torch.Size] = set()
        """Of micro-batches that are known to fit beside others' waiting."""

    def accumulate(self, chunks: Sequence[Batch], step: int) -> dict[str, Tensor]:
        """The gradients of the batch's mean loss, the same on all processes; returns the batch's
        mean losses, this process's part of them.

        Raises:
            ValueError: one sample at a time is still too much for the memory, or it runs out where
                other processes wait for this one.
        """
        while True:
            losses = self._try(chunks, step)
            if losses is not None:
                return losses
            self._halve()

    @torch.no_grad()
    def loss_of(self, chunk: Batch, step: int) -> float:
        """The mean loss that weights as they are give the first samples of a step's chunk."""
        part = next(self._split(chunk, step, self.share.places(step)[0]))
        with forgotten(self.recorders):
            return self._losses(self.loss, part)["total"].mean().item()

    def _try(self, chunks: Sequence[Batch], step: int) -> dict[str, Tensor] | None:
        """As accumulate; None when memory ran out.

        Processes agree before the last micro-batch, whose backward pass averages over them: in it
        they wait for each other, and what fails then cannot be told. Where weights are spread, they
        wait in every pass.
        """
        placed = zip(chunks, self.share.places(step), strict=True)
        *first, last = [part for one, place in placed for part in self._split(one, step, place)]
        sums: dict[str, Tensor] = {}
        if self.config.compute.engine == "fsdp":
            return self._try_together([*first, last], sums)
        fits = self._fits(lambda: self._alone(first, last, sums))
        if any_process(not fits, self.accelerator):
            return None
        found = self._try_together([last], sums)
        if found is not None and self.accelerator.num_processes > 1 and not self.is_settled:
            self._settle(last)
        return found

    def _try_together(
        self, parts: Sequence[Part], sums: dict[str, Tensor]
    ) -> dict[str, Tensor] | None:
        """Passes in which processes wait for each other; the sums, or None when memory ran out."""
        if self._fits(lambda: self._passes(parts, sums)):
            return sums
        # FSDP cannot take up again what it was in the middle of.
        if self.accelerator.num_processes > 1 or self.config.compute.engine == "fsdp":
            self._stop()
        return None

    def _alone(self, first: Sequence[Part], last: Part, sums: dict[str, Tensor]) -> None:
        """What a process does without the others: all micro-batches but the last."""
        if self.accelerator.num_processes > 1:
            self._probe([*first, last])
        with self.accelerator.no_sync(self.engine):
            self._passes(first, sums)

    def _probe(self, parts: Sequence[Part]) -> None:
        """Passes of every shape that is new, of which nothing is kept: memory runs out here."""
        shapes = {part.batch.pictures.shape: part for part in parts}
        new = [part for shape, part in shapes.items() if shape not in self.shapes]
        if not new:
            return
        if self.engine is self.loss:
            self._pass(new[0], {})
            self.engine = start_ddp(self.loss, self.config.compute)
        with taken(self.reserve, self.accelerator.device), self.accelerator.no_sync(self.engine):
            for part in new:
                self._pass(part, {})
        self.reserve = 0
        self.shapes |= shapes.keys()
        self._clear_gradients()

    def _settle(self, part: Part) -> None:
        """A forward pass of all processes after the first average. DDP orders its buckets anew in
        the next one, and processes wait for each other in that; later ones are of each alone, as
        those that probe a shape."""
        with self.accelerator.no_sync(self.engine), forgotten(self.recorders):
            self._losses(self.engine, part)
        self.is_settled = True

    def _fits(self, passes: Callable[[], None]) -> bool:
        """Whether there was memory for them."""
        try:
            passes()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self.failure = first_line(error)
            return False
        return True

    def _split(self, chunk: Batch, step: int, place: int) -> Iterator[Part]:
        """A chunk, which begins at a place of the step's batch, in micro-batches."""
        for batch in chunk.split(2**self.halvings):
            yield Part(batch, step, place)
            place += len(batch)

    def _passes(self, parts: Sequence[Part], sums: dict[str, Tensor]) -> None:
        for part in parts:
            self._pass(part, sums)

    def _pass(self, part: Part, sums: dict[str, Tensor]) -> None:
        """Forward and backward; losses are added to the sums."""
        with forgotten(self.recorders):  # recomputed activations are recorded once more
            losses = self._losses(self.engine, part)
            mean = losses["total"].sum() * self.share.processes / self.batch_size
            self.accelerator.backward(mean)
        for name, loss in losses.items():
            total = loss.detach().sum() / self.batch_size
            sums[name] = sums[name] + total if name in sums else total

    def _losses(self, loss: nn.Module, part: Part) -> dict[str, Tensor]:
        shape = (len(part.batch), LATENT_CHANNELS, *part.batch.latent_size)
        drawn = draw_noise(shape, part.step, part.place, self.config.loss, self.config.seed)
        with self.accelerator.autocast():
            return loss(part.batch.to(self.accelerator.device), drawn)

    def _halve(self) -> None:
        """Do the next attempt in smaller micro-batches; the error and what it held are gone."""
        self._clear_gradients()
        free_memory()
        size = self._smaller()
        self.halvings += 1
        self.note(
            f"memory ran out: micro-batches of {size} from now on, "
            f"{self.share.chunks * -(-self.share.micro_batch // size)} to a step"
        )

    def _stop(self) -> None:
        """End, and with it the others, which wait for this process; say what the next start has to
        do."""
        size = self._smaller()
        path = keep_micro_batch(Path(self.config.folder), size)
        raise ValueError(
            f"memory ran out where processes wait for each other ({self.failure}): the next "
            f"start takes micro-batches of {size}, as {str(path)!r} says; run the same command "
            "again to continue from the newest state (torch.distributed.run and accelerate launch "
            "do so by themselves with --max_restarts 1)"
        )

    def _smaller(self) -> int:
        """Half a micro-batch; ValueError where it is of one sample."""
        if size_after(self.halvings, self.share.micro_batch) == 1:
            raise ValueError(
                f"memory runs out with one sample at a time ({self.failure}): use "
                "compute.gradient_checkpointing = true, compute.precision = 'bf16', a smaller "
                "image_size, or LoRA"
            )
        return size_after(self.halvings + 1, self.share.micro_batch)

    def _clear_gradients(self) -> None:
        self.engine.zero_grad(set_to_none=self.engine is self.loss)  # an engine's are views

    @property
    def batch_size(self) -> int:
        return self.config.optimizer.batch_size
