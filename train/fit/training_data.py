"""All that a run reads: what it trains on, what it is measured on, what it draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from accelerate import Accelerator

from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_input import read_any
from train.data.batch import Batch
from train.data.cache import LatentCache, cache_key
from train.data.check import Limits, TrainedSets
from train.data.decode import UNREADABLE
from train.data.loader import TrainingSet, training_batches
from train.data.mixture import Mixture, PictureSizes, open_mixture
from train.data.plan import Plan, Share
from train.data.problems import Problem
from train.data.sample import Sample, SampleStream
from train.data.set_config import SetConfig
from train.data.sets import open_set
from train.data.stream import StreamBatches, stream_batches
from train.fit.agreement import from_main, together
from train.fit.options import FitConfig
from train.model.options import ModelConfig
from train.model.text_to_image import TextToImage, extends, new_tables
from train.model.words import Words

_TRIED = 3
"""Samples of a set that are looked for, since one may be damaged."""


@dataclass(frozen=True)
class TrainingData:
    """Micro-batches to train on, the samples kept apart, and what was left out."""

    batches: Callable[[int], Iterator[Batch]]
    """The endless micro-batches of this process, from a step on."""
    held_out: Mixture | None
    words: Words
    problems: tuple[Problem, ...]
    trained: Callable[[], Iterator[Sample]]
    """Samples that are trained on, from the first."""
    depends_on_micro_batch: bool
    """Whether the order of samples does."""


def open_training_data(
    config: FitConfig, model: TextToImage, share: Share, accelerator: Accelerator
) -> TrainingData:
    """Open the sets, keep some samples apart, and encode pictures where they are cached.

    Raises:
        ValueError: a set that cannot be opened, nothing usable in it, or options that do not go
            together.
    """
    words = model.words(config.data.max_regions)
    if config.data.sets[0].is_stream:
        return _open_stream(config, words, share, accelerator)
    mixture, held_out = from_main(accelerator, partial(open_pictures, config))
    with together(accelerator):
        _check_reach(mixture)
    usable, problems, cache = np.arange(len(mixture)), list(mixture.problems), None
    if config.data.cache_latents:
        cache = _fill_cache(config, model, mixture, accelerator)
        broken = cache.problems()
        problems += broken.values()
        usable = np.delete(usable, list(broken))
    rows = TrainingSet(mixture, config.data, words, config.seed, cache)
    sizes, blocks = mixture.sizes[usable], mixture.blocks[usable]
    plan = Plan(sizes, usable, share.micro_batch, config.seed, blocks)
    pin = accelerator.device.type == "cuda"
    batches = partial(training_batches, rows, plan, share, pin)
    trained = partial(map, mixture.sample, usable.tolist())
    told = tuple(problems)
    return TrainingData(batches, held_out, words, told, trained, plan.depends_on_chunk)


def _check_reach(mixture: Mixture) -> None:
    """Raise ValueError for a set that the main process found, whose files are not here."""
    for place in np.unique(mixture.entries[:, 0]):
        numbers = np.flatnonzero(mixture.entries[:, 0] == place)[:_TRIED]
        failures = [error for number in numbers.tolist() if (error := _failure(mixture, number))]
        if len(failures) == len(numbers):
            raise ValueError(
                f"this process does not find what the main one read: all machines need a set's "
                f"files in the same place; {failures[0]}"
            ) from failures[0]


def _failure(mixture: Mixture, number: int) -> Exception | None:
    """Why a sample cannot be read; None where it can."""
    try:
        mixture.sample(number)
    except UNREADABLE as error:
        return error
    return None


def open_pictures(config: FitConfig) -> tuple[Mixture, Mixture | None]:
    """The samples to train on, and those to measure on. Raises ValueError as open_mixture does."""
    return _hold_out(config, open_mixture(config.data.sets, config.data, config.image_size))


def _open_stream(
    config: FitConfig, words: Words, share: Share, accelerator: Accelerator
) -> TrainingData:
    if len(config.data.sets) > 1 or config.data.cache_latents:
        raise ValueError(
            f"{config.data.sets[0].kind} are trained on alone and uncached: give one set, and set "
            "data.cache_latents = false"
        )
    sizes = PictureSizes(config.data, config.image_size)
    stream = cast(SampleStream, open_set(config.data.sets[0]))

    def batches(step: int) -> Iterator[Batch]:
        reader = StreamBatches(stream, config.data, sizes, words, config.seed, share, step)
        return stream_batches(reader, accelerator.device.type == "cuda")

    held_out = None
    if config.validation.set is not None:
        opened = partial(_open_validation, config, config.validation.set)
        held_out = from_main(accelerator, opened)
    trained = partial(stream.epoch, 0, config.seed, 0, 1)
    return TrainingData(batches, held_out, words, tuple(stream.problems), trained, True)


def _fill_cache(
    config: FitConfig, model: TextToImage, mixture: Mixture, accelerator: Accelerator
) -> LatentCache:
    folder = Path(config.data.cache_folder or Path(config.folder) / "cache")
    flips = config.data.flip > 0
    key = from_main(accelerator, partial(cache_key, model.codec, mixture, flips))
    cache = LatentCache(folder / key, mixture, flips)
    cache.fill(model.codec, accelerator.process_index, accelerator.num_processes)
    accelerator.wait_for_everyone()
    return cache


def _hold_out(config: FitConfig, mixture: Mixture) -> tuple[Mixture, Mixture | None]:
    """Samples to train on, and samples to measure on."""
    validation = config.validation
    if not (validation.every and validation.samples):
        return mixture, None
    if validation.set is not None:
        return mixture, _open_validation(config, validation.set)
    if unseen := config.data.sets[0].unseen(validation.samples):
        return mixture, _open_validation(config, unseen)
    held_out = min(validation.samples, len(mixture.sets[0]) // 10)
    return mixture.split(held_out) if held_out else (mixture, None)


def _open_validation(config: FitConfig, chosen: SetConfig) -> Mixture:
    chosen = replace(chosen, samples=config.validation.samples)
    return open_mixture([chosen], config.data, config.image_size)


def trained_sets(config: FitConfig) -> TrainedSets:
    """What a training reads, for `data check`; ValueError where its base cannot be read."""
    sets = config.data.sets + ((config.validation.set,) if config.validation.set else ())
    limits = Limits(max_regions=config.data.max_regions, **_tables(config.model))
    return TrainedSets(sets, limits, config.image_size)


def _tables(config: ModelConfig) -> dict[str, int]:
    """Position tokens and length of a model that learns from the sets, as the trainer makes it."""
    if config.base and Path(config.base).exists():
        info = describe_checkpoint(*read_any(Path(config.base)))
        if not extends(config, info):
            return {"num_bins": info.num_bins, "max_length": info.max_length}
    tables = new_tables(config)
    return {"num_bins": tables.num_bins, "max_length": tables.max_length}
