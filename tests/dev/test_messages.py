"""All errors of the pack speak in one style, which reco_core/checks.py tells."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [*ROOT.glob("reco_core/**/*.py"), *ROOT.glob("nodes/*.py"), *ROOT.glob("train/**/*.py")]
SENTENCE = re.compile(r"[A-Z][a-z']*\s|.*\.\s[A-Z][a-z']*\s|.*\.\s*$", re.DOTALL)


def messages(source: str) -> Iterator[str]:
    """The messages of a source's errors, with {} for what is put into them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            yield written(node.exc.args[0])


def written(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(written, node.values))
    return "{}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_error_is_a_sentence(path: Path) -> None:
    found = [text for text in messages(path.read_text("utf-8")) if SENTENCE.match(text)]
    assert not found


def test_sentences_are_told_from_messages() -> None:
    sentences = ["There is no CLIP", "a box is inverted. Write x0 first", "it is empty."]
    assert all(map(SENTENCE.match, sentences))
    fine = ["LoRA {} is incomplete: add it", "CLIP needs both", "x = 0.5 is not .pt", "{}: {}"]
    assert not any(map(SENTENCE.match, fine))
