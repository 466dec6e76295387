"""The house's dependencies, and that each contract sees what breaks it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
CHECK = Path(__file__).with_name("imports.py")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]

PLANTED = {
    "nodes know reco_core alone": [
        ("nodes/preview.py", "from train.data.sample import Sample"),
        ("nodes/preview.py", "from ..train.data.sample import Sample"),
        ("nodes/preview.py", "def draw():\n    import diffusers"),
    ],
    "reco_core stands alone": [
        ("reco_core/layout.py", "from train.atomic import save_atomically"),
        ("reco_core/layout.py", "def load():\n    from transformers import CLIPTokenizer"),
        ("reco_core/forms/table.py", "import comfy.sd"),
    ],
    "train knows no nodes": [
        ("train/data/sample.py", "from nodes.layout import Layout"),
        ("train/evaluate/suite.py", "def draw():\n    import comfy.sample"),
    ],
    "floors of train": [
        ("train/model/latents.py", "from train.data.sample import Sample"),
        ("train/data/batch.py", "def late():\n    from train.fit.losses import Noise"),
        ("train/fit/steps.py", "from train.config import load_config"),
        ("train/stray.py", "STRAY = 1"),
    ],
    "no circles": [
        ("train/model/noise.py", "from train.model.sampling import sample_layouts"),
        ("reco_core/layout.py", "def late():\n    from .forms.table import read_layout"),
        ("nodes/remarks.py", "from .score import ReCoScoreLayout"),
    ],
}
"""For each contract, lines that break it when they are added to a file."""


def check(root: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, str(CHECK), str(root)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A copy of the code to plant violations in."""
    root = tmp_path_factory.mktemp("house")
    for name in ("nodes", "reco_core", "train"):
        shutil.copytree(ROOT / name, root / name, ignore=lambda _, names: _not_code(names))
    for name in ("__init__.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    return root


def _not_code(names: list[str]) -> list[str]:
    return [name for name in names if Path(name).suffix not in ("", ".py") or "cache" in name]


def test_every_contract_is_kept():
    code, said = check(ROOT)
    assert code == 0, said


def test_every_contract_has_its_proof():
    assert PLANTED.keys() == {contract["name"] for contract in CONTRACTS["contracts"]}


@pytest.mark.parametrize(
    ("name", "path", "line"),
    [(name, *planted) for name, plants in PLANTED.items() for planted in plants],
)
def test_a_planted_violation_is_seen(house, name, path, line):
    file = house / path
    before = file.read_text("utf-8") if file.exists() else None
    file.write_text(f"{before or ''}\n{line}\n", "utf-8")
    try:
        code, said = check(house)
    finally:
        file.unlink() if before is None else file.write_text(before, "utf-8")
    assert code == 1, said
    assert f"{name} BROKEN" in said or "Missing layer" in said and "floors" in name, said


def test_the_picture_of_the_house_is_of_these_imports():
    spec = importlib.util.spec_from_file_location("house", ROOT / "docs" / "house.py")
    house = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(house)
    with Image.open(house.PICTURE) as picture:
        assert picture.text["imports"] == house.as_text(house.imports()), "run docs/house.py"
