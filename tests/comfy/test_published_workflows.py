"""The workflows for the published weights run as saved, with models under the names of those: small
ones, on smaller pictures and in fewer steps, and on request (-m slow) of their full size."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from pipelines import FULL, PipelineSize, save_pipeline
from random_checkpoint import FULL_SIZE, HEADS, TEXT_PREFIX, Size, random_state_dict
from test_quickstart import ROOT, saved_nodes
from workflows import ask, pictures

from comfy_server import ComfyServer
from reco_core.facts import encoder_facts, facts_of
from reco_core.family import SD1
from reco_core.keys import UNET_FACTS

PORT, CKPT = "reco_sd14_coco/", "reco_coco_616.ckpt"
WORKFLOWS = {"reco_port_512": PORT, "reco_ckpt_512": CKPT}
every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def save_ckpt(path: Path, weights: dict[str, torch.Tensor]) -> None:
    """As Lightning leaves it."""
    buffer = {f"{TEXT_PREFIX}embeddings.position_ids": torch.arange(1000)[None]}
    torch.save({"state_dict": weights | buffer, "global_step": 20_000, "callbacks": {}}, path)


@pytest.fixture(scope="module")
def models(base_dir) -> Path:
    """Small models in ComfyUI's models folder, as large as the published ones in what they read."""
    folder = base_dir / "models"
    save_pipeline(folder / "diffusers" / PORT, PipelineSize(max_length=616), "bin")
    weights = random_state_dict(Size(max_length=616))
    facts = facts_of(weights, {"format": "reco", **HEADS}, SD1).tensor()  # of heads, in a pickle
    places = {UNET_FACTS: facts, encoder_facts(SD1.encoders[0]): facts}
    save_ckpt(folder / "checkpoints" / CKPT, weights | places)
    yield folder
    shutil.rmtree(folder / "diffusers" / PORT)
    (folder / "checkpoints" / CKPT).unlink()


def saved(name: str) -> Path:
    return ROOT / "example_workflows" / f"{name}.json"


def changed(name: str, folder: Path, side: int, steps: int) -> Path:
    """A copy of a workflow for smaller pictures and fewer steps."""
    workflow = json.loads(saved(name).read_text("utf-8"))
    for node in workflow["nodes"]:
        if node["type"] == "ReCoLayoutEditor":
            node["widgets_values"][:2] = [side, side]
        if node["type"] == "KSampler":
            node["widgets_values"][2] = steps
    path = folder / f"{name}.json"
    path.write_text(json.dumps(workflow), "utf-8")
    return path


def shapes_of(server, workflow: Path) -> dict[str, list[tuple[int, ...]]]:
    made = pictures(server, workflow)
    assert all(picture.std() > 1 for some in made.values() for picture in some)
    return {name: [picture.shape for picture in some] for name, some in made.items()}


@every_workflow
def test_it_runs_with_small_models_under_these_names(server, models, tmp_path, name):
    short = name.removeprefix("reco_")
    expected = {short: [(128, 128, 3)], f"{short}_boxes": [(128, 128, 3)]}
    assert shapes_of(server, changed(name, tmp_path, side=128, steps=1)) == expected


@every_workflow
def test_it_is_of_the_papers_settings_and_its_layout_fits(server, models, name):
    nodes = {node["type"]: node.get("widgets_values") for node in saved_nodes(saved(name))}
    assert nodes["ReCoLoadCheckpoint"] == [WORKFLOWS[name]]
    assert nodes["KSampler"][2:4] == [50, 4.0]
    width, height, drawing = nodes["ReCoLayoutEditor"]
    assert (width, height) == (512, 512)
    layout = {**json.loads(drawing), "width": width, "height": height}
    reader = [{"checkpoint": WORKFLOWS[name]}]
    counted = ask(server, "count", {"layout": layout, "readers": [reader]})
    assert (counted["limit"], counted["overflow"], counted["remarks"]) == (616, [], [])
    assert len(counted["regions"]) == 4


@pytest.mark.slow  # 4 GB on the disk each, and as much in memory
@every_workflow
def test_it_runs_with_random_models_of_full_size(comfyui, tmp_path, name):
    models = tmp_path / "comfyui" / "models"
    (models / "checkpoints").mkdir(parents=True)
    if WORKFLOWS[name] == PORT:
        save_pipeline(models / "diffusers" / PORT, FULL, "bin")
    else:
        save_ckpt(models / "checkpoints" / CKPT, random_state_dict(FULL_SIZE))
    workflow = changed(name, tmp_path, side=512, steps=2)
    short = name.removeprefix("reco_")
    with ComfyServer(tmp_path / "comfyui", [], comfyui=comfyui) as server:
        expected = {short: [(512, 512, 3)], f"{short}_boxes": [(512, 512, 3)]}
        assert shapes_of(server, workflow) == expected
