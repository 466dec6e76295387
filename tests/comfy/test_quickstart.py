"""The workflow that users open, run through comfy-cli from the format in which they save it."""

import json
from pathlib import Path

import numpy as np
import pytest
from judged import assert_all_there
from workflows import ask, pictures

from reco_core.layout import Layout

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "example_workflows" / "reco_quickstart.json"
WORKFLOWS = sorted(QUICKSTART.parent.glob("*.json"))
CHECKPOINT = "reco-things.safetensors"
OWN = [path.name for path in (ROOT / "models").glob("*.safetensors")]
EMBEDDED = [path for path in WORKFLOWS if any(own in path.read_text("utf-8") for own in OWN)]
"""Those of checkpoints that come with the pack; the others' files are not here."""


def saved_nodes(workflow: Path = QUICKSTART) -> list[dict]:
    return json.loads(workflow.read_text("utf-8"))["nodes"]


def test_the_quickstart_runs_as_saved_with_any_checkpoint(server, tiny, tmp_path):
    workflow = tmp_path / "quickstart.json"
    workflow.write_text(QUICKSTART.read_text("utf-8").replace(CHECKPOINT, tiny.name), "utf-8")
    made = pictures(server, workflow)
    shapes = {name: [picture.shape for picture in some] for name, some in made.items()}
    assert shapes == {"quickstart": [(160, 160, 3)], "quickstart_boxes": [(640, 640, 3)]}


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(node, id=f"{workflow.stem}-{node['id']}-{node['type']}")
        for workflow in WORKFLOWS
        for node in saved_nodes(workflow)
        if node["type"].startswith("ReCo")
    ],
)
def test_saved_inputs_are_those_the_node_has_in_the_same_order(server, node):
    """The values of widgets are saved by position: an input that moves would shift them."""
    info = json.loads(server.get(f"/object_info/{node['type']}"))[node["type"]]
    inputs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    names = [name for name, (_, options) in inputs.items() if not options.get("socketless")]
    saved_widgets = [slot["name"] for slot in node["inputs"] if "widget" in slot]
    saved_sockets = [slot["name"] for slot in node["inputs"] if "widget" not in slot]
    assert saved_widgets == [name for name in names if name not in saved_sockets]
    assert [slot["name"] for slot in node["outputs"]] == info["output_name"]


@pytest.mark.parametrize("workflow", EMBEDDED, ids=lambda path: path.stem)
def test_a_template_starts_at_the_size_and_with_the_words_its_checkpoint_knows(server, workflow):
    nodes = saved_nodes(workflow)
    [loader] = [node for node in nodes if node["type"] == "ReCoLoadCheckpoint"]
    [editor] = [node for node in nodes if node["type"] == "ReCoLayoutEditor"]
    width, height, drawing = editor["widgets_values"][:3]
    layout = {**json.loads(drawing), "width": width, "height": height}
    reader = [{"checkpoint": loader["widgets_values"][0]}]
    if any("join up to four sequences" in (node.get("widgets_values") or ()) for node in nodes):
        reader.append({"overflow": "join up to four sequences"})
    body = {"layout": layout, "readers": [reader]}
    counted = ask(server, "count", body)
    assert counted["size"] == [width, height]
    assert counted["remarks"] == []
    assert counted["used"] <= counted["limit"]
    larger = ask(server, "count", {**body, "layout": {**layout, "width": 4 * width}})
    assert [remark["kind"] for remark in larger["remarks"]] == ["size"]


def test_the_quickstarts_picture_obeys_its_boxes(server):
    [picture] = pictures(server, QUICKSTART)["quickstart"]
    [editor] = [node for node in saved_nodes() if node["type"] == "ReCoLayoutEditor"]
    width, height, drawing = editor["widgets_values"][:3]
    layout = Layout.from_data({**json.loads(drawing), "width": width, "height": height})
    assert_all_there(np.asarray(picture), layout, "a dog, a red car, a palm tree")
