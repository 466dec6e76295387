"""Files that appear whole: with ordinary rights, and nothing of killed writers is left."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

from reco_core import atomic
from reco_core.atomic import remove_leftovers, write_atomically, write_folder_atomically

WRITERS = {
    "tensors": partial(save_file, {"a": torch.ones(2)}),
    "tensors with metadata": partial(save_file, {"a": torch.ones(2)}, metadata={"b": "c"}),
    "torch": partial(torch.save, {"a": 1}),
    "text": lambda path: path.write_text("a"),
    "renamed": lambda path: (
        path.with_name("x").write_text("a"),
        os.replace(path.with_name("x"), path),
    ),
}


@pytest.fixture(params=[0o022, 0o002, 0o027, 0o077, 0o000], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="has no such rights")
@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_has_the_rights_that_any_new_file_gets(kind, umask, tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda temporary: WRITERS[kind](temporary))
    write_folder_atomically(tmp_path / "folder", lambda inside: WRITERS[kind](inside / "part"))
    for written in (path, tmp_path / "folder" / "part"):
        assert written.stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o777 & ~umask
    assert [one.name for one in (tmp_path / "folder").iterdir()] == ["part"]


@pytest.fixture(scope="module")
def dead():
    """The id of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leftovers(folder, dead):
    """Files by name, and whether they are leftovers of dead writers of this machine."""
    host = atomic._host()
    (folder / "kept").mkdir()
    files = {
        f".a.pt.{host}-{dead}.tmp": True,
        f".model.safetensors.{host}-{dead}.tmp": True,
        f".kept.{host}-{dead}.old": True,  # what it held before is of no use beside it
        f".lost.{host}-{dead}.old": False,  # all that there is of it
        f".a.pt.{host}-{os.getpid()}.tmp": False,
        f".a.pt.{host}-1.tmp": False,
        f".a.pt.00000000-{dead}.tmp": False,  # of another machine
        f".a.pt.{dead}.tmp": False,  # of an earlier version, or of another program
        "a.pt": False,
        f"a.pt.{host}-{dead}.tmp": False,
        ".a.pt.tmp": False,
        f".a.pt.{host}-{dead}.tmp.txt": False,
    }
    for name in files:
        (folder / name).write_text("a")
    return files


def test_only_what_dead_writers_left_is_removed(dead, tmp_path):
    files = leftovers(tmp_path, dead)
    folder = tmp_path / f".diffusers.{atomic._host()}-{dead}.tmp"
    (folder / "unet").mkdir(parents=True)
    removed = {path.name for path in remove_leftovers(tmp_path)}
    assert removed == {folder.name, *(name for name, is_one in files.items() if is_one)}
    assert {path.name for path in tmp_path.iterdir()} == {"kept"} | {
        name for name, is_one in files.items() if not is_one
    }


def test_where_nobody_writes_all_that_is_older_is_removed(dead, tmp_path):
    leftovers(tmp_path, dead)
    old = (tmp_path / f".a.pt.{dead}.tmp").stat().st_mtime
    (tmp_path / ".new.pt.5.tmp").write_text("a")
    os.utime(tmp_path / ".new.pt.5.tmp", (old + 100, old + 100))
    remove_leftovers(tmp_path, before=old + 50)
    left = {path.name for path in tmp_path.iterdir()}
    assert ".new.pt.5.tmp" in left and "a.pt" in left and ".a.pt.tmp" in left
    assert not [
        name for name in left if name.startswith(".a.pt.") and "-" in name and name.endswith(".tmp")
    ]


def test_writing_beside_leftovers_removes_them(dead, tmp_path):
    files = leftovers(tmp_path, dead)
    write_atomically(tmp_path / "another", lambda path: path.write_text("a"))
    left = {path.name for path in tmp_path.iterdir()}
    assert not left & {name for name, is_one in files.items() if is_one}
