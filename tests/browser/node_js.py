"""Node.js, which Playwright brings: the scripts of the front end without a browser."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import playwright

from comfy_server import ROOT

NODE = Path(playwright.__file__).parent / "driver" / ("node.exe" if os.name == "nt" else "node")
SCRIPTS = ROOT / "web" / "js"

ANSWER = """
import {{ readFileSync }} from "node:fs";
import * as module from {module};
const given = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify({expression}));
"""


def run_node(*words: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run Node.js on some words of a command line. given: its standard input."""
    return subprocess.run(
        [str(word) for word in (NODE, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", *words)],
        cwd=Path(__file__).parent,
        input=given,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def evaluate(path: str, expression: str, given: Any = None) -> Any:
    """The value of an expression in which `module` is a script below web/js.

    given: what the expression calls `given`. Both go through JSON.
    """
    module = json.dumps((SCRIPTS / path).as_uri())
    script = ANSWER.format(module=module, expression=expression)
    done = run_node("--input-type=module", "--eval", script, given=json.dumps(given))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
