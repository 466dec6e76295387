"""What a state keeps of a model: the weights that learn, and a mark of those that do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from train.fit.agreement import model_tensors
from train.model.text_to_image import TextToImage

FROZEN = "frozen"
"""The name of the mark in a state."""
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Learned:
    """The parameters of a module that learn, as a part of a state."""

    module: nn.Module

    def state_dict(self) -> dict[str, Tensor]:
        """By their names in the module."""
        return {name: parameter.detach() for name, parameter in self._parameters().items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Earlier versions kept the whole module. Raises KeyError or RuntimeError for what is
        missing or of another shape."""
        mine = self._parameters()
        if not mine.keys() <= state.keys() and state.keys() >= self.module.state_dict().keys():
            self.module.load_state_dict(state)
            return
        for name, parameter in mine.items():
            if state[name].shape != parameter.shape:
                raise RuntimeError(f"{name} is {tuple(state[name].shape)}")
            parameter.copy_(state[name])

    def _parameters(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self.module.named_parameters() if p.requires_grad}


@dataclass(frozen=True)
class Frozen:
    """Marks by which frozen weights are known again; they are read from where they come from."""

    model: TextToImage

    def state_dict(self) -> dict[str, int]:
        """The sum of each tensor's bits, by name: the same on any device."""
        return self._sums

    @cached_property
    def _sums(self) -> dict[str, int]:
        tensors = model_tensors(self.model)
        return {name: bit_sum(x) for name, x in tensors.items() if not x.requires_grad}


def bit_sum(tensor: Tensor) -> int:
    """The sum of a tensor's numbers, each taken as a whole number of as many bits."""
    bits = tensor.detach().view(_INTEGERS[tensor.element_size()])
    return int(bits.sum(dtype=torch.int64))


def check_frozen(before: Mapping[str, int] | None, now: Frozen | None, path: Path) -> None:
    """Raise ValueError where a state's run had other frozen weights. Earlier versions did not say.

    before: as the state has them; path: of the state.
    """
    if before is None or now is None:
        return
    mine = now.state_dict()
    other = [name for name in {**before, **mine} if before.get(name) != mine.get(name)]
    if other:
        raise ValueError(
            f"{str(path)!r} is from a run whose weights that do not learn were others, first "
            f"{other[0]} of {len(other)}: give the files that it began with (model.base, "
            "model.autoencoder), or another folder"
        )
