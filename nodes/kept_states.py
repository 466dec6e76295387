"""States of sequences, which a text encoder computes once while its weights stay."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable

import torch

Encoded = tuple[torch.Tensor, torch.Tensor]
"""States (1, L, C) and pooled ones (1, P)."""

MOST = 16
"""Kept at a time, of L * C numbers each, 2 MB at Stable Diffusion 1's size."""


class KeptStates:
    """Encoded sequences by tensors that tell them apart, the latest used of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Encoded] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, known_by: Iterable[torch.Tensor], encode: Callable[[], Encoded]) -> Encoded:
        """On the device of the first tensor it is known by."""
        known_by = tuple(known_by)
        key = _digest(known_by)
        if key not in self._kept:
            states, pooled = encode()
            self._kept[key] = states.cpu(), pooled.cpu()
        self._kept.move_to_end(key)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        states, pooled = self._kept[key]
        return states.to(known_by[0].device), pooled.to(known_by[0].device)


def _digest(tensors: Iterable[torch.Tensor]) -> bytes:
    digest = hashlib.blake2b()
    for tensor in tensors:
        digest.update(str((tensor.dtype, tensor.shape)).encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy())
    return digest.digest()
