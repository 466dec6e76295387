"""Colour words in texts, and the basic colour that a pixel has.

Pixels are told apart by the named colours of CSS: each belongs to one of twelve basic colours, much
as the web's lists of colours group them, and a pixel has that of the nearest named colour in OKLab.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BASIC_COLORS = {
    "red": "red darkred firebrick crimson indianred",
    "orange": "orange darkorange orangered tomato coral",
    "yellow": "yellow gold khaki darkkhaki goldenrod palegoldenrod lemonchiffon lightyellow",
    "green": "green darkgreen forestgreen seagreen mediumseagreen darkseagreen lime limegreen "
    "lawngreen chartreuse springgreen mediumspringgreen lightgreen palegreen greenyellow "
    "yellowgreen olivedrab darkolivegreen olive",
    "cyan": "cyan lightcyan darkcyan teal turquoise mediumturquoise darkturquoise paleturquoise "
    "aquamarine mediumaquamarine lightseagreen cadetblue",
    "blue": "blue mediumblue darkblue navy midnightblue royalblue cornflowerblue dodgerblue "
    "deepskyblue skyblue lightskyblue steelblue lightsteelblue lightblue powderblue",
    "purple": "purple darkmagenta magenta darkviolet darkorchid mediumorchid orchid violet plum "
    "blueviolet mediumpurple indigo rebeccapurple slateblue darkslateblue mediumslateblue thistle",
    "pink": "pink lightpink hotpink deeppink palevioletred mediumvioletred",
    "brown": "brown saddlebrown sienna chocolate peru tan burlywood sandybrown rosybrown maroon "
    "darkgoldenrod wheat",
    "white": "white snow ivory ghostwhite whitesmoke mintcream azure",
    "gray": "gray dimgray darkgray silver lightgray gainsboro slategray lightslategray "
    "darkslategray",
    "black": "black",
}
"""Basic colour -> the CSS colours that count as it."""

COLOR_WORDS = {
    **{name: name for name in BASIC_COLORS},
    "scarlet": "red",
    "crimson": "red",
    "golden": "yellow",
    "lime": "green",
    "emerald": "green",
    "teal": "cyan",
    "turquoise": "cyan",
    "aqua": "cyan",
    "navy": "blue",
    "azure": "blue",
    "violet": "purple",
    "magenta": "purple",
    "indigo": "purple",
    "maroon": "brown",
    "beige": "brown",
    "grey": "gray",
}
"""Words of region texts -> basic colour. CSS names that mostly mean a thing (salmon, snow, olive,
chocolate, wheat, gold) are left out."""

_PATTERN = re.compile(rf"\b(?:light|dark|medium|pale|deep)?({'|'.join(COLOR_WORDS)})\b")
_BITS = 5  # of each channel that the table of colours tells apart
_TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def colors_in_text(text: str) -> frozenset[str]:
    """The basic colours that a text names: {"black", "white"} for "a black and white cat"."""
    return frozenset(COLOR_WORDS[word] for word in _PATTERN.findall(text.lower()))


def first_color_in_text(text: str) -> str | None:
    """The basic colour that a text names first: "black" for "a black and white cat"."""
    found = _PATTERN.search(text.lower())
    return COLOR_WORDS[found[1]] if found else None


def basic_colors(pixels: np.ndarray) -> np.ndarray:
    """(H, W) places in BASIC_COLORS of sRGB pixels, (H, W, 3) uint8."""
    red, green, blue = (pixels >> (8 - _BITS)).astype("int32").transpose(2, 0, 1)
    return _color_table()[(red << 2 * _BITS) | (green << _BITS) | blue]


@lru_cache(maxsize=1)
def _color_table() -> np.ndarray:
    """The basic colour of every sRGB colour of _BITS bits a channel, (2 ** (3 * _BITS),)."""
    import numpy as np
    from PIL import ImageColor

    names = [(i, name) for i, css in enumerate(BASIC_COLORS.values()) for name in css.split()]
    anchors = _oklab(np.array([ImageColor.getrgb(name) for _, name in names]))
    steps = np.arange(2**_BITS) * 255 / (2**_BITS - 1)
    colors = _oklab(np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3))
    # |a - b|^2 without |a|^2, which is the same for all anchors
    nearest = (np.square(anchors).sum(-1) - 2 * colors @ anchors.T).argmin(-1)
    return np.array([index for index, _ in names], dtype=np.uint8)[nearest]


def _oklab(colors: np.ndarray) -> np.ndarray:
    """OKLab (Ottosson 2020, "A perceptual color space for image processing") of sRGB colours,
    (N, 3) from 0 to 255. In CIELAB a plain blue would come out as purple."""
    import numpy as np

    srgb = colors / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ np.array(_TO_CONES).T) @ np.array(_TO_OKLAB).T
