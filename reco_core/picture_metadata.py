"""What ComfyUI writes into the pictures it saves: texts by name, in PNG, WebP and JPEG files.

PNG: text chunks (tEXt, iTXt, zTXt; comf in animations). WebP and JPEG: texts of the Exif block such
as "prompt:{...}". The files come from anywhere: nothing is decoded but these texts, each byte is
looked at once, and how much of them is read has limits. No picture is opened.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from .checks import quote
from .limits import MAX_PICTURE, MAX_PICTURE_TEXT

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_EXIF = b"Exif\0\0"
_ASCII = 2  # the type of texts in Exif
_MAX_CHUNKS = 100_000
_MAX_ENTRIES = 64  # of an Exif block: each may be as long as the block
_JPEG_ENDS = (0xD9, 0xDA)  # the markers of the end, and of the compressed picture


def read_picture_texts(data: bytes) -> dict[str, str] | None:
    """The texts that a picture holds, by name; None of what is no PNG, WebP or JPEG file.

    Raises ValueError for a file that is too large or damaged before its texts end.
    """
    if len(data) > MAX_PICTURE:
        raise ValueError(f"the file has {len(data):,} bytes, more than the {MAX_PICTURE:,} read")
    if data.startswith(_PNG):
        return _joined(_png_texts(data))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _joined(_exif_texts(_webp_exif(data)))
    if data.startswith(_JPEG):
        return _joined(_exif_texts(_jpeg_exif(data)))
    return None


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG file; None of another."""
    if not data.startswith(_PNG) or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _joined(texts: Iterator[tuple[str, bytes]]) -> dict[str, str]:
    """The first of each name. Raises ValueError when they are too long together."""
    found: dict[str, str] = {}
    left = MAX_PICTURE_TEXT
    for name, text in texts:
        left -= len(text)
        if left < 0:
            raise ValueError(f"the texts in the picture have more than {MAX_PICTURE_TEXT:,} bytes")
        found.setdefault(name, text.decode("utf-8", "replace"))
    return found


def _png_texts(data: bytes) -> Iterator[tuple[str, bytes]]:
    for kind, body in _png_chunks(data):
        name, _, rest = body.partition(b"\0")
        key = name.decode("latin-1")
        if kind in (b"tEXt", b"comf"):
            yield key, rest.decode("latin-1").encode()
        elif kind == b"zTXt":
            yield key, _inflated(rest[1:]).decode("latin-1").encode()
        elif kind == b"iTXt":
            packed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
            yield key, _inflated(text) if packed else text


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, body) of the chunks that hold texts."""
    at = len(_PNG)
    for _ in range(_MAX_CHUNKS):
        if len(data) < at + 8:
            raise ValueError("the picture is damaged: its PNG file ends too soon")
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return
        if len(data) < at + 12 + length:
            raise ValueError(
                f"the picture is damaged: it ends within {quote(kind)} of its PNG file"
            )
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"comf"):
            yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length
    raise ValueError(f"the PNG file has more than {_MAX_CHUNKS:,} chunks")


def _inflated(packed: bytes) -> bytes:
    """Raises ValueError for what is none, and for more than is read."""
    try:
        return zlib.decompressobj().decompress(packed, MAX_PICTURE_TEXT + 1)
    except zlib.error as error:
        raise ValueError(f"a text in the picture is damaged: {error}") from None


def _webp_exif(data: bytes) -> bytes:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            return data[at + 8 : at + 8 + length].removeprefix(_EXIF)
        at += 8 + length + length % 2
    return b""


def _jpeg_exif(data: bytes) -> bytes:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in _JPEG_ENDS:
        length = struct.unpack_from(">H", data, at + 2)[0]
        if data[at + 1] == 0xE1 and data.startswith(_EXIF, at + 4):
            return data[at + 4 + len(_EXIF) : at + 2 + length]
        at += 2 + max(length, 2)
    return b""


def _exif_texts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Of the texts in the first table, those that begin with their names: prompt:{...}."""
    data = data[:MAX_PICTURE_TEXT]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return
    table = struct.unpack_from(f"{order}I", data, 4)[0]
    if len(data) < table + 2:
        raise ValueError("the picture is damaged: its Exif block ends too soon")
    count = struct.unpack_from(f"{order}H", data, table)[0]
    for index in range(min(count, _MAX_ENTRIES)):
        entry = table + 2 + 12 * index
        if len(data) < entry + 12:
            raise ValueError("the picture is damaged: its Exif block ends too soon")
        _, kind, length, start = struct.unpack_from(f"{order}HHII", data, entry)
        if kind == _ASCII and length > 4:
            name, colon, text = data[start : start + length].rstrip(b"\0").partition(b":")
            if colon:
                yield name.decode("latin-1").lower(), text
