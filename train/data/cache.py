"""Latents and token sequences of ShapeSkills, made once and kept in one file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from reco_core import Layout, PositionVocabulary, build_sequence
from train.atomic import save_atomically
from train.autoencoder_fit import to_tensor
from train.data.shapeskills import Split, render, sample
from train.latents import LatentCodec
from train.tokenizer import plain_tokenize

MAX_REGIONS = 4
ENCODE_PIXELS = 50 * 128 * 128
"""Pixels that go through the encoder at once: fifty small pictures, or three of 512 x 512."""


@dataclass(frozen=True)
class Batch:
    """Encoded samples; regions that a sample lacks have a span of zero length."""

    latents: Tensor
    """(B, 4, h, w) float32, as the UNet sees them."""
    ids: Tensor
    """(B, L) token ids."""
    boxes: Tensor
    """(B, R, 4) xyxy in [0, 1]."""
    spans: Tensor
    """(B, R, 2) start and stop of each region in the sequence."""

    def to(self, device: torch.device) -> Batch:
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class EncodedSet:
    """Samples held in memory: latents in half precision, sequences, boxes."""

    def __init__(self, tensors: dict[str, Tensor]):
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors["ids"])

    def batch(self, indices: Tensor) -> Batch:
        rows = {name: tensor[indices] for name, tensor in self.tensors.items()}
        return Batch(
            rows["latents"].float(), rows["ids"].long(), rows["boxes"], rows["spans"].long()
        )


def encode_shapeskills(
    codec: LatentCodec,
    *,
    count: int,
    seed: int,
    split: Split,
    counts: tuple[int, ...],
    image_size: int,
    max_length: int,
    vocabulary: PositionVocabulary,
    folder: Path,
) -> EncodedSet:
    """Render, encode and tokenise samples 0 to count - 1 of a split, or read them back.

    The file's name carries a digest of everything the tensors depend on.
    """
    options = [count, seed, int(split), counts, image_size, max_length, vocabulary.num_bins]
    path = folder / f"{split.name.lower()}-{_digest(codec, options)}.safetensors"
    if not path.exists():
        samples = _encode(codec, count, seed, split, counts, image_size, max_length, vocabulary)
        save_atomically(samples, path)
    return EncodedSet(load_file(path))


def encode_layout(
    layout: Layout, max_length: int, vocabulary: PositionVocabulary
) -> dict[str, Tensor]:
    """One layout's ids, boxes and spans, unbatched, as Batch holds them."""
    sequence = build_sequence(layout, plain_tokenize(), max_length, vocabulary)
    boxes, spans = torch.zeros(MAX_REGIONS, 4), torch.zeros(MAX_REGIONS, 2, dtype=torch.int16)
    for i, (region, span) in enumerate(zip(layout.regions, sequence.region_spans, strict=True)):
        boxes[i] = torch.tensor([region.box.x0, region.box.y0, region.box.x1, region.box.y1])
        spans[i] = torch.tensor(span)
    return {"ids": torch.tensor(sequence.ids, dtype=torch.int32), "boxes": boxes, "spans": spans}


@torch.no_grad()
def _encode(
    codec: LatentCodec,
    count: int,
    seed: int,
    split: Split,
    counts: tuple[int, ...],
    image_size: int,
    max_length: int,
    vocabulary: PositionVocabulary,
) -> dict[str, Tensor]:
    rows: list[dict[str, Tensor]] = []
    latents: list[Tensor] = []
    bar = tqdm(total=count, desc=f"encoding {split.name.lower()}", unit="images")
    device = next(codec.autoencoder.parameters()).device
    batch_size = max(1, ENCODE_PIXELS // image_size**2)
    for start in range(0, count, batch_size):
        indices = range(start, min(start + batch_size, count))
        samples = [sample(i, seed, split, image_size, counts) for i in indices]
        images = torch.stack([to_tensor(render(s.scene)) for s in samples])
        images = images.to(device, memory_format=torch.channels_last)
        latents.append(codec.encode(images).half().cpu())
        rows += [encode_layout(s.layout, max_length, vocabulary) for s in samples]
        bar.update(len(samples))
    stacked = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    return {"latents": torch.cat(latents).contiguous(), **stacked}


def _digest(codec: LatentCodec, options: list) -> str:
    digest = hashlib.sha256(json.dumps(options).encode())
    for name, tensor in codec.autoencoder.state_dict().items():
        if name.startswith(("encoder.", "quant_conv.")):
            digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
