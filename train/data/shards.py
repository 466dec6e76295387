"""Shards: .tar files read from front to back with webdataset, for sets that outgrow a disk.

A sample's members share a name: X.jpg (or .jpeg, .png, .webp) with X.json, an object as in JSON
lines but without image; or with X.txt (captions, one a line) and X.bbox.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal

import numpy as np

from train.data.decode import UNREADABLE, PictureBytes, picture_size, picture_suffixes
from train.data.folder import CAPTIONS, read_captions
from train.data.json_lines import parse_object, read_record
from train.data.problems import Problem, Unusable
from train.data.regions import FoundRegions, choose_captions
from train.data.sample import Sample
from train.data.set_config import SetConfig
from train.data.sidecars import parse_boxes
from train.data.tar_members import tar_members
from train.options import Place, options

BUFFER = 1000
"""Samples, their pictures still encoded, that are held to draw the next from."""


@options
class ShardsConfig(SetConfig):
    """webdataset's .tar files, read from front to back."""

    kind: Literal["shards"] = "shards"
    path: Place = ""
    """Files as set-{0000..0099}.tar, http:, pipe:, several joined by "::"."""

    is_stream: ClassVar[bool] = True


def open_shards(config: ShardsConfig, size: int = 0) -> ShardStream:
    """size: of pictures that are drawn, which these are not.

    Raises ValueError when no shard is named.
    """
    return ShardStream(config.path, config.samples)


class ShardStream:
    """A SampleStream; `problems` and `clipped` grow as it is read, each problem named once.

    path: as webdataset takes it: files with {0000..0099}, http:, pipe:, several joined by "::".
    limit: how many samples an epoch has (0: all), divided among workers.
    """

    def __init__(self, path: str, limit: int = 0, buffer: int = BUFFER):
        import webdataset  # brings torch, which options do without

        self.urls = webdataset.shardlists.expand_urls(path) if path else []
        if not self.urls:
            raise ValueError(f"path = {path!r} names no shards: write set-{{0000..0099}}.tar")
        self.limit, self.buffer = limit, buffer
        self.problems: list[Problem] = []
        self.clipped = 0
        self._named: set[Problem] = set()

    def epoch(self, number: int, seed: int, worker: int = 0, workers: int = 1) -> Iterator[Sample]:
        """Worker `worker`'s share of an epoch, the same for the same arguments.

        Shards are shuffled and dealt out to the workers; where there are fewer shards than
        workers, all read every shard and take every so-many-th sample of it.
        """
        order = np.random.default_rng([seed, number]).permutation(len(self.urls))
        urls = [self.urls[i] for i in order]
        shared = len(urls) < workers
        members = self._members(urls if shared else urls[worker::workers])
        if shared:
            members = (one for i, one in enumerate(members) if i % workers == worker)
        rng = random.Random(f"{seed} {number} {worker} {workers}")
        left = len(range(worker, self.limit, workers)) if self.limit else -1
        for one in _shuffled(members, self.buffer, rng):
            if left == 0:
                return
            sample = self._sample(one)
            if sample is not None:
                left -= 1
                yield sample

    def _members(self, urls: list[str]) -> Iterator[dict[str, Any]]:
        """The members of every sample, by suffix; shards that are not read to their end are named.

        A sample that a shard breaks off in, or after, is left out: members of it may be missing.
        """
        from webdataset.tariterators import group_by_keys

        for url in urls:
            count = 0
            try:
                for sample in group_by_keys(tar_members(url)):
                    count += 1
                    yield sample
            except Exception as error:  # files, pipes and archives break in many ways
                read = f"only {count} samples of it were read, the rest is cut or damaged"
                self._name(Problem(url, f"{read if count else 'cannot be read'}: {error}", "shard"))

    def _sample(self, members: Mapping[str, Any]) -> Sample | None:
        shard = PurePosixPath(members["__url__"]).name
        key = f"{shard}/{members['__key__']}"
        try:
            sample, found = _read_sample(key, members)
        except UNREADABLE as error:
            self._name(Problem.of(key, error))
            return None
        for problem in found.problems:
            self._name(problem)
        self.clipped += found.clipped
        return sample

    def _name(self, problem: Problem) -> None:
        if problem not in self._named:
            self._named.add(problem)
            self.problems.append(problem)


def _shuffled(samples: Iterator[Any], size: int, rng: random.Random) -> Iterator[Any]:
    """The same in an order of their own, each drawn from the next `size`."""
    held: list[Any] = []
    for one in samples:
        held.append(one)
        if len(held) >= size:
            yield _draw(held, rng)
    while held:
        yield _draw(held, rng)


def _draw(held: list[Any], rng: random.Random) -> Any:
    place = rng.randrange(len(held))
    held[place], held[-1] = held[-1], held[place]
    return held.pop()


def _read_sample(key: str, members: Mapping[str, Any]) -> tuple[Sample, FoundRegions]:
    suffixes = [suffix[1:] for suffix in picture_suffixes() if suffix[1:] in members]
    if not suffixes:
        raise Unusable(
            f"has no picture: only {', '.join(k for k in members if k[0] != '_')}", "missing"
        )
    data = members[suffixes[0]]
    size = None
    if "json" in members:
        record = read_record(key, parse_object(members["json"]))
        captions, found, size = record.captions, record.found, record.size
    else:
        found = FoundRegions()
        if "bbox" in members:
            found = parse_boxes(key, f"{key}.bbox", members["bbox"])
        texts = ((f"{key}{suffix}", members.get(suffix[1:])) for suffix in CAPTIONS)
        told = next(((name, text) for name, text in texts if text is not None), None)
        captions = choose_captions(read_captions(told), found)
    width, height = size or picture_size(data)
    return Sample(key, captions, found.kept, width, height, PictureBytes(data)), found
