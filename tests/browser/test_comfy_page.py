"""The harness itself: what the other tests of this folder stand on."""

from comfy_page import ComfyPage, Renderer


def region(comfy: ComfyPage) -> str:
    return comfy.add_node("ReCoAddRegion", at=(200, 200))


def test_the_editor_opens_with_an_empty_graph(closed: ComfyPage, renderer: Renderer) -> None:
    closed.open(renderer)
    assert closed.nodes() == []
    node = region(closed)
    closed.show(node)
    closed.screenshot("one-node", node)
    assert closed.widgets(node)[0] == "text"


def test_undo_and_redo_follow_a_change(comfy: ComfyPage) -> None:
    node = region(comfy)
    comfy.set_value(node, "text", "a red circle")
    comfy.undo()
    assert comfy.value(node, "text") != "a red circle"
    comfy.redo()
    assert comfy.value(node, "text") == "a red circle"


def test_a_reload_and_the_other_renderer_keep_the_graph(comfy: ComfyPage) -> None:
    node = region(comfy)
    comfy.set_value(node, "text", "a red circle")
    before = comfy.workflow()["nodes"]
    comfy.reload()
    assert [each["widgets_values"] for each in comfy.workflow()["nodes"]] == [
        each["widgets_values"] for each in before
    ]
    comfy.set_renderer("vue" if comfy.renderer == "classic" else "classic")
    assert comfy.value(node, "text") == "a red circle"


def test_copies_and_subgraphs_keep_values(comfy: ComfyPage) -> None:
    node = region(comfy)
    comfy.set_value(node, "text", "a red circle")
    comfy.copy(node)
    [copy] = comfy.paste()
    assert comfy.value(copy, "text") == "a red circle"
    subgraph = comfy.to_subgraph(node)
    comfy.enter_subgraph(subgraph)
    [inner] = comfy.nodes()
    assert comfy.value(inner, "text") == "a red circle"
    comfy.leave_subgraph()
    assert set(comfy.nodes()) == {copy, subgraph}


def test_the_element_of_a_dom_widget_lies_on_its_node(comfy: ComfyPage) -> None:
    node = comfy.add_node("ReCoLayoutFromText", at=(900, 700))
    comfy.page.evaluate(
        "id => { harness.node(id).addDOMWidget('probe', 'probe', document.createElement('div')); }",
        node,
    )
    comfy.show(node)
    comfy.screenshot("dom-widget", node)
    box = comfy.element(node, "probe").bounding_box()
    rect = comfy.rect(node)
    assert box and rect["x"] <= box["x"] and rect["y"] <= box["y"]
    assert box["x"] + box["width"] <= rect["x"] + rect["width"]
    assert box["y"] + box["height"] <= rect["y"] + rect["height"]
