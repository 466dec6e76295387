"""Draws the cases of a suite into a folder, and goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import torch
from PIL import Image
from tqdm import tqdm

from reco_core.atomic import write_atomically, write_text_atomically
from reco_core.checkpoint_file import read_checkpoint
from reco_core.family import family_named
from train.evaluate.drawing import Drawing
from train.evaluate.suite import Case
from train.model.sampling import sample_batch
from train.model.text_to_image import TextToImage, load_model
from train.precision import dtype_of


@dataclass(frozen=True)
class Checkpoint:
    """A single-file checkpoint that is drawn with.

    image_size: side in pixels of what it was trained on; the family's where the file does not say.
    """

    path: Path
    digest: str
    metadata: dict[str, str]

    @property
    def image_size(self) -> int:
        family = family_named(self.metadata.get("family", ""))
        return int(self.metadata.get("image_size", family.side))


class Studio:
    """A checkpoint's pictures in a folder; the model is loaded when the first one is missing."""

    def __init__(self, checkpoint: Checkpoint, drawing: Drawing, folder: Path):
        self.checkpoint, self.drawing, self.folder = checkpoint, drawing, folder
        self._model: TextToImage | None = None
        self._check_folder()

    def draw(self, cases: Sequence[Case]) -> None:
        """Draw the cases whose pictures are missing. Shows a bar."""
        missing = [case for case in cases if not self.path(case).exists()]
        with tqdm(total=len(missing), desc="drawing", disable=not missing) as bar:
            for batch in same_size_batches(missing, self.drawing.batch_size):
                for case, image in zip(batch, self._sample(batch), strict=True):
                    save = partial(image.save, format="PNG")
                    write_atomically(self.path(case), save)
                bar.update(len(batch))

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
        if self._model is None:
            self._model = _load(self.checkpoint, self.drawing)
        options = self.drawing
        mixed = options.precision != "fp32"
        dtype = dtype_of(options.precision) if mixed else None
        with torch.autocast(self._model.unet.device.type, dtype, enabled=mixed):
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
        """Note what the folder's pictures are drawn with, or see that it is the same."""
        note, ours = self.folder / "drawing.json", self.describe()
        if not note.exists():
            text = json.dumps(ours, indent=1)
            write_text_atomically(note, text)
            return
        theirs = json.loads(note.read_text(encoding="utf-8"))
        different = [k for k in ours if k != "checkpoint" and ours[k] != theirs.get(k)]
        if different:
            told = ", ".join(f"{k} = {theirs.get(k)!r}, now {ours[k]!r}" for k in different)
            raise ValueError(
                f"{str(self.folder)!r} holds pictures drawn otherwise ({told}): choose another "
                "--output, or delete that folder"
            )


def open_checkpoint(path: Path) -> Checkpoint:
    """Read what is said of a checkpoint, not yet its weights.

    Raises:
        ValueError, FileNotFoundError: not a safetensors checkpoint.
    """
    _, metadata = read_checkpoint(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return Checkpoint(path, digest.hexdigest(), metadata)


def same_size_batches(cases: Sequence[Case], batch_size: int) -> Iterator[list[Case]]:
    """Cases in order, in batches of those that are drawn alike."""
    ordered = sorted(cases, key=lambda case: case.drawn_alike)
    for _, group in groupby(ordered, key=lambda case: case.drawn_alike):
        alike = list(group)
        yield from (alike[at : at + batch_size] for at in range(0, len(alike), batch_size))


def _load(checkpoint: Checkpoint, drawing: Drawing) -> TextToImage:
    tensors, metadata = read_checkpoint(checkpoint.path)
    model = load_model(tensors, metadata)
    device = drawing.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    for module in (model.unet, model.text_encoder, model.codec.autoencoder):
        module.to(device).eval()
    return model
