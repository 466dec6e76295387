"""Pictures of every form and mode that Pillow opens, and those that it breaks on."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from set_files import encoded, picture, write_lines, write_picture

from train.data.check import Limits, check_set
from train.data.decode import (
    PictureBytes,
    PictureFile,
    UnreadablePicture,
    eight_bits,
    picture_size,
    to_rgb,
)
from train.data.json_lines import JsonLinesConfig
from train.data.sample import picture_of
from train.data.sets import open_set
from train.data.sidecars import SidecarsConfig

RAMP = np.linspace(0, 1, 64)[None].repeat(8, 0)


def grey(values, form="TIFF", **options):
    """How the bytes of a picture of one channel are read: its first row."""
    file = io.BytesIO()
    Image.fromarray(values).save(file, form, **options)
    return np.asarray(PictureBytes(file.getvalue())())[0, :, 1].astype(int)


@pytest.mark.parametrize(
    ("top", "kind", "form"),
    [
        (65535, np.uint16, "PNG"),
        (65535, np.uint16, "TIFF"),
        (65535, np.uint16, "JPEG2000"),
        (65535, np.int32, "TIFF"),
        (65535, np.int32, "PPM"),
        (255, np.int32, "TIFF"),
        (1, np.float32, "TIFF"),
        (255, np.float32, "TIFF"),
        (65535, np.float32, "PPM"),
        (2**31 - 1, np.int32, "TIFF"),
        (3e38, np.float32, "TIFF"),
    ],
)
def test_a_ramp_from_black_to_white_stays_one(top, kind, form):
    found = grey((RAMP * top).astype(kind), form)
    assert np.abs(found - RAMP[0] * 255).max() <= 1


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [(-32768, 32767, np.int32), (-1, 1, np.float32), (-0.25, 0.1, np.float32), (-9, 70000, int)],
)
def test_what_begins_below_black_is_scaled_from_its_lowest_to_its_highest(low, high, kind):
    kind = np.int32 if kind is int else kind
    found = grey((low + RAMP * (high - low)).astype(kind))
    assert np.abs(found - RAMP[0] * 255).max() <= 1


def test_a_dark_picture_of_16_bits_stays_dark():
    assert grey((RAMP * 6553.5).astype(np.uint16), "PNG").max() == 25


@pytest.mark.parametrize("order", ["I;16", "I;16L", "I;16B"])
def test_the_order_of_bytes_does_not_matter(order):
    values = (RAMP * 65535).astype(">u2" if order == "I;16B" else "<u2")
    image = Image.frombytes(order, (64, 8), values.tobytes())
    assert np.abs(np.asarray(to_rgb(image))[0, :, 0] - RAMP[0] * 255).max() <= 1


def test_white_of_a_tiff_is_what_its_bits_hold():
    image = Image.fromarray((RAMP * 4095).astype(np.uint16))
    assert np.asarray(eight_bits(image, 12)).max() == 255
    assert np.asarray(eight_bits(image)).max() == 16


def test_a_transparent_value_of_16_bits_is_seen_through():
    values = (RAMP * 65535).astype(np.uint16)
    values[:, 0] = 300
    assert grey(values, "PNG", transparency=300)[0] == 255


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(value):
    values = RAMP.astype(np.float32)
    values[0, 0] = value
    with pytest.raises(UnreadablePicture, match="not finite numbers; save it anew as PNG or JPEG"):
        grey(values)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_other_modes_are_converted(mode):
    image = Image.new("L", (4, 4), 255).convert("RGBA" if mode == "PA" else "RGB").convert(mode)
    found = np.asarray(to_rgb(image))
    assert found.shape == (4, 4, 3) and found.min() > 250


FORMS = {
    "a.jfif": "JPEG", "b.bmp": "BMP", "c.tif": "TIFF", "d.gif": "GIF", "e.PPM": "PPM",
    "f.tga": "TGA", "g.jp2": "JPEG2000", "h.ico": "ICO", "i.pcx": "PCX", "j.JPG": "JPEG",
}  # fmt: skip


def test_pictures_of_every_suffix_are_read_with_words_in_letters_of_any_case(tmp_path):
    for name, form in FORMS.items():
        picture().save(tmp_path / name, form)
        stem = name.partition(".")[0]
        (tmp_path / f"{stem}.TXT").write_text(f"picture {stem}")
        (tmp_path / f"{stem.upper()}.Bbox").write_text('[{"label": "dog", "bbox": [0, 0, 1, 1]}]')
    opened = open_set(SidecarsConfig(path=str(tmp_path)))
    assert [sample.captions[0][-1] for sample in opened] == list("abcdefghij")
    assert all(len(sample.regions) == 1 for sample in opened)
    assert all(picture_of(sample).mode == "RGB" for sample in opened)
    assert opened.problems == []


def test_what_is_left_over_in_a_folder_is_named(tmp_path):
    write_picture(tmp_path / "good.png")
    for name in ("good.txt", "photo.heic", "photo.txt", "drawing.svg", "alone.caption", "one.BBOX"):
        (tmp_path / name).write_text("x")
    problems = {p.key: p.reason for p in open_set(SidecarsConfig(path=str(tmp_path))).problems}
    assert set(problems) == {"photo.heic", "drawing.svg", "alone.caption", "one.BBOX"}
    assert "save it as PNG or JPEG" in problems["photo.heic"]


def png(*chunks, width=8, height=8):
    """A PNG of black pixels, with chunks of one's own between."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + bytes(8) for _ in range(8)))
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


