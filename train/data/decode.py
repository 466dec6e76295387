"""Pictures from files and bytes: the one door to Pillow, and what its decoders may raise.

Whatever goes wrong comes out as UnreadablePicture, an OSError that says what to do, so that no
reader needs a list of its own. Every mode becomes 8-bit RGB, upright, transparency on white:

- 1, L, P, LA, PA, RGB, RGBA, CMYK, YCbCr, HSV, LAB: as Pillow converts them.
- I;16 (of any byte order): white is 65535, or of a TIFF what its bits per sample can hold.
- I, F: white is the smallest of 1 (F alone), 255 and 65535 that no pixel is above; where none is,
  or a pixel is below 0, the lowest value is black and the highest white.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from reco_core.checks import shorten

_USUAL = (".jpg", ".jpeg", ".png", ".webp")
_WITHOUT_PIXELS = ("EPS", "MPEG")  # one is a program to be run, the other has no decoder
_BITS_PER_SAMPLE = 258  # TIFF
_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)  # EXIF: these turn a picture by a quarter
_SAVE_ANEW = "save it anew as PNG or JPEG, or take it out of the set"
_MESSAGE = 300  # characters of what a decoder says


class UnreadablePicture(OSError):
    """A picture that cannot be used, with what to do; kind: of problem."""

    def __init__(self, message: str, kind: str = "unreadable"):
        super().__init__(message)
        self.kind = kind


UNREADABLE = (OSError, ValueError)
"""What opening a sample's picture may raise, whatever kind of set it is of."""


@contextmanager
def decoding() -> Iterator[None]:
    """Whatever a decoder raises within comes out as UnreadablePicture."""
    try:
        yield
    except UnreadablePicture:
        raise
    except UnidentifiedImageError:  # its message may name an object in memory
        raise _unreadable(f"this is in no form that is known; {_SAVE_ANEW}") from None
    except Image.DecompressionBombError as error:
        raise _unreadable(f"{error}; make it smaller, or take it out of the set") from None
    except Exception as error:  # decoders raise struct.error, SyntaxError, IndexError and more
        if isinstance(error, OSError) and error.errno:  # of the file, not of what is in it
            raise
        said = shorten(str(error) or type(error).__name__, _MESSAGE)
        raise _unreadable(f"{said}; {_SAVE_ANEW}") from error


@cache
def picture_suffixes() -> tuple[str, ...]:
    """Suffixes, in lower case, of the pictures that Pillow decodes here; the usual ones first."""
    Image.init()
    forms = {
        name
        for name, (factory, _) in Image.OPEN.items()
        if not (isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile))
    }
    known = {
        suffix
        for suffix, name in Image.registered_extensions().items()
        if name in forms.difference(_WITHOUT_PIXELS)
    }
    return (*_USUAL, *sorted(known.difference(_USUAL)))


def is_picture(name: str) -> bool:
    """Whether a file's suffix is that of a picture, in letters of any case."""
    return Path(name).suffix.lower() in picture_suffixes()


def check_file(path: Path) -> Path:
    """The path, if it is a file. Raises OSError for what would hang, or give no end of bytes."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise OSError(f"{path.name!r} cannot be read: it is {what}, not a file; take it away")
    return path


@dataclass(frozen=True)
class PictureFile:
    """An `open` for a file: upright (EXIF), RGB, transparency on white."""

    path: Path

    def __call__(self) -> Image.Image:
        check_file(self.path)
        with decoding(), Image.open(self.path) as image:
            return to_rgb(image)

    def encoded(self) -> bytes:
        """The picture as it is stored."""
        return check_file(self.path).read_bytes()


@dataclass(frozen=True)
class PictureBytes:
    """An `open` for an encoded picture in memory."""

    data: bytes

    def __call__(self) -> Image.Image:
        with decoding(), Image.open(io.BytesIO(self.data)) as image:
            return to_rgb(image)

    def encoded(self) -> bytes:
        """The picture as it is stored."""
        return self.data


def suffix_of(data: bytes) -> str:
    """The usual suffix of an encoded picture's form, which its content tells."""
    with decoding(), Image.open(io.BytesIO(data)) as image:
        named = Image.registered_extensions()
        found = [suffix for suffix in picture_suffixes() if named[suffix] == image.format]
        if not found:
            raise _unreadable(f"pictures of the form {image.format} are not read; {_SAVE_ANEW}")
        return found[0]


def picture_size(source: Path | bytes) -> tuple[int, int]:
    """Width and height of a picture as `open` returns it, from its header.

    Raises OSError when it is missing or no picture.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else check_file(source)
    with decoding(), Image.open(file) as image:
        width, height = image.size
        # The base class's getexif: that of PNG files decodes the picture to look behind it.
        lying = Image.Image.getexif(image).get(_ORIENTATION) in _LYING
        return (height, width) if lying else (width, height)


def to_rgb(image: Image.Image) -> Image.Image:
    """Upright (EXIF), 8-bit RGB, transparency on white; decodes the whole picture."""
    bits = dict(getattr(image, "tag_v2", {})).get(_BITS_PER_SAMPLE, (16,))[0]
    image = eight_bits(ImageOps.exif_transpose(image), bits)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def eight_bits(image: Image.Image, bits: int = 16) -> Image.Image:
    """A picture of more than 8 bits as L or LA, scaled; others as they are.

    bits: that I;16 uses. Raises UnreadablePicture for values that are not finite.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image).astype(np.float64)
    black, white = _range(values, image.mode, bits)
    scaled = np.clip((values - black) / (white - black), 0, 1) * 255
    grey = Image.fromarray(scaled.round().astype(np.uint8))
    seen_through = image.info.get("transparency")
    if isinstance(seen_through, int):
        alpha = np.where(values == seen_through, 0, 255).astype(np.uint8)
        grey.putalpha(Image.fromarray(alpha))
    return grey


def _range(values: np.ndarray, mode: str, bits: int) -> tuple[float, float]:
    """What is black and what is white in a picture of one wide channel."""
    if mode.startswith("I;16"):
        return 0, 2 ** min(bits, 16) - 1
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise _unreadable(f"it has values that are not finite numbers; {_SAVE_ANEW}")
    usual = (255, 65535) if mode == "I" else (1, 255, 65535)
    white = next((white for white in usual if 0 <= low and high <= white), None)
    if white is not None:
        return 0, white
    return low, high if high > low else low + 1


def _unreadable(why: str) -> UnreadablePicture:
    return UnreadablePicture(f"the picture cannot be read: {why}")
