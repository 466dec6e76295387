"""The paper's comparison at a small scale: variants of telling regions, fine-tuned from one base.

    python -m train ablation
    python -m train ablation --ceilings

Trains the base and every variant of train/configs/ablation, scores each on the same unseen
layouts, and writes results.md, results.json and pictures. What is finished is not done again. With
--ceilings it trains nothing and prints how many boxes words let anyone meet on these layouts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reco_core.atomic import write_text_atomically
from train.ablation.variants import VARIANTS, Run, cpu_minutes, plan

if TYPE_CHECKING:
    from train.evaluate.suite import Table

CONFIGS = Path(__file__).parents[1] / "configs" / "ablation"


BASE = ("base", "base-detail")


LAYOUTS, COUNTS, SIDES = 200, (1, 2), (0.3, 0.6)
"""Of the part that boxes are scored on."""
EVALUATION = (
    "--suite", "shapeskills", "--counts", *map(str, COUNTS), "--sides", *map(str, SIDES),
    "--parts", "mixed", "object", "count", "colour", "spatial", "binding",
    "--layouts", str(LAYOUTS), "--skill-layouts", "30",
    "--sampler", "euler", "--steps", "20", "--guidance", "3", "--batch-size", "50",
)  # fmt: skip
"""Layouts like those trained on, none of them seen."""


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `ablation` to the command line."""
    parser = commands.add_parser(
        "ablation",
        help="compare ReCo with positional words and with its own variants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=Path("runs/ablation"), help="folder")
    parser.add_argument(
        "--only", action="append", default=[], metavar="VARIANT", help="this one; can be repeated"
    )
    parser.add_argument(
        "--ceilings", action="store_true", help="only print what positional words could meet"
    )
    parser.add_overrides("compute.threads=1")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train and score what is missing, then write the results."""
    from train.ablation.report import write_results
    from train.evaluate.markdown import to_markdown

    if arguments.ceilings:
        print(to_markdown(ceilings(arguments.overrides)), end="")
        return 0
    names = [variant.config for variant in VARIANTS]
    if unknown := set(arguments.only) - set(names):
        raise ValueError(f"--only {' '.join(sorted(unknown))}: choose from {', '.join(names)}")
    runs = plan(arguments.output, arguments.only or names)
    base = train_base(arguments.output, arguments.overrides)
    for one in runs:
        train_and_score(one, base, arguments.overrides)
    finished = [one for one in plan(arguments.output, names) if one.scores.exists()]
    for path in write_results(finished, ceilings(arguments.overrides), arguments.output):
        print(f"wrote {path}")
    return 0


def ceilings(overrides: list[str]) -> Table:
    """What positional words could meet of the layouts that are scored, by those trained on."""
    from train.ablation.ceilings import SCENES, boxes_of, ceilings_table, words_ceilings
    from train.config import load_config
    from train.data.shapeskills_set import ShapeSkillsConfig
    from train.evaluate.shapeskills import ShapeSkillsOptions, ShapeSkillsSuite

    config = load_config(CONFIGS / "positional-words.toml", beside_a_base(overrides))
    (trained,) = config.data.sets
    assert isinstance(trained, ShapeSkillsConfig)
    suite = ShapeSkillsSuite(
        ShapeSkillsOptions(
            layouts=LAYOUTS, parts=("mixed",), counts=COUNTS, sides=SIDES, size=config.image_size
        )
    )
    asked = [region.box for case in suite.cases for region in case.layout.regions]
    found = words_ceilings(asked, boxes_of(trained, config.image_size, SCENES))
    return ceilings_table(found, len(asked))


def train_base(output: Path, overrides: list[str]) -> Path:
    """The caption-only model that every variant starts from, trained in two parts."""
    first, path = (output / name / f"{name}.safetensors" for name in BASE)
    if not path.exists():
        if not first.exists():
            _fit(CONFIGS / f"{BASE[0]}.toml", first.parent, first, overrides)
        own = [f'model.base="{first.as_posix()}"', *beside_a_base(overrides)]
        _fit(CONFIGS / f"{BASE[1]}.toml", path.parent, path, own)
    return path


def beside_a_base(overrides: list[str]) -> list[str]:
    """Without the sizes of the first model and its autoencoder, which the others begin with."""
    from train.model.options import FROM_SCRATCH

    first = tuple(f"model.{name}=" for name in FROM_SCRATCH)
    return [word for word in overrides if not word.startswith((*first, "autoencoder."))]


def train_and_score(one: Run, base: Path, overrides: list[str]) -> None:
    """Train a variant from the base and score it, unless that was done."""
    if not one.checkpoint.exists():
        own = [f"seed={one.seed}", f'model.base="{base.as_posix()}"']
        config = CONFIGS / f"{one.variant.config}.toml"
        _fit(config, one.folder, one.checkpoint, [*own, *beside_a_base(overrides)])
    if not one.scores.exists():
        words = ("--checkpoint", str(one.checkpoint), "--output", str(one.folder / "evaluate"))
        _train("evaluate", *words, *EVALUATION)


def _fit(config: Path, folder: Path, output: Path, overrides: list[str]) -> None:
    places = [f'folder="{folder.as_posix()}"', f'output="{output.as_posix()}"']
    places.append(f'data.cache_folder="{(folder.parent / "cache").as_posix()}"')
    before = _children_minutes()
    try:
        _train("fit", "--config", str(config), *places, *overrides)
    finally:
        spent = json.dumps(cpu_minutes(folder) + _children_minutes() - before)
        write_text_atomically(folder / "cpu_minutes.json", spent)


def _children_minutes() -> float:
    used = os.times()
    return (used.children_user + used.children_system) / 60


def _train(*words: str) -> None:
    """Run a command of this package in a process of its own; ValueError when it fails."""
    command = [sys.executable, "-m", "train", *words]
    done = subprocess.run(command)
    if done.returncode:
        raise ValueError(f"`{' '.join(['python', *command[1:]])}` failed: see above")
