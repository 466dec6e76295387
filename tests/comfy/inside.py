"""A ComfyUI without its server, in a process of its own, that runs functions of inside_checks.py or
another module of this folder, which "module.function" names.

ComfyUI and this pack both have a module called `nodes`, so tests cannot import ComfyUI beside the
pack. Started as `python inside.py COMFYUI MODULE [flags]`; each line of JSON on stdin, {"check":
name, "arguments": {...}}, is answered by one on stdout: {"result": ...} or {"error": "..."}.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Inside:
    """The parent's side: `inside("check", argument=value)` returns what the check returns."""

    def __init__(self, comfyui: Path, *flags: str, checks: str = "inside_checks"):
        command = [sys.executable, __file__, str(comfyui), checks, "--cpu", *flags]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        )

    def __call__(self, check: str, **arguments):
        call = json.dumps({"check": check, "arguments": arguments})
        print(call, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"ComfyUI ended with {self.process.wait()} during {check}")
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


def load_pack(name: str = "reco_pack"):
    """Load the pack by its path, as ComfyUI loads custom nodes. Another name is another copy."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def serve(comfyui: str, module: str, flags: list[str]) -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what ComfyUI prints is no answer
    sys.dont_write_bytecode = False  # as for a user: only the first load compiles
    sys.path.insert(0, comfyui)
    sys.argv = ["main.py", *flags]
    import comfy.options

    comfy.options.enable_args_parsing()
    importlib.import_module("utils.extra_config")  # first, as main.py does: later finds comfy.utils
    checks = importlib.import_module(module)
    for line in sys.stdin:
        call = json.loads(line)
        try:
            other, _, check = call["check"].rpartition(".")
            found = importlib.import_module(other) if other else checks
            answer = {"result": getattr(found, check)(**call["arguments"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], sys.argv[3:])