BROKEN = {
    "cut off": encoded()[:400],
    "no picture": b"no picture",
    "empty": b"",
    "a bad eXIf chunk": png((b"eXIf", b"XX*\0\x08\0\0\0")),
    "no eXIf at all": png((b"eXIf", b"\0")),
    "a header of 400 megapixels": png(width=20_000, height=20_000),
    "a huge header": png(width=2**31 - 1, height=2**31 - 1),
    "text that expands": png((b"zTXt", b"a\0\0" + zlib.compress(bytes(2**27)))),
    "a cut chunk": png()[:44],
    "a TIFF without end": b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 8,
    "a GIF without frames": b"GIF89a\x08\0\x08\0\x80\0\0" + bytes(6),
    "a QOI that ends": b"qoif" + struct.pack(">IIBB", 64, 64, 4, 0),
    "a DDS of nothing": b"DDS " + bytes(124),
    "a PPM of letters": b"P3 4 4 255 a b c",
    "a BMP of a huge palette": b"BM" + bytes(12)
    + struct.pack("<IiiHH6I", 40, 4, 4, 1, 8, 0, 0, 0, 0, 2**31, 0),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_broken_picture_is_named_and_stops_nothing(tmp_path, data):
    (tmp_path / "bad.png").write_bytes(data)
    write_picture(tmp_path / "good.png")
    file = write_lines(
        tmp_path / "set.jsonl",
        {"image": "bad.png", "caption": "x", "width": 8, "height": 8},
        {"image": "bad.png", "caption": "size unsaid"},
        {"image": "good.png", "caption": "x"},
    )
    report, _ = check_set(open_set(JsonLinesConfig(path=str(file))), Limits())
    assert report.samples == 1 and len(report.problems) == 2
    assert {problem.kind for problem in report.problems} <= {"unreadable", "size"}
    assert all("bad.png" in f"{p.key}: {p.reason}" for p in report.problems)


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone")
    write_picture(tmp_path / "words.png")
    os.mkfifo(tmp_path / "words.txt")
    for name in ("pipe", "folder", "device", "nowhere"):
        (tmp_path / f"{name}.txt").write_text(name)
    report, _ = check_set(open_set(SidecarsConfig(path=str(tmp_path))), Limits())
    assert report.samples == 0 and len(report.problems) == 5
    for read in (picture_size, lambda path: PictureFile(path)()):
        for name, what in (("pipe", "a pipe"), ("folder", "a folder"), ("device", "a pipe")):
            with pytest.raises(OSError, match=f"'{name}.png' cannot be read: it is {what}"):
                read(tmp_path / f"{name}.png")
