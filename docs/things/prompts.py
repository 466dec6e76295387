"""What a newcomer would type first, as layouts for models/reco-things.safetensors."""

from __future__ import annotations

from reco_core.layout import Box, Layout, Region

Placed = dict[str, tuple[float, float, float, float]]

SQUARE, TALL, WIDE, LARGE = (160, 160), (128, 192), (192, 128), (240, 240)


def _layout(caption: str, placed: Placed, size: tuple[int, int] = SQUARE) -> Layout:
    regions = (Region(text, Box(*box)) for text, box in placed.items())
    return Layout(caption, tuple(regions), *size)


PROMPTS = (
    _layout(
        "a dog, a red car and a palm tree on a beach under a blue sky",
        {
            "a dog": (0.05, 0.55, 0.4, 0.95),
            "a red car": (0.45, 0.65, 0.95, 0.95),
            "a palm tree": (0.5, 0.05, 0.9, 0.6),
        },
    ),
    _layout(
        "a penguin and a snowman in the snow",
        {"a penguin": (0.08, 0.35, 0.42, 0.85), "a snowman": (0.52, 0.15, 0.94, 0.8)},
    ),
    _layout(
        "a birthday cake and two balloons on a white background",
        {
            "a birthday cake": (0.25, 0.45, 0.78, 0.95),
            "a blue balloon": (0.06, 0.06, 0.32, 0.45),
            "a red balloon": (0.68, 0.06, 0.94, 0.45),
        },
    ),
    _layout(
        "a castle and the moon at night",
        {"a castle": (0.1, 0.38, 0.62, 0.92), "the moon": (0.66, 0.08, 0.92, 0.36)},
    ),
    _layout(
        "a cat and a sofa on grass",
        {"a cat": (0.06, 0.48, 0.4, 0.9), "a green sofa": (0.42, 0.42, 0.96, 0.86)},
    ),
    _layout(
        "a house and a tree on grass under a blue sky",
        {"a house": (0.06, 0.25, 0.55, 0.8), "a tree": (0.6, 0.15, 0.95, 0.8)},
    ),
    _layout(
        "a rocket and a planet at night",
        {"a rocket": (0.1, 0.25, 0.55, 0.8), "a planet": (0.6, 0.08, 0.95, 0.4)},
        TALL,
    ),
    _layout(
        "a sailboat, a whale and the sun on the sea at sunset",
        {
            "a sailboat": (0.06, 0.2, 0.36, 0.75),
            "a whale": (0.42, 0.5, 0.72, 0.9),
            "the sun": (0.74, 0.08, 0.95, 0.38),
        },
        WIDE,
    ),
    _layout(
        "a robot, a teddy bear and a gift on a pink background",
        {
            "a robot": (0.06, 0.3, 0.38, 0.85),
            "a teddy bear": (0.4, 0.35, 0.7, 0.85),
            "a gift": (0.72, 0.5, 0.96, 0.85),
        },
        LARGE,
    ),
    _layout("", {"a horse": (0.05, 0.3, 0.5, 0.85), "an apple": (0.6, 0.55, 0.9, 0.85)}),
    _layout("a dog on grass under a blue sky", {}),
    _layout("a pizza and a cup of coffee on a gray background", {}),
)
"""The last three: boxes without a caption, and captions without a box."""
