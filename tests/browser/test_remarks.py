"""Words on nodes: what a run found stays there, as text, in both renderers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from comfy_page import ComfyPage
from playwright.sync_api import Locator, expect

from comfy_server import ROOT

MARKUP = [
    "<img src=x onerror=window.ran=1>",
    "<svg onload=window.ran=1><circle r=9></svg>",
    "</span><script>window.ran=1</script>",
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "&lt;b&gt; a <b>bold</b> dog",
    "[link](javascript:window.ran=1) **bold** `code`",
    "{{constructor.constructor('window.ran=1')()}} ${window.ran=1}",
]
CHECKPOINT = "reco-shapes.safetensors"


@pytest.fixture
def comfy(shared: ComfyPage) -> ComfyPage:
    return shared


@pytest.fixture
def encode(comfy: ComfyPage) -> str:
    """A node that encodes "a dog", a word that the checkpoint does not know."""
    source = comfy.add_node("ReCoLayoutFromText", at=(0, 0))
    comfy.set_value(source, "text", "a dog")
    for side in ("width", "height"):
        comfy.set_value(source, side, 128)
    loader = comfy.add_node("ReCoLoadCheckpoint", at=(0, 400))
    comfy.set_value(loader, "ckpt_name", CHECKPOINT)
    node = comfy.add_node("ReCoTextEncode", at=(500, 0))
    taker = comfy.add_node("PreviewAny", at=(900, 0))
    comfy.connect(source, "layout", node, "layout")
    comfy.connect(loader, "clip", node, "clip")
    comfy.connect(node, "report", taker, 0)
    comfy.show(source, loader, node, taker)
    return node


def source_of(comfy: ComfyPage) -> str:
    [node] = [n["id"] for n in comfy.workflow()["nodes"] if n["type"] == "ReCoLayoutFromText"]
    return str(node)


def words(comfy: ComfyPage, node: str) -> Locator:
    """What stands on a node, once it is there."""
    comfy.page.wait_for_function(
        "id => harness.node(id).widgets?.some(({ name }) => name === 'reco_remarks')", arg=node
    )
    return comfy.element(node, "reco_remarks")


def test_probe(comfy, encode):
    h = lambda: comfy.page.evaluate("() => { harness.commit(); return harness.history() }")
    size = lambda: ([n["size"] for n in comfy.workflow()["nodes"] if str(n["id"]) == encode], comfy.rect(encode))
    print(h(), size())
    comfy.queue()
    shown = words(comfy, encode)
    comfy.page.wait_for_timeout(500)
    print(h(), size())
    comfy.undo()
    comfy.page.wait_for_timeout(500)
    print(h(), size(), comfy.widgets(encode))
    other = {"classic": "vue", "vue": "classic"}[comfy.renderer]
    was = comfy.renderer
    comfy.set_renderer(other)
    comfy.page.wait_for_timeout(500)
    print(h(), size(), comfy.widgets(encode))
    comfy.screenshot("remarks-other", *comfy.nodes())
    comfy.set_renderer(was)
    comfy.page.wait_for_timeout(500)
    print(h(), size(), comfy.widgets(encode))
    comfy.screenshot("remarks-other", *comfy.nodes())
