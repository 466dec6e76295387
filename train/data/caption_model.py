"""GIT and BLIP models of transformers as a function from pictures to captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from train.data.hub_model import load_model
from train.precision import Precision, dtype_of

DEFAULT_MODEL = "microsoft/git-base-coco"

Describe = Callable[[Sequence[Image.Image]], list[str]]
"""Pictures -> their captions, in one batch; empty where the model says nothing."""


def load_describer(
    name: str, precision: Precision = "fp32", max_tokens: int = 30, beams: int = 1
) -> Describe:
    """A GIT or BLIP model of transformers, on CUDA where there is some, as a function.

    name: on the hub, or a folder. precision: fp32, bf16 or fp16 (CUDA only).

    Raises:
        ValueError: there is no such model, or it cannot be used this way.
    """
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if precision == "fp16" and device.type == "cpu":
        raise ValueError("--precision fp16 needs CUDA, which is not there: use fp32 or bf16")
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ValueError("--precision bf16 is more than this GPU can do: use fp32 or fp16")
    processor, model = load_model(name, "GIT or BLIP model for captions", DEFAULT_MODEL, _load)
    dtype = dtype_of(precision)
    model = model.to(device, dtype).eval()

    @torch.inference_mode()
    def describe(pictures: Sequence[Image.Image]) -> list[str]:
        pixels = processor(images=list(pictures), return_tensors="pt")["pixel_values"]
        try:
            ids = model.generate(
                pixel_values=pixels.to(device, dtype),
                max_new_tokens=max_tokens,
                num_beams=beams,
                do_sample=False,
            )
        except torch.cuda.OutOfMemoryError:
            raise ValueError(
                f"{len(pictures)} crops at once are too many for this GPU: lower --batch-size"
            ) from None
        return [" ".join(t.split()) for t in processor.batch_decode(ids, skip_special_tokens=True)]

    return describe


def _load(name: str, is_local: bool) -> tuple[Any, Any]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(name, local_files_only=is_local)
    return processor, AutoModelForImageTextToText.from_pretrained(name, local_files_only=is_local)
