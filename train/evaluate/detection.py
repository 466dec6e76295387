"""Object detectors of transformers (DETR and its kin) as a function from pictures to boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from reco_core.boxes import box_inside
from reco_core.layout import Box
from train.evaluate.pretrained import batches, load_pretrained


@dataclass(frozen=True)
class Detection:
    """A thing that was found. label: as the detector names it. score: 0 to 1. box: xyxy,
    fractions of the picture."""

    label: str
    score: float
    box: Box


Detections = Sequence[Detection]


@dataclass(frozen=True)
class Detector:
    """name: of the model. labels: all the classes it knows. detect: pictures -> what is in each,
    best first.

    A detector has as many guesses as it has queries (DETR: 100); weak ones are among them.
    """

    name: str
    labels: frozenset[str]
    detect: Callable[[Sequence[Image.Image]], list[list[Detection]]]


def open_detector(
    name: str, device: str, batch_size: int = 16, option: str = "--detector"
) -> Detector:
    """A Detector from a folder or hub id of transformers' AutoModelForObjectDetection.

    batch_size: pictures that go through the model together.

    Raises:
        ValueError: there is no such model, or it is no detector.
    """
    processor, model = load_pretrained(option, "object detector", name, _loader(name))
    model = model.to(device).eval()
    names = model.config.id2label

    def detect(pictures: Sequence[Image.Image]) -> list[list[Detection]]:
        return [found for part in batches(pictures, batch_size) for found in _detect(part)]

    def _detect(pictures: Sequence[Image.Image]) -> list[list[Detection]]:
        import torch

        inputs = processor(images=list(pictures), return_tensors="pt").to(device)
        with torch.inference_mode():
            output = model(**inputs)
        ones = [(1, 1)] * len(pictures)  # boxes as fractions, whatever the size
        found = processor.post_process_object_detection(output, threshold=0.0, target_sizes=ones)
        return [read_detections(picture, names) for picture in found]

    return Detector(name, frozenset(names.values()), detect)


def read_detections(found: dict[str, Any], names: dict[int, str]) -> list[Detection]:
    """What transformers' post-processing found in one picture, best first.

    found: scores (N,), labels (N,), boxes (N, 4) xyxy in fractions. Boxes are cut at the picture's
    edges; those that lie outside are left out.
    """
    rows = zip(
        found["labels"].tolist(), found["scores"].tolist(), found["boxes"].tolist(), strict=True
    )
    detections = [
        Detection(names[label], score, box)
        for label, score, corners in rows
        if (box := box_inside(*corners)) is not None
    ]
    return sorted(detections, key=lambda detection: -detection.score)


def _loader(name: str) -> Callable[[bool], tuple[Any, Any]]:
    def load(is_local: bool) -> tuple[Any, Any]:
        from transformers import AutoImageProcessor, AutoModelForObjectDetection

        place = Path(name).expanduser() if is_local else name
        model = AutoModelForObjectDetection.from_pretrained(place, local_files_only=is_local)
        return AutoImageProcessor.from_pretrained(place, local_files_only=is_local), model

    return load
