"""What a run says of itself: figures to TensorBoard, log.jsonl and wandb, and pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from reco_core.atomic import write_text_atomically
from train.data.problems import Problem, counted, problem_table
from train.fit.options import FitConfig, to_dict


class RunLog:
    """Figures of a run, under its folder; processes other than the main one say nothing.

    first: the step the run continues from; what was logged beyond it is dropped.
    """

    def __init__(self, config: FitConfig, first: int, is_main: bool):
        self.is_main, self.folder = is_main, Path(config.folder)
        self.lines, self.step = self.folder / "log.jsonl", first
        self.left_out: dict[Problem, None] = {}
        self.has_cut = False
        self.board: SummaryWriter | None = None
        self.wandb: Any = None
        if is_main:
            _drop_lines_after(self.lines, first)
            self.left_out = dict.fromkeys(_problems_in(self.lines))
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
        """Name what is left out, once: each in log.jsonl, and their kinds on the terminal."""
        self.step = step
        new = [problem for problem in dict.fromkeys(problems) if problem not in self.left_out]
        self.left_out |= dict.fromkeys(new)
        if not new or not self.is_main:
            return
        for problem in new:
            self._write({"step": step, "group": "problem", **asdict(problem)})
        if len(new) == 1:
            self.note(f"skipped {new[0].key}: {new[0].reason}")
        else:
            self.note("\n".join([f"skipped {counted(new)}:", *problem_table(new)]))

    def cut(self, count: int, step: int) -> None:
        """Say, at the first time, that texts do not fit into L."""
        if count and not self.has_cut:
            self.has_cut, self.step = True, step
            self.note(
                f"{count} regions or captions did not fit into the sequence and were cut; "
                "train/cut counts them: shorten the texts, lower data.max_regions, or train with a "
                "larger model.max_length"
            )

    def close(self) -> None:
        """Say how much was left out, and finish."""
        if self.left_out:
            self.note(f"{counted(self.left_out)} were skipped; log.jsonl names them")
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


def _problems_in(path: Path) -> Iterator[Problem]:
    """What the run left out before the step it continues from."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        told = json.loads(line)
        if told.get("group") == "problem":
            yield Problem(told["key"], told["reason"], told["kind"])


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
