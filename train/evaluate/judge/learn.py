"""Trains the judge, on one processor core, by seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn.functional import cross_entropy, smooth_l1_loss
from tqdm import tqdm

from train.data.cutouts.cutouts_set import CutoutsConfig, CutoutsSet, open_cutouts
from train.evaluate.judge.lessons import Lesson, lesson
from train.evaluate.judge.network import Judge, Network, digest_of, to_input
from train.evaluate.judge.options import JudgeOptions

BOX_WEIGHT = 5.0
"""Of the boxes' loss, beside that of the names."""
BUFFER = 8
"""Batches that windows are mixed among."""
SIZES = (0.8, 1.0, 1.0, 1.2, 1.5)
"""Sides of its pictures, over `size`."""


def open_lessons(options: JudgeOptions) -> CutoutsSet:
    """The pictures that the judge learns from, of the training split. Raises as open_cutouts."""
    sides = [max(8, round(options.size * factor / 8) * 8) for factor in SIZES]
    config = CutoutsConfig(
        path=options.path,
        things=options.things,
        samples=options.steps * options.batch_size,  # more than are drawn
        seed=options.seed,
        counts=(1, 2, 3, 4, 5),
        equal=0.0,
        sides=(0.18, 0.75),
        stretch=1.3,
        overlap=0.15,
        held_out=0.0,
        sizes=tuple((side, side) for side in sides),
    )
    return open_cutouts(config, options.size)


def train_judge(options: JudgeOptions) -> Judge:
    """A judge of the folder's things. Shows a bar.

    Raises:
        ValueError: the folder or its list cannot be used.
    """
    pictures = open_lessons(options)
    names = tuple(thing.name for thing in pictures.things)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = Network(len(names)).train()
        _fit(network, pictures, options)
    return Judge(network.eval(), names, digest_of(pictures.things))


def _fit(network: Network, pictures: CutoutsSet, options: JudgeOptions) -> None:
    rate = options.learning_rate
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.02)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, options.steps, pct_start=0.15)
    bar = tqdm(batches(pictures, options), "training the judge", options.steps)
    for batch in bar:
        shown = torch.from_numpy(batch.classes)
        logits, boxes = network(to_input(batch.windows))
        loss = cross_entropy(logits, shown, label_smoothing=0.05)
        has_thing = shown < len(pictures.things)
        if has_thing.any():
            truth = torch.from_numpy(batch.boxes)[has_thing]
            loss = loss + BOX_WEIGHT * smooth_l1_loss(boxes[has_thing], truth, beta=0.05)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        cycle.step()
        right = (logits.argmax(1) == shown).float().mean()
        bar.set_postfix_str(f"loss {loss.item():.3f}, right {right.item():.0%}", refresh=False)


def batches(pictures: CutoutsSet, options: JudgeOptions) -> Iterator[Lesson]:
    """`steps` batches of windows, mixed among the pictures of BUFFER batches."""
    rng = np.random.default_rng(options.seed)
    size, index, given = options.batch_size, 0, 0
    while given < options.steps:
        lessons: list[Lesson] = []
        while sum(len(one.classes) for one in lessons) < size * BUFFER:
            lessons.append(lesson(pictures, index % len(pictures)))
            index += 1
        windows = np.concatenate([one.windows for one in lessons])
        classes = np.concatenate([one.classes for one in lessons])
        boxes = np.concatenate([one.boxes for one in lessons])
        order = rng.permutation(len(classes))
        for start in range(0, size * BUFFER, size)[: options.steps - given]:
            chosen = order[start : start + size]
            yield Lesson(windows[chosen], classes[chosen], boxes[chosen])
            given += 1
