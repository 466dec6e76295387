"""What a run says of itself: figures to TensorBoard, log.jsonl and wandb, and sample grids."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from reco_core.layout import Layout
from train.data.mixture import Mixture
from train.data.sample import Problem
from train.data.shapeskills import Scene, Split, sample
from train.data.transforms import draw_view, largest_regions, view_sample
from train.evaluate.report import picture_sheet
from train.evaluate.shape_finder import region_accuracy, score_scene
from train.fit.options import FitConfig, to_dict
from train.fit.training_data import TrainingData
from train.fit.validation import Validation
from train.model.sampling import sample_layouts
from train.model.text_to_image import TextToImage


class RunLog:
    """Figures of a run, under its folder; processes other than the main one say nothing.

    first: the step the run continues from; what was logged beyond it is dropped.
    """

    def __init__(self, config: FitConfig, first: int, is_main: bool):
        self.is_main, self.folder = is_main, Path(config.folder)
        self.lines, self.step = self.folder / "log.jsonl", first
        self.broken: set[str] = set()
        self.board: SummaryWriter | None = None
        self.wandb: Any = None
        if is_main:
            _drop_lines_after(self.lines, first)
            self.board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=first)
            self.wandb = _start_wandb(config) if config.log.wandb else None

    def scalars(self, group: str, figures: dict[str, float], step: int) -> None:
        if self.board is None:
            return
        for name, value in figures.items():
            self.board.add_scalar(f"{group}/{name}", value, step)
        if self.wandb:
            self.wandb.log({f"{group}/{k}": v for k, v in figures.items()}, step=step)
        self._write({"step": step, "group": group} | {k: round(v, 6) for k, v in figures.items()})

    def picture(self, group: str, picture: Image.Image, step: int) -> None:
        """A grid: as PNG in the folder, and wherever figures go."""
        path = self.folder / group / f"step_{step:06d}.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
        if self.board:
            self.board.add_image(group, np.asarray(picture), step, dataformats="HWC")
        if self.wandb:
            import wandb

            self.wandb.log({group: wandb.Image(picture)}, step=step)

    def note(self, message: str) -> None:
        """One line for the reader: on the terminal and in log.jsonl."""
        tqdm.write(message)
        if self.is_main:
            self._write({"step": self.step, "group": "note", "message": message})

    def problems(self, problems: Sequence[Problem], step: int) -> None:
        """Name every sample that is skipped, once."""
        self.step = step
        for problem in problems:
            if problem.key not in self.broken:
                self.broken.add(problem.key)
                self.note(f"skipped {problem.key}: {problem.reason}")

    def close(self) -> None:
        """Say how many samples were skipped, and finish."""
        if self.broken:
            self.note(f"{len(self.broken)} samples were skipped; log.jsonl names them")
        if self.board:
            self.board.close()
        if self.wandb:
            self.wandb.finish()

    def _write(self, line: dict) -> None:
        with self.lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Progress:
    """Validation and sample grids, when they are due."""

    def __init__(
        self,
        config: FitConfig,
        model: TextToImage,
        data: TrainingData,
        micro_batch: int,
        log: RunLog,
    ):
        self.config, self.model, self.log = config, model, log
        self.validation: Validation | None = None
        self.gallery: Gallery | None = None
        if log.is_main:
            self.gallery = open_gallery(config, data.held_out)
        if log.is_main and data.held_out is not None and config.validation.every:
            self.validation = Validation(
                model,
                data.held_out,
                data.words,
                config.validation.timesteps,
                config.seed,
                micro_batch,
                config.data.use_regions,
            )
            log.problems(self.validation.problems, log.step)

    def is_due(self, step: int) -> bool:
        return bool(self._validates(step) or self._samples(step))

    def report(self, step: int) -> None:
        """Measure and draw with the weights as they are; ValueError where they give no number."""
        if self.validation and self._validates(step):
            figures = self.validation.measure()
            if not all(map(math.isfinite, figures.values())):
                raise ValueError(
                    f"Validation after step {step} gives {figures}, which is not finite: the "
                    "newest state is from before it; go on from there with a smaller "
                    "optimizer.learning_rate, or with compute.precision = 'bf16' instead of fp16"
                )
            self.log.scalars("validation", figures, step)
        if self.gallery and self._samples(step):
            sheet, figures = self.gallery.draw(self.model, self.config)
            self.log.picture("samples", sheet, step)
            self.log.scalars("samples", figures, step)

    def _validates(self, step: int) -> bool:
        return self._is_due(self.config.validation.every, step)

    def _samples(self, step: int) -> bool:
        return self._is_due(self.config.sample.every, step)

    def _is_due(self, every: int, step: int) -> bool:
        return every > 0 and (step % every == 0 or step == self.config.optimizer.steps)


@dataclass(frozen=True)
class Gallery:
    """Layouts whose pictures are drawn as training goes on; scenes, where truth is known."""

    layouts: list[Layout]
    scenes: list[Scene] | None = None

    def draw(self, model: TextToImage, config: FitConfig) -> tuple[Image.Image, dict[str, float]]:
        """A sheet of pictures with their boxes, and region accuracy where it can be scored."""
        options = config.sample
        images = sample_layouts(
            model, self.layouts, steps=options.steps, guidance=options.guidance, seed=config.seed
        )
        if self.scenes is None:
            return picture_sheet(images, self.layouts), {}
        scores = [score_scene(i, s) for i, s in zip(images, self.scenes, strict=True)]
        right = [all(score.right for score in scene) for scene in scores]
        sheet = picture_sheet(images, self.layouts, right)
        return sheet, {"region_accuracy": region_accuracy(scores)}


def open_gallery(config: FitConfig, held_out: Mixture | None) -> Gallery | None:
    """Unseen layouts of ShapeSkills where that is trained on, else those of held-out samples."""
    first, count = config.data.sets[0], config.sample.layouts
    if not (config.sample.every and count):
        return None
    if first.kind == "shapeskills" and config.data.use_regions:
        samples = [
            sample(
                i,
                first.seed,
                Split.TEST,
                config.image_size,
                first.counts,
                first.skills,
                first.sides,
            )
            for i in range(count)
        ]
        return Gallery([s.layout for s in samples], [s.scene for s in samples])
    if held_out is None or not len(held_out):
        return None
    return Gallery([_layout(held_out, n, config) for n in range(min(count, len(held_out)))])


def _layout(mixture: Mixture, number: int, config: FitConfig) -> Layout:
    one, size = mixture.sample(number), mixture.targets[number]
    view = draw_view(np.random.default_rng(0), one.width, one.height, size, "centre", 0)
    regions = largest_regions(one.regions, config.data.max_regions)
    caption, seen = view_sample(one.captions[0], regions, view)
    return Layout(caption, seen if config.data.use_regions else (), *size)


def _drop_lines_after(path: Path, step: int) -> None:
    """Forget what a run that was stopped logged after the state it continues from."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(x for x in lines if _logged_step(x) <= step), encoding="utf-8")


def _logged_step(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except ValueError:  # the process was killed while it wrote
        return float("inf")


def _start_wandb(config: FitConfig) -> Any:
    try:
        import wandb
    except ImportError as error:
        raise ValueError("log.wandb is set but wandb is missing: pip install wandb") from error
    folder = Path(config.folder).resolve()
    return wandb.init(
        project=config.log.wandb,
        name=folder.name,
        id=folder.name,
        dir=str(folder),
        resume="allow",
        config=to_dict(config),
    )
