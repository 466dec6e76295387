"""Open-vocabulary detectors of transformers as a function from pictures and words to boxes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from reco_core.boxes import box_inside
from reco_core.checks import quote
from reco_core.layout import Box
from train.data.hub_model import load_model

DEFAULT_MODEL = "IDEA-Research/grounding-dino-tiny"
READS_SENTENCES, READS_WORDS = ("grounding-dino", "mm-grounding-dino"), ("owlv2", "owlvit")
"""Architectures, by transformers' names: the first find the phrases of a text themselves."""


Asked = str | Sequence[str]
"""A sentence, or words."""


@dataclass(frozen=True)
class Found:
    """A thing in a picture. box: xyxy, fractions of the picture. score: 0 to 1."""

    text: str
    box: Box
    score: float


@dataclass(frozen=True)
class OpenDetector:
    """find: pictures, and for each a sentence or words -> what is in each, best first, every
    thing once. check: raises ValueError for a sentence or words that are longer than the model
    reads. reads_sentences: whether it takes a sentence."""

    find: Callable[[Sequence[Image.Image], Sequence[Asked]], list[list[Found]]]
    check: Callable[[Asked], None]
    reads_sentences: bool


def open_detector(name: str, threshold: float | None = None, overlap: float = 0.5) -> OpenDetector:
    """A GroundingDINO or OWLv2 model, on CUDA where there is some.

    name: on the hub, or a folder. threshold: of scores; None: transformers' own for the
    architecture (0.25 and 0.1). overlap: of two boxes with a larger IoU the better one stays.

    Raises:
        ValueError: there is no such model, or it is no detector of this kind.
    """
    import torch

    processor, model = load_model(name, "open-vocabulary detector", DEFAULT_MODEL, _load)
    kind = model.config.model_type
    if kind not in READS_SENTENCES + READS_WORDS:
        known = ", ".join(READS_SENTENCES + READS_WORDS)
        raise ValueError(f"{name!r} is of the architecture {kind}: give one of {known}")
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    sentences = kind in READS_SENTENCES
    chosen = {} if threshold is None else {"threshold": threshold}
    special = frozenset(processor.tokenizer.all_special_tokens)

    config = model.config
    room = config.max_text_len if sentences else config.text_config.max_position_embeddings

    def check(asked: Asked) -> None:
        for text in [_sentence(asked)] if sentences else asked:
            count = len(processor.tokenizer(text)["input_ids"])
            if count > room:
                raise ValueError(
                    f"{quote(text, 80)} takes {count} tokens, and {name!r} reads {room}: shorten "
                    "the caption or the words that are looked for"
                )

    @torch.inference_mode()
    def find(pictures: Sequence[Image.Image], asked: Sequence[Asked]) -> list[list[Found]]:
        texts = [_sentence(one) if sentences else list(one) for one in asked]
        pads = {"padding": True} if sentences else {}  # OWLv2 pads by itself
        inputs = processor(images=list(pictures), text=texts, return_tensors="pt", **pads)
        output = model(**inputs.to(model.device))
        sizes = [(picture.height, picture.width) for picture in pictures]
        more = {"input_ids": inputs["input_ids"]} if sentences else {"text_labels": texts}
        results = processor.post_process_grounded_object_detection(
            output, target_sizes=sizes, **more, **chosen
        )
        found = zip(results, pictures, asked, strict=True)
        return [_things(r, picture.size, one, overlap, special) for r, picture, one in found]

    return OpenDetector(find, check, sentences)


def _load(name: str, is_local: bool) -> tuple[Any, Any]:
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    place = Path(name).expanduser() if is_local and Path(name).is_dir() else name
    processor = AutoProcessor.from_pretrained(place, local_files_only=is_local)
    return processor, AutoModelForZeroShotObjectDetection.from_pretrained(
        place, local_files_only=is_local
    )


def _sentence(asked: Asked) -> str:
    """As GroundingDINO was trained: in small letters, phrases with a stop after each."""
    text = asked if isinstance(asked, str) else ". ".join(asked)
    return f"{text.strip().lower().rstrip('.')}."


def _things(
    result: dict[str, Any],
    size: tuple[int, int],
    asked: Asked,
    overlap: float,
    special: Collection[str],
) -> list[Found]:
    """What transformers' post-processing found. size: width and height in pixels.
    special: tokens that are no words.

    Things whose label is none of the words that were asked for (two of them run together, or
    nothing) are left out, as are boxes outside of the picture.
    """
    from torchvision.ops import nms

    words = {} if isinstance(asked, str) else {word.strip().lower(): word for word in asked}
    boxes, scores = result["boxes"].float(), result["scores"].float()
    found = []
    for i in nms(boxes, scores, overlap).tolist():
        said = [word for word in result["text_labels"][i].split() if word not in special]
        label = " ".join(said).strip(" .")
        text = words.get(label.lower(), "") if words else label
        box = box_inside(*(boxes[i] / boxes.new_tensor([*size, *size])).tolist())
        if text and box is not None:
            found.append(Found(text, box, scores[i].item()))
    return found
