"""Nodes that are bypassed: the front end gives on what came in at an input of its choice."""

import json
from pathlib import Path

from comfy_page import ComfyPage

WORKFLOW = Path(__file__).parents[2] / "example_workflows" / "reco_region_lora.json"
# Each output of a node that has several sockets of its type, and the one it is right to become.
CHOSEN = {
    "ReCoMergeLayouts.layout": "first",
    "ReCoTransplant.model": "reco_model",
    "ReCoTransplant.clip": "reco_clip",
}
# For each node of the pack: which of its sockets an output becomes, and which are of its type.
# Fields are left as they come, with nothing linked.
GIVEN_ON = """async () => {
  const add = (slot, name, type) => {
    const node = new LiteGraph.LGraphNode(name);
    node.comfyClass = name;
    node[slot](name, type);
    app.graph.add(node);
    return node;
  };
  const found = {};
  for (const type of Object.keys(LiteGraph.registered_node_types)) {
    if (!type.startsWith("ReCo")) continue;
    app.graph.clear();
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    node.mode = 4; // bypassed
    const names = {};
    for (const [index, input] of node.inputs.entries()) {
      if (input.widget) continue;
      const source = add("addOutput", "source", input.type);
      source.connect(0, node, index);
      names[source.id] = input.name;
    }
    const sinks = node.outputs.map((output, index) => {
      const sink = add("addInput", "taken", output.type);
      node.connect(index, sink, 0);
      return sink;
    });
    const prompt = (await app.graphToPrompt()).output;
    for (const [index, output] of node.outputs.entries())
      found[`${type}.${output.name}`] = [
        names[prompt[sinks[index].id].inputs.taken?.[0]],
        node.inputs.filter((i) => !i.widget && i.type === output.type).map((i) => i.name),
      ];
  }
  app.graph.clear();
  return found;
}"""


def test_a_bypassed_node_gives_on_what_each_output_is_made_of(comfy: ComfyPage) -> None:
    given = comfy.page.evaluate(GIVEN_ON)
    assert given["ReCoRegionSettings.layout"] == ["layout", ["layout"]]
    several = {output: took for output, (took, fitting) in given.items() if len(fitting) > 1}
    own = {output: output.rpartition(".")[2] for output in several}
    assert "ReCoRegionLora.negative" in several
    assert several == own | CHOSEN


def test_workflows_saved_with_the_model_first_are_read_by_name(comfy: ComfyPage) -> None:
    comfy.load_workflow(WORKFLOW)
    prompt = comfy.prompt()
    workflow = json.loads(WORKFLOW.read_text("utf-8"))
    [lora] = [one for one in workflow["nodes"] if one["type"] == "ReCoRegionLora"]
    lora["inputs"].insert(0, lora["inputs"].pop(2))
    before = {slot["link"]: index for index, slot in enumerate(lora["inputs"])}
    for link in workflow["links"]:
        link[4] = before.get(link[0], link[4])
    assert [slot["name"] for slot in lora["inputs"][:3]] == ["model", "positive", "negative"]
    comfy.load_workflow(workflow)
    assert comfy.prompt() == prompt
