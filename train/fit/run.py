"""A training run: all its parts, ready for the next step, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import Accelerator

from reco_core.extension import starting_rows
from train.data.look_ahead import LookAhead
from train.data.plan import Share
from train.fit.agreement import check_agreement, share_weights, together
from train.fit.export import check_output, export
from train.fit.health import Health
from train.fit.learner import Learner
from train.fit.micro_batch import FILE, kept_halvings, size_after
from train.fit.optimizer import choose_trained, optimizer_bytes
from train.fit.options import FitConfig
from train.fit.progress import Due, Progress
from train.fit.sharding import WholeModel, shard_model
from train.fit.start import settled, start_model
from train.fit.steps import Stepper, divide
from train.fit.training_data import open_training_data
from train.fit.training_state import Restored, restore_state, save_state
from train.model.compute import prepare_model
from train.model.grounding import forgotten, record_cross_attention
from train.model.text_cache import cache_text
from train.model.text_to_image import TextToImage, new_tables


@dataclass
class Run:
    """step: finished steps; base: metadata of the checkpoint it began with; copy: a whole model,
    where the one that learns is spread over processes."""

    config: FitConfig
    accelerator: Accelerator
    share: Share
    model: TextToImage
    copy: WholeModel | None
    base: dict[str, str]
    learner: Learner
    stepper: Stepper
    progress: Progress
    health: Health
    batches: LookAhead
    step: int

    def keep(self, due: Due) -> None:
        """Measure, save, export and draw what is due: what may fail for want of memory last, and
        nothing of weights whose error is no number. What fails in one process ends all, before
        others wait for it in the next."""
        for is_due, act in (
            (due.validation, self._measure),
            (due.state, self._save),
            (due.export, lambda: self.export(numbered_output(self.config, self.step))),
            (due.samples, self.draw),
        ):
            if is_due:
                with together(self.accelerator):
                    act()

    def _measure(self) -> None:
        with self._shown(), self._computing():
            self.progress.measure(self.step)

    def _save(self) -> None:
        parts, halvings = self.learner.parts, self.stepper.halvings
        save_state(parts, self.config, self.step, halvings, self.accelerator)

    def draw(self) -> None:
        """A sample sheet."""
        with self._shown(), self._computing():
            self.progress.draw(self.step)

    def export(self, path: Path) -> None:
        """Write the averaged weights."""
        with self._shown() as model:
            if self.accelerator.is_main_process:
                export(self.config, model, self.base, self.step, path)

    @contextmanager
    def _shown(self) -> Iterator[TextToImage]:
        """Within, a model has the weights that are shown: the one that learns, or its whole copy.
        Every process has to enter."""
        if self.copy:
            self.copy.fill(self.learner.shown())
            yield self.copy.model
        else:
            with self.learner.averaged():
                yield self.model

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Within, the model computes as it trains."""
        with self.accelerator.autocast(), forgotten(self.stepper.recorders):
            yield


def start_run(config: FitConfig, accelerator: Accelerator) -> Run:
    """A run from its start, or from its newest state.

    Raises:
        ValueError: options or data that cannot work.
    """
    share = divide(config, accelerator)
    starting_rows(new_tables(config.model).rows)
    check_output(config)
    model, base = start_model(config, accelerator)
    config = settled(config, model)
    choose_trained(model, config)
    prepare_model(model, config.compute, accelerator.device)
    share_weights(model, accelerator)
    if config.data.cache_text:
        model = cache_text(model, config.data.use_regions, Path(config.folder) / "cache")
    data = open_training_data(config, model, share, accelerator)
    if data.depends_on_micro_batch:  # which a state has to tell
        optimizer = replace(config.optimizer, micro_batch=share.micro_batch)
        config = replace(config, optimizer=optimizer)
    copy = shard_model(model, config.compute, accelerator)
    recorders = record_cross_attention(model.unet) if config.loss.grounding_weight else []
    learner = Learner(model, config, accelerator)
    with together(accelerator):
        found = restore_state(learner.parts, config, accelerator)
        found = _as_memory_allows(found, config, share)
    check_start(config, learner, found)
    with together(accelerator):
        shown, placed = (copy.model, copy.placed) if copy else (model, nullcontext)
        progress = Progress(config, shown, data, share, accelerator, found, placed)
    note = progress.log.note
    reserve = 0 if found.step else optimizer_bytes(learner.parameters, config.optimizer)
    stepper = Stepper(model, config, share, accelerator, recorders, note, found.halvings, reserve)
    health, batches = Health(config, accelerator), LookAhead(data.batches(found.step))
    return Run(
        config, accelerator, share, model, copy, base, learner, stepper, progress, health, batches,
        found.step,
    )  # fmt: skip


def _as_memory_allows(found: Restored, config: FitConfig, share: Share) -> Restored:
    """With micro-batches no larger than what was kept when processes could not go on together."""
    halvings = kept_halvings(Path(config.folder), share.micro_batch)
    if halvings <= found.halvings:
        return found
    size = size_after(halvings, share.micro_batch)
    remark = (
        f"micro-batches of {size}, as memory ran out before: {FILE} in the run's folder says so"
    )
    return replace(found, halvings=halvings, remarks=(*found.remarks, remark))


def check_start(config: FitConfig, learner: Learner, found: Restored) -> None:
    """Raise ValueError where processes do not begin with the same weights and options."""
    facts = {name: getattr(config, name) for name in ("seed", "optimizer", "loss", "lora")}
    facts |= {"the step it goes on from": found.step, "halved micro-batches": found.halvings}
    check_agreement(learner.tensors(), facts, learner.accelerator, "At the start")


def numbered_output(config: FitConfig, step: int) -> Path:
    """Where `export_every` writes: beside the states, named like the output."""
    output = Path(config.output)
    return Path(config.folder) / "exports" / f"{output.stem}-{step:07d}{output.suffix}"
