"""ShapeSkills as a data set: its options, and its samples, drawn when they are looked at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Literal

from train.data import shapeskills
from train.data.problems import Problem
from train.data.sample import Sample
from train.data.set_config import SetConfig
from train.data.shape_boxes import SIDES
from train.data.shape_looks import LookName
from train.data.shapeskills import COUNTS, BoxSide, Scene, Skill, Split, SplitName, Things
from train.options import Count, Seed, Some, options


@options
class ShapeSkillsConfig(SetConfig):
    """Coloured shapes on plain grounds, drawn by this repository."""

    kind: Literal["shapeskills"] = "shapeskills"
    samples: Count = 0
    """How many to draw."""
    split: SplitName = "train"
    """validation: looked at while training; test: neither trained on nor looked at, what `evaluate`
    draws; held_out: with colours and shapes that training never shows together."""
    seed: Seed = 0
    """Of the pictures."""
    counts: Some[Things] = COUNTS
    """Numbers of things in a picture, drawn evenly; repeat one to draw it more."""
    skills: Some[Skill] = ("mixed",)
    """Kinds of scenes, in turn."""
    sides: tuple[BoxSide, BoxSide] = SIDES
    """Shortest and longest side of a box, as fractions of the picture."""
    look: LookName = "plain"
    """What colours the words stand for."""

    def __post_init__(self) -> None:
        shapeskills.check_scenes(self.counts, self.sides)

    @property
    def title(self) -> str:
        return "ShapeSkills" if self.look == "plain" else f"ShapeSkills ({self.look})"

    def unseen(self, samples: int) -> ShapeSkillsConfig:
        return replace(self, split="validation", samples=samples, region_captions="")

    def words(self) -> Collection[str]:
        return shapeskills.known_words(self.counts, self.skills)


def open_shapeskills(config: ShapeSkillsConfig, size: int) -> ShapeSkillsSet:
    """size: side of the pictures in pixels.

    Raises ValueError when it is not said how many to draw.
    """
    if config.samples < 1:
        raise ValueError(f"samples = {config.samples}: say how many ShapeSkills pictures to draw")
    return ShapeSkillsSet(config, size)


class ShapeSkillsSet:
    """ShapeSkills, whose scenes are known, so that pictures of its layouts can be scored."""

    def __init__(self, config: ShapeSkillsConfig, size: int):
        self.samples, self.split, self.size = config.samples, Split[config.split.upper()], size
        scenes = config.counts, config.skills, config.sides, config.look
        self.options = (config.seed, self.split, size, *scenes)
        self.problems: list[Problem] = []

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Sample:
        drawn = self._draw(index)
        return Sample(
            key=f"{self.split.name.lower()}/{index}",
            captions=(drawn.layout.caption,),
            regions=drawn.layout.regions,
            width=self.size,
            height=self.size,
            open=partial(shapeskills.render, drawn.scene),
            version=str(self.options),
        )

    def scene(self, index: int) -> Scene:
        """The truth of a sample."""
        return self._draw(index).scene

    def _draw(self, index: int) -> shapeskills.DescribedScene:
        if not 0 <= index < self.samples:
            raise IndexError(f"sample {index} of {self.samples}")
        return shapeskills.sample(index, *self.options)
