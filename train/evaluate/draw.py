"""Draws the cases of a suite into a folder, and goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path

import torch
from PIL import Image
from tqdm import tqdm

from reco_core.atomic import write_atomically, write_text_atomically
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint
from train.data.sample import Problem
from train.evaluate.drawing import Drawing
from train.evaluate.pretrained import pick_device
from train.evaluate.suite import Case
from train.model.compute import memory_errors_told
from train.model.sampling import sample_batch
from train.model.text_to_image import REGIONS_IN_WORDS, TextToImage, load_model
from train.model.words import Words
from train.precision import dtype_of

ON_CPU = "--device cpu; what is drawn stays, and the same command goes on"
"""The last resort where memory is short, as words of an advice."""
NOTE = "drawing.json"
"""What a folder's pictures were drawn with."""


@dataclass(frozen=True)
class Checkpoint:
    """A single-file checkpoint that is drawn with.

    words: how it reads layouts. image_size: side in pixels of what it was trained on; the family's
    where the file does not say.
    """

    path: Path
    words: Words
    image_size: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, which is read for it."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()


class Studio:
    """A checkpoint's pictures in a folder; the model is loaded when the first one is missing.

    Raises:
        ValueError: the folder holds pictures that were drawn otherwise.
    """

    def __init__(self, checkpoint: Checkpoint, drawing: Drawing, folder: Path):
        self.checkpoint, self.drawing, self.folder = checkpoint, drawing, folder
        self._model: TextToImage | None = None
        self._check_folder()

    def draw(self, cases: Sequence[Case]) -> None:
        """Draw the cases whose pictures are missing. Shows a bar.

        Raises:
            ValueError: memory ran out; says how many pictures at once to try.
        """
        note = json.dumps(self.describe(), indent=1)
        write_text_atomically(self.folder / NOTE, note)
        missing = [case for case in cases if not self.path(case).exists()]
        with tqdm(total=len(missing), desc="drawing", disable=not missing) as bar:
            for batch in same_size_batches(missing, self.drawing.batch_size):
                for case, image in zip(batch, self._sample(batch), strict=True):
                    save = partial(image.save, format="PNG")
                    write_atomically(self.path(case), save)
                bar.update(len(batch))

    def untold(self, cases: Sequence[Case]) -> list[Problem]:
        """What of the layouts the checkpoint has no room for, by case."""
        told = ((case.name, self.checkpoint.words.told(case.layout)[1]) for case in cases)
        return [Problem(name, lost) for name, lost in told if lost]

    def open(self, case: Case) -> Image.Image:
        """The picture that was drawn for a case, RGB."""
        with Image.open(self.path(case)) as image:
            return image.convert("RGB")

    def path(self, case: Case) -> Path:
        return self.folder / "pictures" / f"{case.name}.png"

    def describe(self) -> dict:
        """What a picture depends on besides its case."""
        options = asdict(self.drawing)
        del options["batch_size"], options["device"]
        return {"checkpoint": str(self.checkpoint.path), "sha256": self.checkpoint.digest} | options

    def _sample(self, batch: Sequence[Case]) -> list[Image.Image]:
        options = self.drawing
        if self._model is None:
            when = f"while {self.checkpoint.path.name} was loaded"
            with memory_errors_told(when, f"end what else uses the device, or give {ON_CPU}"):
                self._model = _load(self.checkpoint, options)
        mixed = options.precision != "fp32"
        dtype = dtype_of(options.precision) if mixed else None
        width, height = batch[0].layout.width, batch[0].layout.height
        when = f"while a single picture of {width} x {height} pixels was drawn"
        less = f"give --precision fp16, a smaller --size where the suite has one, or {ON_CPU}"
        with (
            memory_errors_told(when, less),
            torch.autocast(self._model.unet.device.type, dtype, enabled=mixed),
        ):
            return sample_batch(
                self._model,
                [case.layout for case in batch],
                [case.seed for case in batch],
                options.steps,
                options.guidance,
                options.sampler,
                batch[0].second,
            )

    def _check_folder(self) -> None:
        """See that the folder's pictures, if there are some, were drawn as this does."""
        note = self.folder / NOTE
        if not note.exists() or not any((self.folder / "pictures").glob("*.png")):
            return
        ours = self.describe()
        theirs = json.loads(note.read_text(encoding="utf-8"))
        different = [k for k in ours if k != "checkpoint" and ours[k] != theirs.get(k)]
        if different:
            told = ", ".join(f"{k} = {theirs.get(k)!r}, now {ours[k]!r}" for k in different)
            raise ValueError(
                f"{str(self.folder)!r} holds pictures drawn otherwise ({told}): choose another "
                "--output, or delete that folder"
            )


def open_checkpoint(path: Path) -> Checkpoint:
    """Read what a checkpoint is, from its names, shapes and metadata: not yet its weights.

    Raises:
        ValueError, FileNotFoundError: not a checkpoint that can be drawn with; says why.
    """
    tensors, metadata = read_checkpoint(path)
    try:
        info = describe_checkpoint(tensors, metadata)
    except ValueError as error:
        raise ValueError(f"--checkpoint {str(path)!r}: {error}") from None
    in_words = REGIONS_IN_WORDS in metadata
    padding = info.family.encoders[0].padding
    words = Words(info.max_length, info.num_bins, 0, in_words, padding)
    return Checkpoint(path, words, info.start_size()[0])


def same_size_batches(cases: Sequence[Case], batch_size: int) -> Iterator[list[Case]]:
    """Cases in order, in batches of those that are drawn alike."""
    ordered = sorted(cases, key=lambda case: case.drawn_alike)
    for _, group in groupby(ordered, key=lambda case: case.drawn_alike):
        alike = list(group)
        yield from (alike[at : at + batch_size] for at in range(0, len(alike), batch_size))


def _load(checkpoint: Checkpoint, drawing: Drawing) -> TextToImage:
    tensors, metadata = read_checkpoint(checkpoint.path)
    model = load_model(tensors, metadata)
    device = pick_device(drawing.device)
    for module in (model.unet, model.text_encoder, model.codec.autoencoder):
        module.to(device).eval()
    return model
