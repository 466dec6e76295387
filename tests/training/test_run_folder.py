"""One run at a time in a folder, and nothing of killed ones is left there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from accelerate import Accelerator

from reco_core import atomic
from train.fit.options import FitConfig
from train.fit.run_folder import alone_in_folder

HOLD = """
import sys, time
from filelock import FileLock
lock = FileLock(sys.argv[1]); lock.acquire(timeout=0)
print("held", flush=True); time.sleep(100)
"""


def config(folder, output="out.safetensors"):
    return FitConfig(folder=str(folder), output=str(Path(folder) / output))


@pytest.fixture
def accelerator():
    return Accelerator(cpu=True)


@pytest.mark.parametrize("name", ["run", "with space", "käse", "deep/er", "run.d"])
def test_a_second_run_in_a_folder_is_refused_by_name_and_process(name, tmp_path, accelerator):
    folder = tmp_path / name
    with alone_in_folder(config(folder), accelerator):
        (folder / "states").mkdir()
        live = folder / "states" / f".step-0000002.pt.{atomic._host()}-{os.getpid()}.tmp"
        live.write_text("half")
        for same in (folder, folder / ".", folder / ".." / folder.name):
            with pytest.raises(
                ValueError, match=f"another run is going on.*process {os.getpid()}"
            ) as error:
                with alone_in_folder(config(same), accelerator):
                    pass
            assert repr(str(same)) in str(error.value)
        assert live.exists(), "the temporary file of the run that goes on"
        with alone_in_folder(config(tmp_path / "other"), accelerator):
            pass
    with alone_in_folder(config(folder), accelerator):
        assert not live.exists()


def test_the_lock_ends_with_its_process_however_that_ends(tmp_path, accelerator):
    with alone_in_folder(config(tmp_path), accelerator):
        pass
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run.lock")], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="another run is going on"):
            with alone_in_folder(config(tmp_path), accelerator):
                pass
        other.kill()
    with alone_in_folder(config(tmp_path), accelerator):
        pass


@pytest.mark.parametrize("error", [ValueError("a"), KeyboardInterrupt(), RuntimeError("b")])
def test_a_run_that_fails_gives_the_folder_back(error, tmp_path, accelerator):
    with pytest.raises(type(error)):
        with alone_in_folder(config(tmp_path), accelerator):
            raise error
    with alone_in_folder(config(tmp_path), accelerator):
        pass


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path, accelerator):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    host, dead = atomic._host(), process.pid
    gone = [
        f"states/.step-0000002.pt.{host}-{dead}.tmp",
        f"states/.step-0000002.pt.{host}-{os.getpid()}.tmp",  # its number was given away again
        "states/.step-0000003.pt.00000000-5.tmp",  # of another machine, which has not the lock
        "states/.step-0000004.pt.12345.tmp",  # of an earlier version
        f"exports/.run-0000002.safetensors.{host}-{dead}.tmp",
        f"cache/text-1/.a.safetensors.{host}-{dead}.tmp",
        f".autoencoder_state.pt.{host}-{dead}.tmp",
    ]
    stay = [
        "states/step-0000001.pt", "states/step-0000001.pt.damaged", "states/notes.tmp",
        "states/.notes.tmp", f"cache/text-1/.a.safetensors.{host}-{os.getpid()}.tmp",
        "cache/text-1/.a.safetensors.00000000-5.tmp", ".mine.12345.tmp",
    ]  # fmt: skip
    for name in (*gone, *stay):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a")
        os.utime(path, (time.time() - 5,) * 2)
    with alone_in_folder(config(tmp_path), accelerator):
        assert not [name for name in gone if (tmp_path / name).exists()]
        assert not [name for name in stay if not (tmp_path / name).exists()]
