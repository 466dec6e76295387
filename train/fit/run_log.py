"""What a run says of itself: figures to TensorBoard, log.jsonl and wandb, and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from reco_core.atomic import write_text_atomically
from train.data.problems import Problem
from train.fit.options import FitConfig, to_dict


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


def _drop_lines_after(path: Path, step: int) -> None:
    """Forget what a run that was stopped logged after the state it continues from."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = "".join(line for line in lines if _logged_step(line) <= step)
        write_text_atomically(path, kept)


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
