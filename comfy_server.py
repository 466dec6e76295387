"""A ComfyUI process with this pack, in a folder of its own. Used by dev.py and by the tests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
COMFY_HOME = ROOT / ".comfyui"
FETCHED_COMFYUI = COMFY_HOME / "ComfyUI"
PACK = "comfyui-reco"
FRONT_END = "comfyui-frontend-package"
FRONT_END_ROOT = "comfyui_frontend_package/static"
ONLY_THIS_PACK = {PACK: ROOT}
HEADLESS = (
    *("--listen", "127.0.0.1", "--use-pytorch-cross-attention", "--disable-api-nodes"),
    *("--disable-auto-launch", "--database-url", "sqlite:///:memory:"),
)
# A proxy of the environment must not come between us and loopback.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failure(Exception):
    """What went wrong and what to do about it, in one line."""


class ComfyServer:
    """A ComfyUI on a free loopback port, with no custom nodes but this pack.

        with ComfyServer(folder) as server:
            entry = server.wait(server.post_prompt(workflow))

    base_dir holds its models, input, output, user and custom_nodes folders and its log,
    comfyui.log. extra_args are further ComfyUI flags. comfyui is its source folder, by default the
    one COMFYUI_PATH names or dev.py fetched. packs are the folders of custom nodes by name, by
    default this pack alone. is_on_cpu is false for the device that ComfyUI chooses. Entering
    returns when ComfyUI answers and leaving ends it. Raises Failure when it ends by itself or does
    not answer within `timeout` seconds.
    """

    def __init__(
        self,
        base_dir: str | Path,
        extra_args: Sequence[str] = (),
        comfyui: str | Path | None = None,
        timeout: float = 180,
        packs: Mapping[str, Path] = ONLY_THIS_PACK,
        is_on_cpu: bool = True,
    ) -> None:
        self.base_dir = Path(base_dir).resolve()
        self.log = self.base_dir / "comfyui.log"
        self.timeout = timeout
        self.port, self.url = 0, ""
        self.process: subprocess.Popen[bytes] | None = None
        source = Path(comfyui) if comfyui else given_comfyui() or FETCHED_COMFYUI
        device = ("--cpu",) if is_on_cpu else ()
        flags = (*device, *HEADLESS, *front_end_flags(), *extra_args)
        self.command = comfyui_command(source, self.base_dir, *flags, packs=packs)

    def __enter__(self) -> ComfyServer:
        for is_last in (False, False, True):
            try:
                self._start()
                break
            except BaseException as error:
                self.stop()
                if is_last or not isinstance(error, Failure) or not self._found_port_taken():
                    raise
        return self

    def _start(self) -> None:
        self.port = free_port()  # which another process may take before ComfyUI does
        self.url = f"http://127.0.0.1:{self.port}"
        # Idle threads that spin would starve whatever shares the CPU.
        environment = {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONIOENCODING": "utf-8", **os.environ}
        command = [*self.command, "--port", str(self.port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        self._wait_until(lambda: self.get("/system_stats"), self.timeout, "start")

    def _found_port_taken(self) -> bool:
        return "already in use" in self._last_words()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process, if it still runs."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> bytes:
        """The body of the answer to GET path. Raises urllib.error.HTTPError for an error."""
        with DIRECT.open(self.url + path, timeout=60) as response:
            return response.read()

    def post_prompt(self, prompt: dict) -> str:
        """Queue a workflow in API format; its prompt id. Raises Failure if ComfyUI refuses it."""
        body = json.dumps({"prompt": prompt}).encode()
        try:
            with DIRECT.open(self.url + "/prompt", body, timeout=60) as response:
                return json.load(response)["prompt_id"]
        except urllib.error.HTTPError as refusal:
            raise Failure(explain_refusal(json.load(refusal))) from None

    def history(self, prompt_id: str) -> dict:
        """The prompt's history entry with "outputs" and "status", or {} while it is not done."""
        return json.loads(self.get(f"/history/{prompt_id}")).get(prompt_id, {})

    def wait(self, prompt_id: str, timeout: float = 600) -> dict:
        """The history entry when the prompt is done. Raises Failure naming the node that failed."""
        self._wait_until(lambda: self.history(prompt_id), timeout, "finish the workflow")
        entry = self.history(prompt_id)
        for kind, message in entry["status"]["messages"]:
            if kind == "execution_error":
                text = message["exception_message"].strip()
                raise Failure(f"{message['node_type']} (node {message['node_id']}): {text}")
        return entry

    def view(self, image: dict) -> bytes:
        """The file of an image in a history entry: {"filename", "subfolder", "type"}."""
        return self.get("/view?" + urllib.parse.urlencode(image))

    def must_run(self, what: str) -> None:
        """Raise Failure with ComfyUI's last words if it ended before it could do `what`."""
        if self.process is None or self.process.poll() is not None:
            raise Failure(f"ComfyUI ended before it could {what}: {self._last_words()}")

    def _wait_until(self, done: Callable[[], object], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while True:
            with contextlib.suppress(OSError):  # it does not answer, yet or any more
                if done():
                    return
            self.must_run(what)
            if time.monotonic() > deadline:
                raise Failure(f"ComfyUI did not {what} in {timeout:.0f} s. Its log: {self.log}")
            time.sleep(0.1)

    def _last_words(self) -> str:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text("utf-8", errors="replace"))
        lines = [line.strip() for line in plain.splitlines() if line.strip()]
        return f"{lines[-1] if lines else 'it said nothing'} (its log: {self.log})"


