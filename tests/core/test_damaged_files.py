"""Files that are not what their name says, or hold what no checkpoint holds: told by name, before
any work, whatever their bytes."""

import io
import json
import pickle
import struct
import time
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_checkpoint import HEADS, Size, random_state_dict
from safetensors.torch import save, save_file

from reco_core.adapter import read_adapter
from reco_core.checkpoint_file import read_checkpoint, read_tensors

CUT = "the file is truncated, damaged or not what its name says: fetch it again"
TENSORS = {"a": torch.zeros(2)}


def zipped(content: object = TENSORS) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def repacked(content: bytes, compression: int, **changed: bytes) -> bytes:
    """An archive of torch.save with other compression, or other entries."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        with zipfile.ZipFile(file, "w", compression) as new:
            for entry in old.infolist():
                name = entry.filename
                new.writestr(name, changed.get(name.rpartition("/")[2], old.read(entry)))
    return file.getvalue()


def program(pickled: bytes) -> bytes:
    """An archive around a pickle of one's own."""
    return repacked(zipped(), zipfile.ZIP_STORED, **{"data.pkl": pickled})


NOT_THE_FILE = {
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "Git LFS"),
    "login page": (b"<!DOCTYPE html><html>login</html>", "a web page"),
    "page with a mark and spaces": (b"\xef\xbb\xbf\n  <HTML><body>", "a web page"),
    "feed": (b'<?xml version="1.0"?><rss/>', "a web page"),
    "answer of a server": (b'{"error": "Entry not found"}', "it is text"),
    "GGUF": (b"GGUF\x03\x00\x00\x00", "a GGUF file"),
    "nothing": (b"", ""),
    "noise": (b"\x07" * 4000, ""),
    "words": (b"Access to this model is restricted.", ""),
}


@pytest.mark.parametrize("suffix", ["ckpt", "safetensors", "pt", "bin"])
@pytest.mark.parametrize("kind", NOT_THE_FILE)
def test_what_is_not_the_file_is_called_what_it_is(tmp_path, suffix, kind):
    content, cause = NOT_THE_FILE[kind]
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"model.{suffix}: {CUT}.*{cause}") as error:
        read_checkpoint(path)
    assert "code" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("a.ckpt", save(TENSORS), "rename it to .safetensors"),
        ("a.pt", save(TENSORS, {"format": "reco"}), "rename it to .safetensors"),
        ("a.safetensors", zipped(), "rename it to .ckpt"),
        ("a.safetensors", pickle.dumps({"a": 1}, 2), "rename it to .ckpt"),
        ("a.safetensors", pickle.dumps({"a": 1}, 4), "rename it to .ckpt"),
    ],
)
def test_a_renamed_file_is_named_with_its_suffix(tmp_path, name, content, remedy):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=remedy):
        read_tensors(tmp_path / name)


CODE = {
    "global": b"\x80\x02cos\nsystem\nq\x00X\x02\x00\x00\x00lsq\x01\x85q\x02Rq\x03.",
    "old global": b"cposix\nsystem\n(S'ls'\ntR.",
    "instance": b"(S'ls'\nios\nsystem\n.",
    "stack global": pickle.dumps(print, 4),
    "builtin": b"\x80\x02cbuiltins\neval\nq\x00X\x01\x00\x00\x001q\x01\x85Rq\x03.",
    "large bytes": b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x60\x85R.",
    "large tensor": b"\x80\x02ctorch\nFloatTensor\nJ\x00\x00\x00\x60\x85R.",
}


@pytest.mark.parametrize("wrap", [program, bytes], ids=["zipped", "bare"])
@pytest.mark.parametrize("kind", CODE)
def test_a_pickle_that_names_more_than_weights_is_refused_by_that_name(tmp_path, wrap, kind):
    (tmp_path / "x.ckpt").write_bytes(wrap(CODE[kind]))
    with pytest.raises(ValueError, match=r"would run code \(\w+\.\w+\); nothing was run"):
        read_tensors(tmp_path / "x.ckpt")


def test_a_pickle_that_names_nothing_is_not_accused(tmp_path):
    for content in (program(b"\x80\x02]q\x00"), program(b"\xff\xfe"), b"\x80\x02}q\x00(X."):
        (tmp_path / "x.ckpt").write_bytes(content)
        with pytest.raises(ValueError, match=CUT):
            read_tensors(tmp_path / "x.ckpt")


def rebuilt(shape: tuple[int, ...], strides: tuple[int, ...], stored: int) -> bytes:
    """The pickle of a tensor of any shape on a storage of 2 numbers that calls itself larger."""

    class Tensor:
        def __reduce__(self):
            storage = Storage(stored)
            return torch._utils._rebuild_tensor_v2, (storage, 0, shape, strides, False, {})

    class Storage:
        def __init__(self, items: int):
            self.items = items

    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            if isinstance(item, Storage):
                return ("storage", torch.FloatStorage, "0", "cpu", item.items)
            return None

    file = io.BytesIO()
    Pickler(file, 2).dump({"a": Tensor()})
    return file.getvalue()


