"""How far a run is: what is due after a step, and what is said, measured and drawn then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm

from train.data.batch import Batch
from train.data.plan import Share
from train.fit.gallery import Gallery, open_gallery
from train.fit.options import FitConfig
from train.fit.peak_memory import peak_memory
from train.fit.run_log import RunLog
from train.fit.training_data import TrainingData
from train.fit.training_state import Restored
from train.fit.validation import Validation
from train.model.compute import OutOfMemory, free_memory, memory_errors_told
from train.model.text_to_image import TextToImage


@dataclass(frozen=True)
class Due:
    """What follows a step, beside the next one."""

    figures: bool
    validation: bool
    samples: bool
    export: bool
    state: bool

    @property
    def uses_weights(self) -> bool:
        """Needs weights that are known to be good."""
        return self.validation or self.samples or self.export or self.state


def due_after(step: int, config: FitConfig, stops: bool = False) -> Due:
    """What is due when `step` steps are done; the last of a run has everything but an export of
    its own. stops: the run was asked to stop after it."""
    last = step == config.optimizer.steps

    def is_due(every: int) -> bool:
        return every > 0 and (step % every == 0 or last)

    return Due(
        figures=is_due(config.log.every),
        validation=is_due(config.validation.every),
        samples=is_due(config.sample.every),
        export=config.export_every > 0 and step % config.export_every == 0,
        state=is_due(config.save_every) or stops,
    )


@dataclass
class Speed:
    """Pictures per second over the steps since the last reading; pauses do not count."""

    batch_size: int
    steps: int = 0
    since: float = field(default_factory=time.monotonic)

    def read(self) -> float:
        """Of the steps counted since the last reading; starts the next."""
        now = time.monotonic()
        speed = self.steps * self.batch_size / max(now - self.since, 1e-9)
        self.steps, self.since = 0, now
        return speed

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What is done within is no training."""
        start = time.monotonic()
        yield
        self.since += time.monotonic() - start


class Progress:
    """A run's bar, figures, validation and sample grids. Only the main process says anything.

    found: what the run goes on from; placed: within it the model is on its device.
    """

    def __init__(
        self,
        config: FitConfig,
        model: TextToImage,
        data: TrainingData,
        share: Share,
        accelerator: Accelerator,
        found: Restored,
        placed: Callable[[], AbstractContextManager[None]] = nullcontext,
    ):
        self.placed = placed
        self.config, self.model, self.accelerator = config, model, accelerator
        step = found.step
        self.log = RunLog(config, step, accelerator.is_main_process)
        if self.log.is_main:
            for remark in found.remarks:
                self.log.note(remark)
        self.log.problems(data.problems, step)
        self.bar = tqdm(
            initial=step, total=config.optimizer.steps, desc="fit", disable=not self.log.is_main
        )
        self.validation: Validation | None = None
        self.gallery: Gallery | None = None
        if self.log.is_main:
            self.gallery = open_gallery(config, model, data)
        if self.log.is_main and data.held_out is not None and config.validation.every:
            self.validation = Validation(
                model,
                data.held_out,
                data.words,
                config.validation.timesteps,
                config.seed,
                share.micro_batch,
                config.data.use_regions,
            )
            self.log.problems(self.validation.problems, step)
        self.speed = Speed(config.optimizer.batch_size)
        self.cut = 0  # regions and captions beyond L since the last figures

    def stepped(
        self, step: int, losses: dict[str, Tensor], norm: Tensor, rate: float, chunks: list[Batch]
    ) -> None:
        """After every step: name samples that were skipped, move the bar, log what is due; "cut" is
        how many regions and captions did not fit into L since the last time.

        losses: this process's part of the batch's means; norm: of the gradients before clipping.
        """
        self.speed.steps += 1
        self.bar.update()
        self.log.problems([problem for chunk in chunks for problem in chunk.problems], step)
        self.cut += sum(chunk.cut for chunk in chunks)
        if not due_after(step, self.config).figures:
            return
        cut = torch.tensor(float(self.cut), device=norm.device)
        self.log.cut(self.cut, step)
        self.cut = 0
        figures = {name: self.accelerator.reduce(x).item() for name, x in losses.items()}
        speed = self.speed.read()
        figures |= {"gradient_norm": norm.item(), "rate": rate}
        figures |= {"images_per_second": speed, "peak_gib": peak_memory()}
        figures["cut"] = self.accelerator.reduce(cut).item()
        self.log.scalars("train", figures, step)
        self.bar.set_postfix(loss=f"{figures['total']:.4f}", img_s=f"{speed:.1f}")

    def measure(self, step: int) -> None:
        """Validate the weights as they are; ValueError where they give no number."""
        if self.validation is None:
            return
        try:
            with memory_errors_told("while the weights were validated"), self.placed():
                figures = self.validation.measure()
        except OutOfMemory as error:
            return self._go_on_without(f"no validation after step {step}", error)
        if not all(map(math.isfinite, figures.values())):
            raise ValueError(
                f"validation after step {step} gives {figures}, which is not finite: the "
                "newest state is from before it; go on from there with a smaller "
                "optimizer.learning_rate, or with compute.precision = 'bf16' instead of fp16"
            )
        self.log.scalars("validation", figures, step)

    def draw(self, step: int) -> None:
        """A sample sheet with the weights as they are."""
        if self.gallery is None:
            return
        try:
            with memory_errors_told("while samples were drawn"), self.placed():
                sheet, figures = self.gallery.draw(self.model, self.config, step)
        except OutOfMemory as error:
            return self._go_on_without(f"no sample sheet of step {step}", error)
        self.log.picture("samples", sheet, step)
        self.log.scalars("samples", figures, step)

    def _go_on_without(self, what: str, error: OutOfMemory) -> None:
        self.log.note(f"{what}, training goes on: {error}")
        free_memory()

    def close(self) -> None:
        """Say how many samples were skipped, and finish what figures go to."""
        self.log.close()