def run_workflow(
    server: ComfyServer, workflow: Path, show: Callable[[str], None] = lambda title: None
) -> list[str]:
    """Run a workflow file, in UI or API format, through comfy-cli.

    show gets the title of each node as it starts. Returns the addresses of the pictures made.
    Raises Failure naming the node that failed.
    """
    answer: dict = {}

    def follow(line: str) -> None:
        nonlocal answer
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("type") == "executing":
            show(event["title"])
        elif event.get("type") == "envelope":
            answer = event

    command: list[str | Path] = [PYTHON, "-m", "comfy_cli", "--skip-prompt", "--json-stream"]
    command += ["run", "--workflow", workflow, "--wait", "--timeout", "300", "--where", "local"]
    command += ["--host", "127.0.0.1", "--port", str(server.port)]
    # comfy-cli keeps settings and job files in the home folder: leave the user's alone.
    home = {"HOME": str(server.base_dir), "USERPROFILE": str(server.base_dir)}
    private = {"DO_NOT_TRACK": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **home}
    _, output = run(command, follow, private)
    if answer.get("ok"):
        return answer["data"]["outputs"]
    server.must_run(f"finish {workflow.name}")
    error = answer.get("error") or {
        "message": (output.splitlines() or ["comfy-cli said nothing."])[-1]
    }
    # The hint tells what is wrong with a workflow, but nothing particular of a node that failed.
    hint = "" if error.get("code") == "execution_error" else error.get("hint")
    reason = f"{error['message']}: {hint}" if hint else error["message"]
    raise Failure(f"{workflow.name} failed: {' '.join(reason.split())}")


def run(
    command: Sequence[str | Path],
    show: Callable[[str], None] = lambda line: None,
    environment: dict[str, str] | None = None,
) -> tuple[int, str]:
    """Run a command, showing each line of its output as it comes; its exit status and output."""
    lines = []
    utf8 = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **utf8, **(environment or {})},
    ) as process:
        try:
            for line in process.stdout or ():
                lines.append(line)
                show(line)
        except BaseException:
            process.kill()
            raise
    return process.returncode, "".join(lines)


def given_comfyui() -> Path | None:
    """The ComfyUI that COMFYUI_PATH names, or None if it is not set."""
    path = os.environ.get("COMFYUI_PATH")
    if not path:
        return None
    folder = Path(path).expanduser().resolve()
    if not (folder / "main.py").is_file() or not (folder / "comfy").is_dir():
        raise Failure(
            f"COMFYUI_PATH is {path!r}, which has no main.py and comfy/. "
            "Set it to ComfyUI's own folder, or unset it to use a pinned release."
        )
    return folder


def given_front_end() -> Path | None:
    """The folder of the front end's package that FRONT_END_PATH names, or None if it is not set."""
    path = os.environ.get("FRONT_END_PATH")
    if not path:
        return None
    folder = Path(path).expanduser().resolve()
    if not (folder / FRONT_END_ROOT / "index.html").is_file():
        raise Failure(
            f"FRONT_END_PATH is {path!r}, which has no {FRONT_END_ROOT}/index.html. Set it to a"
            f" folder that `pip install --no-deps --target FOLDER {FRONT_END}` made, or unset it"
            " to use ComfyUI's own."
        )
    return folder


def front_end_version() -> str:
    """That of the front end which a ComfyServer shows."""
    folder = given_front_end()
    places = [str(folder)] if folder else sys.path
    return next(iter(metadata.distributions(name=FRONT_END, path=places))).version


def front_end_flags() -> tuple[str, ...]:
    folder = given_front_end()
    return ("--front-end-root", str(folder / FRONT_END_ROOT)) if folder else ()


def comfyui_command(
    comfyui: Path, base_dir: Path, *flags: str, packs: Mapping[str, Path] = ONLY_THIS_PACK
) -> list[str]:
    """The command that starts ComfyUI on base_dir, after linking these packs alone into it."""
    for name, folder in packs.items():
        link_pack(base_dir, name, folder)
    start = [str(PYTHON), str(comfyui / "main.py"), "--base-directory", str(base_dir)]
    alone = ["--disable-all-custom-nodes", "--whitelist-custom-nodes", *packs]
    return [*start, *alone, *flags]


def link_pack(base_dir: Path, name: str = PACK, folder: Path = ROOT) -> None:
    """Make base_dir/custom_nodes/<name> lead to a folder."""
    link = base_dir / "custom_nodes" / name
    if link.exists() and link.resolve() == folder:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    if sys.platform == "win32":  # a junction needs no rights there, a symbolic link does
        import _winapi

        _winapi.CreateJunction(str(folder), str(link))
    else:
        link.symlink_to(folder, target_is_directory=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def explain_refusal(answer: dict) -> str:
    """One line from ComfyUI's answer to a workflow that is not valid."""
    for node_id, node in (answer.get("node_errors") or {}).items():
        error = node["errors"][0]
        return f"{node['class_type']} (node {node_id}): {error['message']}: {error['details']}"
    return answer["error"]["message"]
