"""Latents of a mixture on disk, each made once, keyed by everything they depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from train.atomic import save_atomically
from train.data.decode import UNREADABLE
from train.data.mixture import Mixture
from train.data.picture import read_picture
from train.data.problems import Problem
from train.data.transforms import draw_view
from train.model.latents import LatentCodec

PART = 256
"""Samples of a file: what a run that is stopped while encoding does again, at most."""
ENCODE_PIXELS = 50 * 128 * 128
"""Pixels that go through the encoder at once: fifty small pictures, or three of 512 x 512."""


class LatentCache:
    """Means and spreads of the autoencoder's posterior, in half precision, in parts of 256 samples.

    Both mirror images are kept when `flips`. folder: named by `cache_key`.
    """

    def __init__(self, folder: Path, mixture: Mixture, flips: bool):
        self.mixture, self.flips = mixture, (False, True) if flips else (False,)
        self.folder = folder
        self.parts = -(-len(mixture) // PART)

    def fill(self, codec: LatentCodec, process: int = 0, processes: int = 1) -> None:
        """Encode what is missing, every `processes`-th part of it."""
        missing = [p for p in range(self.parts) if not self._path(p).exists()]
        mine = [part for part in missing if part % processes == process]
        for part in tqdm(mine, desc="encoding", unit=f"x{PART}", disable=not mine):
            tensors, problems = self._encode(codec, part)
            notes = [[number, p.key, p.reason, p.kind] for number, p in problems.items()]
            tensors["problems"] = _text_tensor(json.dumps(notes))
            save_atomically(tensors, self._path(part))

    def problems(self) -> dict[int, Problem]:
        """Pictures that could not be read: number in the mixture -> why."""
        found = {}
        for part in range(self.parts):
            notes = self._file(part).get_tensor("problems")
            for number, *problem in json.loads(bytes(notes.tolist())):
                found[number] = Problem(*problem)
        return found

    def read(self, number: int, flipped: bool = False) -> tuple[Tensor, Tensor | None]:
        """Mean (4, h, w) and, of a variational autoencoder, standard deviation of a sample."""
        file = self._file(number // PART)
        name = _name(number, flipped)
        spread = f"{name}.spread"
        return file.get_tensor(name), file.get_tensor(spread) if spread in file.keys() else None

    @torch.no_grad()
    def _encode(
        self, codec: LatentCodec, part: int
    ) -> tuple[dict[str, Tensor], dict[int, Problem]]:
        tensors: dict[str, Tensor] = {}
        problems: dict[int, Problem] = {}
        device = next(codec.autoencoder.parameters()).device
        numbers = range(part * PART, min((part + 1) * PART, len(self.mixture)))
        for names, images in _grouped(self._pictures(numbers, problems)):
            images = images.to(device, memory_format=torch.channels_last)
            mean, spread = codec.posterior(images)
            tensors |= dict(zip(names, mean.half().cpu().unbind(), strict=True))
            if spread is not None:
                spreads = spread.half().cpu().unbind()
                tensors |= {f"{n}.spread": s for n, s in zip(names, spreads, strict=True)}
        return {name: tensor.clone() for name, tensor in tensors.items()}, problems

    def _pictures(
        self, numbers: range, problems: dict[int, Problem]
    ) -> Iterator[tuple[str, Tensor]]:
        rng = np.random.default_rng(0)  # a centred view draws nothing that counts
        for number in numbers:
            try:
                sample = self.mixture.sample(number)
            except UNREADABLE as error:
                problems[number] = self.mixture.lost(number, error)
                continue
            size, target = (sample.width, sample.height), self.mixture.target(number)
            for flipped in self.flips:
                view = draw_view(rng, *size, target, "centre", float(flipped))
                try:
                    yield _name(number, flipped), read_picture(sample, view)
                except UNREADABLE as error:
                    problems[number] = Problem.of(sample.key, error, "unreadable")

    def _path(self, part: int) -> Path:
        return self.folder / f"part-{part:05d}.safetensors"

    def _file(self, part: int) -> Any:
        return _open(self._path(part))


@cache
def _open(path: Path) -> Any:
    return safe_open(path, "pt")


def _name(number: int, flipped: bool) -> str:
    return f"{number}.{'flipped' if flipped else 'upright'}"


def _grouped(pictures: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[list[str], Tensor]]:
    """Neighbours of equal size together, as many as the encoder takes."""
    names: list[str] = []
    images: list[Tensor] = []
    for name, image in pictures:
        full = images and len(images) * images[0][0].numel() >= ENCODE_PIXELS
        if full or (images and images[0].shape != image.shape):
            yield names, torch.stack(images)
            names, images = [], []
        names.append(name)
        images.append(image)
    if images:
        yield names, torch.stack(images)


def cache_key(codec: LatentCodec, mixture: Mixture, flips: bool) -> str:
    """A digest of the encoder's weights, and of every sample's name, version and size.

    A sample that can no longer be made counts as one without a name.
    """
    digest = hashlib.sha256(json.dumps([flips, PART]).encode())
    for number in range(len(mixture)):
        try:
            sample = mixture.sample(number)
            told = [sample.key, sample.version]
        except UNREADABLE:
            told = []
        digest.update(json.dumps([*told, mixture.target(number)]).encode())
    for name, tensor in codec.autoencoder.state_dict().items():
        if name.startswith(("encoder.", "quant_conv.")):
            digest.update(tensor.contiguous().cpu().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _text_tensor(text: str) -> Tensor:
    return torch.tensor(list(text.encode()), dtype=torch.uint8)
