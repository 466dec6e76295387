"""Words on nodes: what a run found stays there, as text, in both renderers."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest
import torch
from comfy_page import ComfyPage, Theme
from contrast import LEAST, contrasts
from editor_page import EditorPage
from playwright.sync_api import Locator, expect
from random_checkpoint import Size, random_state_dict
from safetensors.torch import save_file

from comfy_server import ROOT, ComfyServer, Failure
from reco_core.adapter import POSITION_ROWS, TOKEN_ROWS
from reco_core.checkpoint_file import write_checkpoint

MARKUP = [
    "<img src=x onerror=window.ran=1>",
    "<svg onload=window.ran=1><circle r=9></svg>",
    "</span><script>window.ran=1</script>",
    "<iframe srcdoc='<script>parent.ran=1</script>'>",
    "&lt;b&gt; a <b>bold</b> dog",
    "[link](javascript:window.ran=1) **bold** `code`",
    "{{window.ran=1}} ${window.ran=1}",
]
HTML_SINKS = (
    r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|DOMParser|srcdoc|setHTML|"
    r"document\.write|javascript:|\beval\(|new Function"
)


class Encoding:
    """A text, read as a layout and encoded for the embedded checkpoint."""

    def __init__(self, comfy: ComfyPage) -> None:
        self.comfy = comfy
        self.text = comfy.add_node("ReCoLayoutFromText", at=(0, 0))
        for side in ("width", "height"):
            comfy.set_value(self.text, side, 128)
        loader = comfy.add_node("ReCoLoadCheckpoint", at=(0, 400))
        comfy.set_value(loader, "ckpt_name", "reco-shapes.safetensors")
        self.node = comfy.add_node("ReCoTextEncode", at=(500, 0))
        self.taker = comfy.add_node("PreviewAny", at=(900, 0))
        comfy.connect(self.text, "layout", self.node, "layout")
        comfy.connect(loader, "clip", self.node, "clip")
        comfy.connect(self.node, "report", self.taker, 0)
        comfy.show(self.text, loader, self.node, self.taker)

    def run(self, text: str) -> None:
        self.comfy.set_value(self.text, "text", text)
        self.comfy.queue()

    @property
    def has_words(self) -> bool:
        return "reco_remarks" in self.comfy.widgets(self.node)

    @property
    def words(self) -> Locator:
        """What is on it, as soon as there is something: undo makes a new node first."""
        self.comfy.page.wait_for_function(
            "id => harness.node(id).widgets.some(({ name }) => name === 'reco_remarks')",
            arg=self.node,
        )
        return self.comfy.element(self.node, "reco_remarks")


@pytest.fixture
def encoding(comfy: ComfyPage) -> Encoding:
    return Encoding(comfy)


def saved(comfy: ComfyPage) -> list[dict]:
    """The nodes of the workflow as it would be saved."""
    return sorted(comfy.workflow()["nodes"], key=lambda node: node["id"])


def history(comfy: ComfyPage) -> dict:
    return comfy.page.evaluate("() => { harness.commit(); return harness.history(); }")


def test_what_a_run_found_stays_until_a_run_finds_nothing(comfy, encoding):
    comfy.set_value(encoding.text, "text", "a dog")
    before, queued, steps = saved(comfy), comfy.prompt()[encoding.node], history(comfy)
    height = comfy.rect(encoding.node)["height"]
    comfy.queue()
    words = encoding.words
    expect(words.locator(".reco-remark")).to_have_text(re.compile("not trained on: dog"))
    expect(words.locator(".reco-report")).to_have_text(re.compile("4 of 96 tokens used"))
    rect, box = comfy.rect(encoding.node), words.bounding_box()
    assert box and rect["height"] > height
    assert rect["x"] < box["x"] and box["x"] + box["width"] < rect["x"] + rect["width"]
    assert rect["y"] < box["y"] and box["y"] + box["height"] <= rect["y"] + rect["height"]

    # They are nothing of the workflow's.
    assert (comfy.prompt()[encoding.node], history(comfy)) == (queued, steps)
    assert [node.get("widgets_values") for node in saved(comfy)] == [
        node.get("widgets_values") for node in before
    ]
    assert [node["size"] for node in saved(comfy)] == [node["size"] for node in before]

    # They stay when undo makes new nodes.
    comfy.set_value(encoding.node, "overflow", "drop regions that do not fit")
    comfy.undo()
    expect(encoding.words).to_contain_text("dog")

    # A run that fails, or that finds nothing, takes them away.
    with pytest.raises(Failure):
        encoding.run("a dog <0> <0> <500> <500> " + "very " * 90)
    comfy.page.wait_for_function(
        "id => !harness.node(id).widgets.some(({ name }) => name === 'reco_remarks')",
        arg=encoding.node,
    )
    encoding.run("a red circle")
    expect(encoding.words).to_have_text(re.compile("^5 of 96 tokens used[^⚠]*$"))
    comfy.load_workflow(comfy.workflow())
    if encoding.has_words:  # ComfyUI gives a workflow it knows what its nodes sent, pictures too
        expect(encoding.words).to_have_text(re.compile("^5 of 96 tokens used"))
    else:
        assert comfy.rect(encoding.node)["height"] == pytest.approx(height, abs=1)
    comfy.queue()  # nothing is computed anew
    expect(encoding.words).to_have_text(re.compile("^5 of 96 tokens used"))


def test_the_words_can_be_read_and_copied_in_every_theme_and_renderer(comfy, encoding):
    encoding.run("a dog")
    for theme in get_args(Theme):
        comfy.set_theme(theme)
        comfy.screenshot(f"words-{theme}", *comfy.nodes())
        texts = contrasts(comfy, ".reco-remarks")
        assert any(text.endswith("not trained on: dog.") for text, _ in texts), texts
        assert [text for text in texts if text[1] < LEAST] == [], theme
    encoding.words.locator(".reco-remark span").last.click(click_count=3)
    comfy.page.keyboard.press("ControlOrMeta+c")
    copied = comfy.page.evaluate("() => navigator.clipboard.readText()")
    assert "not trained on: dog" in copied

    renderer = comfy.renderer
    for other in ({"vue": "classic", "classic": "vue"}[renderer], renderer):
        comfy.set_renderer(other)
        expect(encoding.words).to_contain_text("dog")
        expect(encoding.words).to_be_visible()


def test_words_of_files_and_workflows_are_shown_letter_by_letter(comfy, encoding):
    filler = {"text": "many words " * 39, "box": [0, 0, 0.5, 0.5]}
    regions = [filler, *({"text": text, "box": [0.2, 0.2, 0.9, 0.9]} for text in MARKUP)]
    layout = json.dumps({"version": 1, "caption": "x", "regions": regions})
    comfy.set_value(encoding.node, "overflow", "drop regions that do not fit")
    height = comfy.rect(encoding.node)["height"]
    encoding.run(layout)
    words = encoding.words
    expect(words).to_contain_text("left out")
    shown = words.inner_text()
    assert [text for text in MARKUP if text not in shown] == []
    assert set(tags_in(words)) <= {"DIV", "SPAN"}
    # What is long scrolls.
    assert words.evaluate("element => element.scrollHeight > element.clientHeight")
    assert comfy.rect(encoding.node)["height"] < height + 220
    comfy.screenshot("words-hostile", *comfy.nodes())

    editor = EditorPage(comfy, comfy.add_node("ReCoLayoutEditor", at=(0, 800)))
    comfy.set_value(editor.node, "editor", layout)
    comfy.connect(editor.node, "layout", encoding.node, "layout")
    comfy.show(editor.node)
    expect(editor.meter).to_contain_text("will not fit")
    editor.root.get_by_label("Copy or paste the layout as text").first.click()
    expect(editor.root.get_by_label("Form of the text").locator("option").first).to_be_attached()
    assert "SCRIPT" not in tags_in(editor.root) and "IFRAME" not in tags_in(editor.root)
    assert tags_in(editor.root).count("IMG") == 1  # the picture behind the boxes
    comfy.page.wait_for_timeout(100)  # what loads a picture to fail runs later
    assert comfy.page.evaluate("() => window.ran") is None


@pytest.fixture(scope="module")
def adapter(server: ComfyServer) -> dict[str, str]:
    """Names of a base and of an adapter whose metadata calls its base by markup."""
    checkpoints, loras = (server.base_dir / "models" / name for name in ("checkpoints", "loras"))
    for folder in (checkpoints, loras):
        folder.mkdir(parents=True, exist_ok=True)
    size = Size(max_length=77, num_bins=0)
    write_checkpoint(checkpoints / "base.safetensors", random_state_dict(size), {})
    lora = "lora_te_text_model_encoder_layers_0_mlp_fc1"
    tensors = {
        TOKEN_ROWS: torch.zeros(1000, size.text_width),
        POSITION_ROWS: torch.zeros(231, size.text_width),
        f"{lora}.lora_up.weight": torch.zeros(4 * size.text_width, 1),
        f"{lora}.lora_down.weight": torch.zeros(1, size.text_width),
        f"{lora}.alpha": torch.tensor(1.0),
    }
    metadata = {"format": "reco-adapter", "unet_heads": "4", "text_heads": "2"}
    metadata |= {"base": MARKUP[0], "base_sha256": "0" * 64, "base_num_bins": "0"}
    save_file(tensors, loras / "adapter.safetensors", metadata)
    return {"ckpt_name": "base.safetensors", "adapter_name": "adapter.safetensors"}


def test_the_metadata_of_a_file_is_shown_letter_by_letter(comfy, encoding, adapter):
    loader = comfy.add_node("ReCoLoadAdapter", at=(0, 600))
    for name, value in adapter.items():
        comfy.set_value(loader, name, value)
    comfy.connect(loader, "clip", encoding.node, "clip")
    encoding.run("a red circle")
    words = comfy.element(loader, "reco_remarks")
    expect(words.locator(".reco-remark")).to_contain_text(MARKUP[0])
    assert set(tags_in(words)) <= {"DIV", "SPAN"}
    assert comfy.page.evaluate("() => window.ran") is None


def tags_in(root: Locator) -> list[str]:
    return root.evaluate("root => [...root.querySelectorAll('*')].map(({ tagName }) => tagName)")


def test_a_node_in_a_subgraph_has_its_words(comfy, encoding):
    subgraph = comfy.to_subgraph(encoding.node)
    encoding.run("a dog")
    comfy.enter_subgraph(subgraph)
    [node] = [node for node in comfy.nodes() if "overflow" in comfy.widgets(node)]
    expect(comfy.element(node, "reco_remarks")).to_contain_text("dog")
    comfy.leave_subgraph()


# Old front ends read progress text as HTML.
SOURCES = sorted((ROOT / "nodes").glob("*.py")) + sorted((ROOT / "web").rglob("*.js"))


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.name)
def test_no_text_is_given_to_what_reads_html(file):
    source = file.read_text("utf-8")
    sinks = "send_progress_text" if file.suffix == ".py" else HTML_SINKS
    assert not re.search(sinks, source)


@pytest.mark.parametrize("sink", ["innerHTML = x", 'insertAdjacentHTML("x")', "outerHTML += x"])
def test_a_sink_would_be_noticed(sink):
    assert re.search(HTML_SINKS, f"element.{sink}")
