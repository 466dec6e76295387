"""Pictures as the autoencoder gets them."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from train.data.sample import Sample, picture_of
from train.data.transforms import View


def read_picture(sample: Sample, view: View) -> Tensor:
    """(3, H, W) in [-1, 1], as seen in a view. Raises one of UNREADABLE when it is broken."""
    return to_tensor(view.apply(picture_of(sample)))


def to_tensor(image: Image.Image) -> Tensor:
    """PIL RGB -> float (3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1
