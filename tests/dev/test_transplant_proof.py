"""docs/transplant.py on random models: that it makes, draws and compares all it tells of."""

import json
from dataclasses import replace

import pytest
import torch
from adapters import adapter_tensors, write_adapter
from PIL import Image
from random_checkpoint import HEADS, Size, random_state_dict

from docs import transplant
from reco_core.checkpoint_file import write_checkpoint

RECO = Size(max_length=96)
PLAIN = replace(RECO, num_bins=0, max_length=77)
SIZE = {"image_size": "128"}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Random models under the names of the trained ones, and a shorter comparison."""
    for seed, name in enumerate(("base", "chalk")):
        weights = random_state_dict(PLAIN, torch.float32, seed)
        write_checkpoint(tmp_path / f"{name}.safetensors", weights, HEADS | SIZE)
    reco = random_state_dict(RECO, torch.float32, 2)
    metadata = HEADS | SIZE | {"format": "reco"}
    write_checkpoint(tmp_path / "reco.safetensors", reco, metadata)
    tensors = adapter_tensors(reco, length=RECO.max_length)
    write_adapter(tmp_path / "adapter.safetensors", tensors, **HEADS, **SIZE)
    for name in ("BASE", "RECO", "CHALK", "ADAPTER"):
        monkeypatch.setattr(transplant, name, tmp_path / f"{name.lower()}.safetensors")
    monkeypatch.setattr(transplant, "RUNS", tmp_path)
    monkeypatch.setattr(transplant, "DOCS", tmp_path)
    monkeypatch.setattr(transplant, "STRENGTHS", (0.0, 1.0))
    monkeypatch.setattr(transplant, "SHOWN", 2)
    monkeypatch.setattr(transplant, "SUITE", replace(transplant.SUITE, layouts=2))
    monkeypatch.setattr(transplant, "DRAWING", replace(transplant.DRAWING, steps=1))
    (tmp_path / "images").mkdir()
    return tmp_path


def test_all_models_are_made_drawn_and_compared(runs, capsys):
    transplant.main()
    figures = json.loads((runs / "transplant.json").read_text("utf-8"))
    assert len(figures) == 8 and all(own["pictures"] == 2 for own in figures.values())
    with Image.open(runs / "images" / "transplant.jpg") as sheet:
        assert sheet.height == 9 * transplant.SIDE
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0].strip("| ") for row in rows[-8:]] == list(figures)
