"""Masks of a layout's regions, with rounded, grown and soft edges.

Edges are made of lines, along the rows and then along the columns: a box is the product of one row
and one column, a mask has all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING

import torch
from comfy.model_management import intermediate_device, throw_exception_if_processing_interrupted

from ..reco_core.limits import SIZE_STEP

if TYPE_CHECKING:
    from ..reco_core.layout import Layout
    from ..reco_core.mask import Mask

LATENT_CELLS = "whole latent cells"
EXACT_PIXELS = "exact pixels"
MAX_PIXELS = 1 << 30  # of all masks together, 4 GB


def layout_masks(
    layout: Layout, feather: int = 0, edges: str = LATENT_CELLS, grow: int = 0
) -> torch.Tensor:
    """(N, H, W) in [0, 1], a mask for each of N regions at the layout's size.

    A region with a mask has that, and any other all of its box.

    grow: pixels that are added on every side, before anything else.
    edges: LATENT_CELLS, all cells of the latents that a region touches or nearly touches, whole;
        or EXACT_PIXELS.
    feather: width in pixels of the soft edge. It lies around whole cells. Of exact pixels, half of
        it lies inside the region, so that neighbours fade into each other, and a box narrower than
        that has one as wide as itself. The picture's own border stays hard.

    Raises ValueError when the layout has no regions, or masks would take too much memory.
    """
    _check_memory(len(layout.regions), layout)
    return torch.stack(list(_masks(layout, feather, edges, grow))).to(intermediate_device())


def union_mask(layout: Layout, feather: int = 0, edges: str = LATENT_CELLS) -> torch.Tensor:
    """(1, H, W) in [0, 1], all of `layout_masks` together. Raises ValueError without regions."""
    _check_memory(1, layout)
    return reduce(torch.maximum, _masks(layout, feather, edges))[None].to(intermediate_device())


def conditioning_mask(layout: Layout, feather: int) -> torch.Tensor:
    """(H, W) in [0, 1]: the mask of a layout's only region, as ComfyUI can read it for latents.

    Its edges are exact, but for a region so thin that no cell has half of it in its middle, where
    masks are read: that one is of whole cells. feather and errors: as for `layout_masks`.
    """
    exact = layout_masks(layout, feather, EXACT_PIXELS)
    cells = torch.nn.functional.interpolate(
        exact[None], scale_factor=1 / SIZE_STEP, mode="bilinear"
    )
    is_seen = cells.max() >= exact.max() / 2
    return exact[0] if is_seen else layout_masks(layout, feather, LATENT_CELLS)[0]


def bounding_window(mask: torch.Tensor) -> dict[str, int]:
    """The smallest window, xywh in pixels, of whole latent cells around what of an (H, W) mask is
    not 0. The mask's sides are divisible by 8, and some of it is not 0."""
    cells = torch.nn.functional.max_pool2d(mask[None], SIZE_STEP)[0] > 0
    (y0, y1), (x0, x1) = (cells.any(dim).nonzero().aminmax() for dim in (1, 0))
    window = {"x": x0, "y": y0, "width": x1 - x0 + 1, "height": y1 - y0 + 1}
    return {name: SIZE_STEP * int(cells) for name, cells in window.items()}


def _check_memory(count: int, layout: Layout) -> None:
    pixels = count * layout.width * layout.height
    if pixels > MAX_PIXELS:
        raise ValueError(
            f"{count} mask(s) of {layout.width} x {layout.height} pixels would take "
            f"{4 * pixels / 1e9:.0f} GB: choose one region, or make the picture smaller"
        )


