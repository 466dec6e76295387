"""Finds a thing on a plain ground by what differs from the ground, whatever the thing is."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from train.data.shape_boxes import PixelBox

DIFFERENCE = 32
"""Of 255, in any channel, from which on a pixel is not the ground's: more than the noise of an
autoencoder, less than a white thing's shades on a white ground."""
SPECK = 8
"""Pixels of the smallest piece that counts."""
EDGE = 2
"""Pixels along a picture's edges, whose median is the ground's colour."""


def pieces_of(image: Image.Image) -> np.ndarray:
    """(H, W) number of the connected piece that a pixel belongs to; 0: the ground, and specks."""
    pixels = np.asarray(image.convert("RGB"), np.float32)
    rows, columns = np.indices(pixels.shape[:2])
    near = [np.minimum(i, i.max() - i) < EDGE for i in (rows, columns)]
    ground = np.median(pixels[near[0] | near[1]], axis=0)
    pieces, _ = ndimage.label(np.abs(pixels - ground).max(-1) >= DIFFERENCE, np.ones((3, 3)))
    return np.where(np.bincount(pieces.ravel())[pieces] >= SPECK, pieces, 0)


def box_of_pieces(pieces: np.ndarray, asked: PixelBox) -> PixelBox | None:
    """The box (xyxy) around all pieces that lie by more than half in the asked one; None for none.

    A thing of several parts is one; a thing that lies elsewhere by half has no piece here.
    """
    x0, y0, x1, y1 = asked
    inside = np.bincount(pieces[y0:y1, x0:x1].ravel(), minlength=pieces.max() + 1)
    own = inside * 2 > np.bincount(pieces.ravel())
    own[0] = False
    rows, columns = np.nonzero(own[pieces])
    if not len(rows):
        return None
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
