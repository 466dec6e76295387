"""Frechet distance between drawn and real pictures in a network's features (FID).

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
Equilibrium"; of the crops of boxes it is SceneFID (Sylvain et al. 2021, "Object-Centric Image
Generation from Layouts"). The arithmetic is torchmetrics'.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance, NoTrainInceptionV3

from train.evaluate.pretrained import batches

SIDE = 299
"""Pixels of Inception's input; all pictures are resized to it, bicubic, as clean-fid does, which
the released code calls."""


class FrechetDistance:
    """Takes real and drawn pictures one after the other and keeps sums only.

    features: uint8 (B, 3, SIDE, SIDE) -> (B, D).
    """

    def __init__(self, features: nn.Module, device: str, batch_size: int = 16):
        self.device, self.batch_size = device, batch_size
        self.metric = FrechetInceptionDistance(feature=Sized(features)).to(device)

    @torch.no_grad()
    def add(self, pictures: Sequence[Image.Image], real: bool) -> None:
        for some in batches(pictures, self.batch_size):
            self.metric.update(to_bytes(some).to(self.device), real=real)

    @property
    def count(self) -> int:
        """Pictures of the kind of which fewer were taken."""
        metric = self.metric
        return int(min(metric.real_features_num_samples, metric.fake_features_num_samples))

    @property
    def dimensions(self) -> int:
        """D, the features of a picture."""
        return self.metric.inception.num_features

    def result(self) -> float | None:
        """The distance, at least 0 but for rounding; None below two pictures of either kind."""
        return float(self.metric.compute()) if self.count > 1 else None


class Sized(nn.Module):
    """Features with their number, which torchmetrics otherwise finds on the wrong device."""

    def __init__(self, features: nn.Module):
        super().__init__()
        self.features = features
        device = next((p.device for p in features.parameters()), torch.device("cpu"))
        with torch.no_grad():
            blank = torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8, device=device)
            self.num_features: int = features(blank).shape[-1]

    def forward(self, pictures: Tensor) -> Tensor:
        return self.features(pictures)


def to_bytes(pictures: Sequence[Image.Image]) -> Tensor:
    """PIL RGB -> uint8 (B, 3, SIDE, SIDE)."""
    resized = [x.resize((SIDE, SIDE), Image.Resampling.BICUBIC) for x in pictures]
    return torch.from_numpy(np.stack([np.asarray(x) for x in resized])).permute(0, 3, 1, 2)


def open_features(path: str, device: str, option: str = "--inception") -> nn.Module:
    """A network from a file: uint8 (B, 3, SIDE, SIDE) -> (B, D).

    path: weights of the Inception network of FID as torch-fidelity's releases hold them
        (weights-inception-2015-12-05-6726825d.pth), or any network as TorchScript; of one that
        takes `return_features` (inception-2015-12-05.pt) the features are asked for.

    Raises:
        ValueError: there is no such file, or it is neither of these.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(
            f"{option} {path!r} is not a file: fetch weights-inception-2015-12-05-6726825d.pth "
            "from the releases of torch-fidelity on GitHub and give its path"
        )
    try:
        network = _open_script(file) if _is_script(file) else _open_inception(file)
    except Exception as error:  # whatever torch raises for a file of another kind
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{option} {path!r} is neither the weights of FID's Inception network (torch-fidelity) "
            f"nor a TorchScript network: {reason}"
        ) from error
    return network.to(device).eval()


class ScriptFeatures(nn.Module):
    """A TorchScript network whose output is its features."""

    def __init__(self, network: Any):
        super().__init__()
        self.network = network
        arguments = [argument.name for argument in network.forward.schema.arguments]
        self.options = {"return_features": True} if "return_features" in arguments else {}

    def forward(self, pictures: Tensor) -> Tensor:
        return self.network(pictures, **self.options).flatten(1)


def _is_script(file: Path) -> bool:
    """Whether a file holds code of TorchScript, not tensors only."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any("/code/" in name for name in archive.namelist())


def _open_script(file: Path) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch.jit, the form such files have
        return ScriptFeatures(torch.jit.load(file, map_location="cpu"))


def _open_inception(file: Path) -> nn.Module:
    # torch-fidelity unpickles without care: let torch look first whether these are tensors only.
    torch.load(file, map_location="cpu", weights_only=True)
    return NoTrainInceptionV3("inception-v3-compat", ["2048"], str(file))