def _masks(layout: Layout, feather: int, edges: str, grow: int = 0) -> Iterator[torch.Tensor]:
    """(H, W), of one region after the other."""
    if not layout.regions:
        raise ValueError("the layout has no regions, so there are no masks: add a region to it")
    soften = _around_cells if edges == LATENT_CELLS else _across_edge

    def edge(lines: torch.Tensor, side: int) -> torch.Tensor:
        return soften(_grown(lines, grow), feather, side)

    for region in layout.regions:
        throw_exception_if_processing_interrupted()
        x0, y0, x1, y1 = region.box.covered_pixels(layout.width, layout.height)
        if region.mask:
            across = edge(_shape(region.mask, (x0, y0, x1, y1), layout), x1 - x0)
            yield edge(across.T, y1 - y0).T
        else:
            column = edge(_line(y0, y1, layout.height), y1 - y0)
            yield column.T * edge(_line(x0, x1, layout.width), x1 - x0)


def _line(start: int, stop: int, length: int) -> torch.Tensor:
    """(1, length): 1 from start to stop, 0 elsewhere."""
    line = torch.zeros(1, length)
    line[:, start:stop] = 1
    return line


def _shape(mask: Mask, box: tuple[int, int, int, int], layout: Layout) -> torch.Tensor:
    """(H, W): a mask in its box, xyxy in pixels, and 0 elsewhere."""
    x0, y0, x1, y1 = box
    shape = torch.zeros(layout.height, layout.width)
    shape[y0:y1, x0:x1] = torch.from_numpy(mask.sized(x1 - x0, y1 - y0) / 255)
    return shape


def _grown(lines: torch.Tensor, pixels: int) -> torch.Tensor:
    """(N, length): the lines, each point of them the highest of those at most so far away."""
    reached = 0
    while reached < min(pixels, lines.shape[1] - 1):
        step = min(2 * reached + 1, pixels - reached, lines.shape[1] - 1)  # leaves no gap
        wider = lines.clone()
        torch.maximum(wider[:, step:], lines[:, :-step], out=wider[:, step:])
        torch.maximum(wider[:, :-step], lines[:, step:], out=wider[:, :-step])
        lines, reached = wider, reached + step
    return lines


def _across_edge(lines: torch.Tensor, feather: int, side: int) -> torch.Tensor:
    """(N, length): the lines, each point of them the mean over a feather's width around it.

    An edge rises evenly over the width of a feather; side: of the box, beyond which it cannot.
    """
    width = min(feather, side)
    if not width:
        return lines
    halves = lines.double().repeat_interleave(2, dim=1) / 2  # a feather may be an odd number
    first, last = halves[:, :1], halves[:, -1:]
    padded = torch.cat([first.expand(-1, width), halves, last.expand(-1, width)], dim=1)
    sums = torch.nn.functional.pad(padded.cumsum(dim=1), (1, 0))
    middles = torch.arange(lines.shape[1]) * 2 + 1 + width
    return ((sums[:, middles + width] - sums[:, middles - width]) / width).float().clamp(0, 1)


def _around_cells(lines: torch.Tensor, feather: int, side: int) -> torch.Tensor:
    """(N, length): the lines in whole cells, and falling to 0 around them over a feather's width.

    A latent's mask is read in the middle of its cells, and the VAE carries an edge into a cell that
    it nearly touches: half a cell around a region belongs to it.
    """
    pool = torch.nn.functional.max_pool1d
    cells = pool(lines[:, None], 2 * SIZE_STEP, SIZE_STEP, SIZE_STEP // 2).transpose(1, 2)
    soft = cells.expand(-1, -1, SIZE_STEP).clone()  # (N, cells, pixels of a cell)
    centres = torch.arange(SIZE_STEP) + 0.5
    for step in range(1, min(-(-feather // SIZE_STEP), len(cells[0]) - 1) + 1):
        fall = (1 - (centres + (step - 1) * SIZE_STEP) / feather).clamp(min=0)
        torch.maximum(soft[:, step:], cells[:, :-step] * fall, out=soft[:, step:])
        torch.maximum(soft[:, :-step], cells[:, step:] * fall.flip(0), out=soft[:, :-step])
    return soft.flatten(1)
