"""The checks of style and types, as tests, so that one command runs them all."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECKS = {
    "ruff": ["-m", "ruff", "check"],
    "format": ["-m", "ruff", "format", "--check"],
    "mypy": ["-m", "mypy"],
    "mypy of nodes": ["tests/dev/types_of_nodes.py"],
}


def run(*words: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("check", CHECKS)
def test_no_complaints_from(check: str) -> None:
    code, said = run(*CHECKS[check])
    assert code == 0, said


WRONG = """
from ..reco_core.checks import quote

wrong: int = quote(1)


def untyped(layout):
    return layout
"""


def test_wrong_and_missing_types_in_a_node_are_seen(tmp_path) -> None:
    for name in ("nodes", "reco_core"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=lambda _, names: _not_code(names))
    for name in ("__init__.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    with (tmp_path / "nodes" / "preview.py").open("a", encoding="utf-8") as file:
        file.write(WRONG)
    code, said = run("tests/dev/types_of_nodes.py", str(tmp_path))
    assert code == 1
    assert "[assignment]" in said and "[no-untyped-def]" in said, said


def _not_code(names: list[str]) -> list[str]:
    return [name for name in names if Path(name).suffix not in ("", ".py") or "cache" in name]
