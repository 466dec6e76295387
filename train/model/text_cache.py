"""Text states on disk, each made once, keyed by everything they depend on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from train.atomic import save_atomically
from train.model.text_to_image import TextToImage


@dataclass(kw_only=True)
class CachedText(TextToImage):
    """A model that reads the states of texts it has seen from a folder, in half precision."""

    folder: Path

    def text_states(self, ids: Tensor) -> Tensor:
        """As of TextToImage, in fp32."""
        return torch.stack([self._states(row) for row in ids])

    @torch.no_grad()
    def _states(self, ids: Tensor) -> Tensor:
        """ids (L,) -> (L, C). A text goes through the encoder alone, and under the autocast of the
        encoder's own weights, so that its states do not depend on what it came with or who asks for
        them, and a run continues bit for bit."""
        path = self.folder / f"{_digest(ids)}.safetensors"
        if not path.exists():
            weights = self.text_encoder.get_input_embeddings().weight.dtype
            mixed = weights != torch.float32
            with torch.autocast(ids.device.type, weights if mixed else None, enabled=mixed):
                states = super().text_states(ids[None])[0]
            save_atomically({"states": states.half().cpu()}, path)
        return load_file(path)["states"].to(ids.device).float()


def cache_text(model: TextToImage, use_regions: bool, folder: Path) -> CachedText:
    """The model with its texts cached under `folder`, by a digest of the encoder's weights.

    use_regions: whether texts are of regions too.

    Raises:
        ValueError: the text encoder learns, or texts are drawn anew each time.
    """
    if any(parameter.requires_grad for parameter in model.text_encoder.parameters()):
        raise ValueError(
            "data.cache_text needs a frozen text encoder: set optimizer.train_text_encoder = "
            "false, without LoRA"
        )
    if use_regions:
        raise ValueError(
            "data.cache_text needs texts that stay the same, and regions come in a new order each "
            "time: set data.use_regions = false"
        )
    digest = _digest(*model.text_encoder.state_dict().values())
    return CachedText(**vars(model), folder=folder / f"text-{digest}")


def _digest(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().cpu().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]
