"""Latents and token sequences of ShapeSkills, made once and kept in one file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass
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


@dataclass(frozen=True)
class SetOptions:
    """What a set of ShapeSkills samples depends on, besides the autoencoder."""

    count: int
    seed: int
    split: Split
    counts: tuple[int, ...]
    image_size: int
    max_length: int
    num_bins: int


def encode_shapeskills(codec: LatentCodec, options: SetOptions, folder: Path) -> EncodedSet:
    """Render, encode and tokenise samples 0 to count - 1 of a split, or read them back.

    The file's name carries a digest of everything the tensors depend on.
    """
    name = f"{options.split.name.lower()}-{_digest(codec, options)}.safetensors"
    if not (folder / name).exists():
        save_atomically(_encode(codec, options), folder / name)
    return EncodedSet(load_file(folder / name))


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
def _encode(codec: LatentCodec, options: SetOptions) -> dict[str, Tensor]:
    rows: list[dict[str, Tensor]] = []
    latents: list[Tensor] = []
    device = next(codec.autoencoder.parameters()).device
    vocabulary = PositionVocabulary(options.num_bins)
    batch_size = max(1, ENCODE_PIXELS // options.image_size**2)
    bar = tqdm(total=options.count, desc=f"encoding {options.split.name.lower()}", unit="images")
    for start in range(0, options.count, batch_size):
        samples = [
            sample(i, options.seed, options.split, options.image_size, options.counts)
            for i in range(start, min(start + batch_size, options.count))
        ]
        images = torch.stack([to_tensor(render(s.scene)) for s in samples])
        images = images.to(device, memory_format=torch.channels_last)
        latents.append(codec.encode(images).half().cpu())
        rows += [encode_layout(s.layout, options.max_length, vocabulary) for s in samples]
        bar.update(len(samples))
    bar.close()
    stacked = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    return {"latents": torch.cat(latents), **stacked}


def _digest(codec: LatentCodec, options: SetOptions) -> str:
    digest = hashlib.sha256(json.dumps(astuple(options)).encode())
    for name, tensor in codec.autoencoder.state_dict().items():
        if name.startswith(("encoder.", "quant_conv.")):
            digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
