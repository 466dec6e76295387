"""What CLIP says of the crops of a picture's boxes: which category they show, how well they fit
their texts.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision"; the
CLIP score is that of Hessel et al. 2021 in torchmetrics' form: 100 times the cosine, at least 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from train.evaluate.pretrained import batches, load_pretrained

if TYPE_CHECKING:
    from torch import Tensor

PROMPT = "a photo of a {name}"


class ClipFeatures:
    """A CLIPModel of transformers, from a folder or hub id.

    batch_size: crops or texts that go through it together.

    Raises:
        ValueError: there is no such model, or it is no CLIP.
    """

    def __init__(self, name: str, device: str, batch_size: int = 64, option: str = "--clip"):
        self.name = name
        self.processor, model = load_pretrained(option, "CLIP model", name, _loader(name))
        self.model, self.device, self.batch_size = model.to(device).eval(), device, batch_size

    def of_texts(self, texts: Sequence[str]) -> Tensor:
        """(N, D) of length 1 for each text; what does not fit into CLIP's 77 tokens is cut off."""
        length = self.model.config.text_config.max_position_embeddings

        def inputs(some: Sequence[str]) -> Any:
            return self.processor(
                text=list(some),
                padding=True,
                truncation=True,
                max_length=length,
                return_tensors="pt",
            )

        return self._features(self.model.get_text_features, inputs, texts)

    def of_pictures(self, pictures: Sequence[Image.Image]) -> Tensor:
        """(N, D) of length 1 for each picture, resized and cut as CLIP's processor says."""

        def inputs(some: Sequence[Image.Image]) -> Any:
            return self.processor(images=list(some), return_tensors="pt")

        return self._features(self.model.get_image_features, inputs, pictures)

    def _features(self, encode: Callable[..., Any], inputs: Any, items: Sequence[Any]) -> Tensor:
        import torch

        parts = [torch.zeros(0, self.model.config.projection_dim)]
        for some in batches(items, self.batch_size):
            with torch.inference_mode():
                output = encode(**inputs(some).to(self.device))
            features = getattr(output, "pooler_output", output)  # a tensor before transformers 5
            parts.append(torch.nn.functional.normalize(features.float(), dim=-1).cpu())
        return torch.cat(parts)


def nearest_categories(crops: Tensor, categories: Tensor) -> list[int]:
    """Of each crop, the category whose prompt is nearest: (N, D), (C, D) of length 1 -> N."""
    return (crops @ categories.T).argmax(dim=-1).tolist() if len(crops) else []


def cosines(crops: Tensor, texts: Tensor) -> list[float]:
    """Of each crop with its own text: (N, D), (N, D) of length 1 -> N, from -1 to 1."""
    return (crops * texts).sum(dim=-1).tolist()


def clip_score(cosine: float) -> float:
    """0 to 100, as torchmetrics' CLIPScore: 100 times the cosine, 0 where that is negative."""
    return max(100 * cosine, 0.0)


def _loader(name: str) -> Callable[[bool], tuple[Any, Any]]:
    def load(is_local: bool) -> tuple[Any, Any]:
        from transformers import AutoConfig, CLIPModel, CLIPProcessor

        place = Path(name).expanduser() if is_local else name
        kind = AutoConfig.from_pretrained(place, local_files_only=is_local).model_type
        if kind != "clip":  # CLIPModel would take any file and fill what it lacks with noise
            raise ValueError(f"this is a model of type {kind!r}")
        processor = CLIPProcessor.from_pretrained(place, local_files_only=is_local)
        return processor, CLIPModel.from_pretrained(place, local_files_only=is_local)

    return load
