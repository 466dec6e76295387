"""The drawings that tasks begin with, and what they are to become."""

from __future__ import annotations

from tasks.editor import Region

CAT = Region("a cat", (0.125, 0.125, 0.375, 0.375))
DOG = Region("a dog", (0.5, 0.125, 0.75, 0.375))
COW = Region("a cow", (0.125, 0.5, 0.375, 0.75))
FARM = (CAT, DOG, COW)
FIVE = (
    *FARM,
    Region("a red barn", (0.5, 0.5, 0.9375, 0.75)),
    Region("green grass", (0.0625, 0.8125, 0.9375, 0.9375)),
)
HORSE = "a brown horse"
HAT = Region("a hat", (0.1875, 0.1875, 0.3125, 0.25))
EDGE_TO = 0.5  # where the cat's right edge goes
ALL_BY = (0.125, 0.125)  # how far the whole farm is moved
NUMBERS = (37, 53, 150, 91)  # x, y, width, height in pixels that the cat gets
FENCE = Region("a fence", (0.41, 0.625, 0.8125, 0.875))  # its left edge lies on no grid
STACK = tuple(Region(text, (0.25, 0.25, 0.75, 0.75)) for text in ("one", "two", "three"))
STACK_AT = (0.4, 0.6)
SMALL = (0.375, 0.375, 0.5625, 0.5625)
COVERED = (Region("small", SMALL), Region("large", (0.125, 0.125, 0.875, 0.875)))
STRIP = Region("a long train", (0.25, 0.25, 0.5, 0.75))  # drawn in a picture of 2048 x 64
