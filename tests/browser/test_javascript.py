"""The scripts of the front end without a browser, in the Node.js that Playwright brings."""

import os
import subprocess
from pathlib import Path

import playwright
import pytest

HERE = Path(__file__).parent
SCRIPTS = sorted((HERE.parents[1] / "web" / "js").rglob("*.js"))
ENTRY = "reco.js"  # the one that registers with the editor
NODE = Path(playwright.__file__).parent / "driver" / ("node.exe" if os.name == "nt" else "node")

# Where there is no page, a module that uses one as it is imported fails. What is left to see is
# what it changes of the global object and what it starts.
IMPORT = """
const before = new Set(Reflect.ownKeys(globalThis));
const running = process.getActiveResourcesInfo().length;
await import(process.argv[1]);
const added = Reflect.ownKeys(globalThis).filter((key) => !before.has(key)).map(String);
if (added.length) throw new Error(`globals added: ${added}`);
if (process.getActiveResourcesInfo().length > running) throw new Error("something was started");
"""


def run_node(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in (NODE, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", *words)],
        cwd=HERE,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("file", sorted((HERE / "js").glob("*.test.mjs")), ids=name)
def test_nodes_test_runner_passes(file: Path) -> None:
    done = run_node("--test", "--test-reporter=spec", file)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.lstrip()[:1] not in ("✔", "ℹ")]
        pytest.fail("\n".join([*lines, done.stderr]), pytrace=False)


@pytest.mark.parametrize("file", SCRIPTS, ids=name)
def test_it_parses(file: Path) -> None:
    done = run_node("--check", file)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", [file for file in SCRIPTS if file.name != ENTRY], ids=name)
def test_importing_it_does_nothing_else(file: Path) -> None:
    """ComfyUI loads every script by itself, in no certain order."""
    done = run_node("--input-type=module", "--eval", IMPORT, file.as_uri())
    assert done.returncode == 0, done.stderr
