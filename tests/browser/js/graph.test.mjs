// Which file tells how a layout is read, through the nodes between its CLIP and the loader.

import assert from "node:assert/strict";
import { test } from "node:test";

import { readerFor } from "../../../web/js/comfy/graph.js";

/** A graph of nodes, each {name: [kind, {input: name of its origin}]}; layouts go out of `editor`. */
function graphOf(kinds) {
  const graph = { links: {}, nodes: [], getNodeById: (id) => graph.nodes[id] };
  const names = Object.keys(kinds);
  for (const [id, name] of names.entries()) {
    const widgets = ["ckpt_name", "adapter_name"].map((widget) => ({
      name: widget,
      value: `${name}.safetensors`,
    }));
    const outputs = name === "editor" ? [{ type: "RECO_LAYOUT", links: [] }] : [];
    graph.nodes.push({ id, graph, comfyClass: kinds[name][0], widgets, outputs, inputs: [] });
  }
  let last = 0;
  for (const [id, name] of names.entries()) {
    for (const [input, origin] of Object.entries(kinds[name][1] ?? {})) {
      const link = { origin_id: names.indexOf(origin), target_id: id };
      graph.links[++last] = link;
      graph.nodes[id].inputs.push({ name: input, link: last });
      if (origin === "editor") graph.nodes[link.origin_id].outputs[0].links.push(last);
    }
  }
  return graph;
}

function found(kinds) {
  const graph = graphOf({ editor: ["ReCoLayoutEditor"], ...kinds });
  return readerFor(graph.nodes[0], [graph]);
}

const checkpoint = (name) => ({ checkpoint: `${name}.safetensors` });

const reads = (clip) => ["ReCoConditioning", { layout: "editor", clip }];
const loader = ["ReCoLoadCheckpoint"];
const plain = ["CheckpointLoaderSimple"];
const transplant = (reco, base = "base", other = "other") => [
  "ReCoTransplant",
  { other_clip: other, base_clip: base, reco_clip: reco },
];

test("the checkpoint is that of the loader behind the encoder", () => {
  assert.deepEqual(found({ one: loader, two: loader, at: reads("two") }), checkpoint("two"));
});

test("a transplant reads by the tokens of its ReCo checkpoint", () => {
  const plains = { base: plain, other: plain };
  const kinds = { ...plains, one: loader, two: loader, made: transplant("two"), at: reads("made") };
  assert.deepEqual(found(kinds), checkpoint("two"));
});

test("also with a LoRA before it and clip skip behind", () => {
  const kinds = {
    one: loader,
    two: loader,
    other: plain,
    lora: ["LoraLoader", { clip: "one" }],
    made: transplant("lora", "other", "other"),
    skip: ["CLIPSetLastLayer", { clip: "made" }],
    at: reads("skip"),
  };
  assert.deepEqual(found(kinds), checkpoint("one"));
});

test("and through a second transplant", () => {
  const kinds = {
    one: loader,
    two: loader,
    other: plain,
    first: transplant("one", "other", "other"),
    second: transplant("first", "other", "other"),
    at: reads("second"),
  };
  assert.deepEqual(found(kinds), checkpoint("one"));
});

test("a transplant without a ReCo loader leaves the only loader", () => {
  const kinds = { one: loader, other: plain, made: transplant("other"), at: reads("made") };
  assert.deepEqual(found(kinds), checkpoint("one"));
});

test("an adapter reads by its own tokens, whatever loader is before it", () => {
  const kinds = { other: plain, two: ["ReCoApplyAdapter", { clip: "other" }], at: reads("two") };
  assert.deepEqual(found({ one: loader, ...kinds }), { adapter: "two.safetensors" });
  const alone = { one: ["ReCoLoadAdapter"], at: reads("one") };
  assert.deepEqual(found(alone), { adapter: "one.safetensors" });
});

test("links in a circle are no loader", () => {
  const kinds = {
    one: loader,
    two: loader,
    first: transplant("second", "one", "one"),
    second: transplant("first", "one", "one"),
    at: reads("second"),
  };
  assert.deepEqual(found(kinds), {});
});