def doubled(times: int) -> bytes:
    """A pickle that copies a list of 1000 again and again."""
    items = b"K\x01" * 1000
    call = b"ccollections\nOrderedDict\nh\x00\x85R"
    return b"\x80\x02](" + items + b"eq\x00" + b"(" + call * times + b"t."


EXPANDING = {
    "a deflated pickle": repacked(zipped(), zipfile.ZIP_DEFLATED),
    "3 GB of zeros in 3 MB": repacked(
        zipped(), zipfile.ZIP_DEFLATED, **{"data.pkl": bytes(50_000_000)}
    ),
    "bzip2": repacked(zipped(), zipfile.ZIP_BZIP2),
    "a tensor that repeats a number": program(rebuilt((1 << 30,), (0,), 2)),
    "a tensor beyond its storage": program(rebuilt((1 << 30,), (1,), 2)),
    "a storage beyond the file": program(rebuilt((1 << 30,), (1,), 1 << 30)),
    "negative strides": program(rebuilt((2,), (-1,), 2)),
    "a long program": program(b"\x80\x02" + b"K\x01" * 5_000_000 + b"."),
    "copies of copies": program(doubled(2000)),
    "two programs": repacked(zipped(), zipfile.ZIP_STORED),
}


def _two_programs() -> bytes:
    file = io.BytesIO(EXPANDING["two programs"])
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("other/data.pkl", b"\x80\x02}.")
    return file.getvalue()


EXPANDING["two programs"] = _two_programs()


@pytest.mark.parametrize("kind", EXPANDING)
def test_a_pickle_that_would_grow_is_refused_before_it_does(tmp_path, kind):
    path = tmp_path / "x.ckpt"
    path.write_bytes(EXPANDING[kind])
    assert path.stat().st_size < 20_000_000
    start = time.perf_counter()
    with pytest.raises(ValueError, match=f"x.ckpt: {CUT}"):
        read_tensors(path)
    assert time.perf_counter() - start < 10


def test_tensors_that_share_or_cut_a_storage_are_read(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    content = {"a": whole, "b": whole[1:], "c": whole.T, "d": torch.nn.Parameter(whole[0, :0])}
    for zipped_file in (True, False):
        torch.save(content, tmp_path / "x.ckpt", _use_new_zipfile_serialization=zipped_file)
        read, _ = read_tensors(tmp_path / "x.ckpt")
        assert all(torch.equal(read[key], tensor) for key, tensor in content.items())


HEADER = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BAD_HEADERS = {
    "type": HEADER | {"dtype": "F33"},
    "negative shape": HEADER | {"shape": [-2]},
    "huge shape": HEADER | {"shape": [1 << 62, 1 << 62]},
    "offsets": HEADER | {"data_offsets": [0, 1 << 60]},
    "deep": json.loads("[" * 50 + "]" * 50),
}


@pytest.mark.parametrize("kind", BAD_HEADERS)
def test_a_wrong_header_is_refused(tmp_path, kind):
    header = json.dumps({"a": BAD_HEADERS[kind]}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    for read in (read_tensors, read_adapter):
        with pytest.raises(ValueError, match=CUT):
            read(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Files of all kinds that are read, to be damaged."""
    folder = tmp_path_factory.mktemp("small")
    tensors = random_state_dict(Size(text_width=8, text_layers=1, num_bins=0, max_length=77))
    few = {key: tensor for key, tensor in tensors.items() if tensor.numel() < 5000}
    save_file(few, folder / "x.safetensors", HEADS)
    torch.save({"state_dict": few, "global_step": 3}, folder / "x.ckpt")
    torch.save(few, folder / "x.pt", _use_new_zipfile_serialization=False)
    return folder


@pytest.mark.parametrize("name", ["x.safetensors", "x.ckpt", "x.pt"])
@settings(max_examples=20)
@given(data=st.data())
def test_any_damage_is_a_value_error(small, tmp_path_factory, name, data):
    content = bytearray((small / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(content), 6000) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    path = small / f"damaged-{name}"
    path.write_bytes(content)
    try:
        read_tensors(path)
        read_checkpoint(path)
    except ValueError as error:
        assert path.name in str(error)


def test_an_archive_that_says_it_spans_several_disks_is_refused(tmp_path):
    path = tmp_path / "x.ckpt"
    torch.save({"a": torch.zeros(3)}, path)
    data = bytearray(path.read_bytes())
    place = data.rfind(b"PK\x06\x07") + 16  # the number of disks in the directory's locator
    data[place : place + 4] = (2).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.ckpt: the file is truncated, damaged"):
        read_checkpoint(path)
