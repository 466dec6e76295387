"""The quickstart workflow as a user meets it: found in Templates, opened, run, looked at."""

import io
import json
from pathlib import Path

import pytest
from comfy_page import ComfyPage, Renderer
from PIL import Image
from playwright.sync_api import expect

WORKFLOWS = sorted((Path(__file__).parents[2] / "example_workflows").glob("*.json"))
[QUICKSTART] = (path for path in WORKFLOWS if path.stem == "reco_quickstart")
SIZES = {"quickstart": (160, 160), "quickstart_boxes": (640, 640)}


def saved_nodes() -> list[dict]:
    return json.loads(QUICKSTART.read_text("utf-8"))["nodes"]


@pytest.fixture
def quickstart(comfy: ComfyPage) -> ComfyPage:
    comfy.load_workflow(QUICKSTART)
    comfy.show(*comfy.nodes())
    return comfy


def test_it_is_a_template(comfy: ComfyPage) -> None:
    names = json.loads(comfy.server.get("/workflow_templates"))
    assert sorted(names["comfyui-reco"]) == sorted(path.stem for path in WORKFLOWS)
    comfy.run_command("Comfy.BrowseTemplates")
    card = comfy.page.get_by_test_id("template-workflow-reco_quickstart")
    expect(card.get_by_role("img").first).to_be_visible()
    comfy.screenshot("templates")
    card.click()
    expect(card).to_be_hidden()
    comfy.page.wait_for_function("() => harness.nodes().length")
    assert sorted(comfy.nodes()) == sorted(str(node["id"]) for node in saved_nodes())


def test_it_opens_whole(quickstart: ComfyPage) -> None:
    quickstart.screenshot("quickstart")
    expect(quickstart.page.get_by_role("dialog")).to_have_count(0)
    expect(quickstart.page.get_by_test_id("error-overlay")).to_have_count(0)
    for node in saved_nodes():
        names = [slot["name"] for slot in node["inputs"] if "widget" in slot]
        assert [name for name in quickstart.widgets(str(node["id"])) if name in names] == names
        for name in names:
            rect = quickstart.widget_rect(str(node["id"]), name)
            assert rect["width"] > 0 and rect["height"] > 0, (node["type"], name)


def test_opening_and_saving_changes_no_value(quickstart: ComfyPage) -> None:
    opened = {
        node["id"]: node.get("widgets_values") or [] for node in quickstart.workflow()["nodes"]
    }
    assert opened == {node["id"]: node.get("widgets_values") or [] for node in saved_nodes()}


def test_the_run_button_makes_its_pictures_and_shows_its_report(quickstart: ComfyPage) -> None:
    outputs = quickstart.queue()["outputs"]
    images = [image for output in outputs.values() for image in output.get("images", [])]
    pictures = {
        image["filename"].rpartition("_0")[0]: Image.open(io.BytesIO(quickstart.server.view(image)))
        for image in images
    }
    assert {name: picture.size for name, picture in pictures.items()} == SIZES
    reports = [(node, output["text"][0]) for node, output in outputs.items() if "text" in output]
    assert reports
    for node, report in reports:
        first = quickstart.page.get_by_text(report.splitlines()[0]).first
        expect(first).to_be_visible()
        box, rect = first.bounding_box(), quickstart.rect(node)
        assert box and rect["x"] <= box["x"] < rect["x"] + rect["width"]
        assert rect["y"] <= box["y"] < rect["y"] + rect["height"]
    quickstart.screenshot("quickstart-run")


def test_a_missing_node_would_be_noticed(closed: ComfyPage, renderer: Renderer) -> None:
    """What test_it_opens_whole relies on."""
    closed.open(renderer)
    node = {"id": 1, "type": "NoSuchNode", "pos": [0, 0], "size": [200, 100], "mode": 0}
    node |= {"flags": {}, "order": 0, "inputs": [], "outputs": [], "properties": {}}
    closed.load_workflow(
        {"version": 0.4, "nodes": [node], "links": [], "groups": [], "last_node_id": 1}
    )
    told = closed.page.get_by_test_id("error-overlay").or_(closed.page.get_by_role("dialog"))
    expect(told).to_contain_text("NoSuchNode")
