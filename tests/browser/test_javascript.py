"""The scripts of the front end without a browser, in the Node.js that Playwright brings."""

import re
from pathlib import Path

import pytest
from node_js import SCRIPTS, run_node

from comfy_server import ROOT

HERE = Path(__file__).parent
FILES = sorted(SCRIPTS.rglob("*.js"))
PAGE = sorted((ROOT / "train" / "evaluate" / "people_page").glob("*.js"))
ENTRY = "reco.js"  # the one that registers with the editor

# Where there is no page, a module that uses one as it is imported fails. What is left to see is
# what it changes of the global object and what it starts.
LOAD = """
const before = new Set(Reflect.ownKeys(globalThis));
const running = process.getActiveResourcesInfo().length;
await import(process.argv[1]);
const added = Reflect.ownKeys(globalThis).filter((key) => !before.has(key)).map(String);
if (added.length) throw new Error(`globals added: ${added}`);
if (process.getActiveResourcesInfo().length > running) throw new Error("something was started");
"""


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("file", sorted((HERE / "js").glob("*.test.mjs")), ids=name)
def test_nodes_test_runner_passes(file: Path) -> None:
    done = run_node("--test", "--test-reporter=spec", file)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.lstrip()[:1] not in ("✔", "ℹ")]
        pytest.fail("\n".join([*lines, done.stderr]), pytrace=False)


@pytest.mark.parametrize("file", FILES, ids=name)
def test_it_parses(file: Path) -> None:
    done = run_node("--check", file)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", [file for file in FILES if file.name != ENTRY], ids=name)
def test_importing_it_does_nothing_else(file: Path) -> None:
    """ComfyUI loads every script by itself, in no certain order."""
    done = run_node("--input-type=module", "--eval", LOAD, file.as_uri())
    assert done.returncode == 0, done.stderr


IMPORT = re.compile(r'^(?:import|\}).* from "([^"]+)";$', re.M)
FLOORS = ("shared", "editor", "comfy", "js")  # each knows itself and those before it


def forbidden_imports(file: Path, source: str) -> list[str]:
    """What a script imports from where it must not; only ENTRY may import ComfyUI's own."""
    floor = file.parent.name
    known = FLOORS[: FLOORS.index(floor) + 1] if floor in FLOORS else ("shared", floor)
    paths = {path: (file.parent / path).resolve() for path in IMPORT.findall(source)}
    return [
        path
        for path, imported in paths.items()
        if not (imported.is_file() and imported.parent.name in known)
        and not (file.name == ENTRY and path.startswith("../../../scripts/"))
    ]


@pytest.mark.parametrize("file", [*FILES, *PAGE], ids=name)
def test_it_imports_from_its_own_floor_and_those_below(file: Path) -> None:
    assert not forbidden_imports(file, file.read_text("utf-8"))


@pytest.mark.parametrize(
    "file, path",
    [
        ("web/js/shared/dom.js", "../editor/units.js"),
        ("web/js/editor/model.js", "../comfy/graph.js"),
        ("web/js/comfy/host.js", "../../../scripts/app.js"),
        ("train/evaluate/people_page/page.js", "../../../web/js/editor/units.js"),
        ("web/js/shared/dom.js", "./gone.js"),
    ],
)
def test_a_forbidden_import_would_be_noticed(file: str, path: str) -> None:
    assert forbidden_imports(ROOT / file, f'import {{ a }} from "{path}";') == [path]
    assert forbidden_imports(ROOT / file, f'import {{\n  a,\n}} from "{path}";') == [path]


EXPORT = re.compile(r"^export (?:async )?(?:const|function\*?|class) (\w+)", re.M)


def unused_exports(sources: dict[str, str]) -> list[str]:
    """What a script exports and neither another uses nor itself."""
    return [
        f"{path}: {name}"
        for path, source in sources.items()
        for name in EXPORT.findall(source)
        if len(re.findall(rf"\b{name}\b", source)) == 1
        and not any(
            re.search(rf"\b{name}\b", other) for key, other in sources.items() if key != path
        )
    ]


def test_what_is_exported_is_used() -> None:
    assert not unused_exports({str(path): path.read_text("utf-8") for path in (*FILES, *PAGE)})
    assert unused_exports({"a.js": "export const a = 1;", "b.js": "b();"}) == ["a.js: a"]


# The editor's parts, as they call one another.
WRITES = re.compile(
    r"\b(?:editor|model|stage|list|row|grip|toolbar|meter|exchange|clipboard|pointer|host)"
    r"(?:\.\w+)+ [-+*/|&?]*=(?![=>])"
)


@pytest.mark.parametrize("file", FILES, ids=name)
def test_no_part_writes_what_another_holds(file: Path) -> None:
    assert not WRITES.findall(file.read_text("utf-8"))


@pytest.mark.parametrize(
    "write", ["this.editor.tokens = []", "list.drop ||= {}", "editor.host.sent = view.sent"]
)
def test_a_write_would_be_noticed(write: str) -> None:
    assert WRITES.search(write)
    assert not WRITES.search("this.list = list; if (model.value === text) model.select(editor.a);")
