"""Which files the editor counts a layout's tokens for, in graphs as people build them."""

from __future__ import annotations

import pytest
from comfy_page import OUR_SCRIPTS, ComfyPage, front_end_is_from

# A node: its type, {input: "name of the origin" or "name.output"}, {widget: value}, its mode.
Node = tuple[str, dict[str, str], dict[str, str], str]

BUILD = """nodes => {
    const made = {};
    for (const [name, [type, , values, mode]] of Object.entries(nodes)) {
        const node = (made[name] = LiteGraph.createNode(type));
        if (!node) throw new Error(`no node type ${type}`);
        app.rootGraph.add(node);
        node.mode = { runs: 0, muted: 2, bypassed: 4 }[mode];
        for (const [widget, value] of Object.entries(values))
            node.widgets.find((each) => each.name === widget).value = value;
    }
    for (const [name, [, links]] of Object.entries(nodes))
        for (const [input, origin] of Object.entries(links)) {
            const [from, output] = origin.split(".");
            const type = input === "layout" ? "RECO_LAYOUT" : "CLIP";
            const wanted = (slot) =>
                output ? slot.name === output : slot.type === type || slot.type === "*";
            const into = made[name].inputs.findIndex((slot) => slot.name === input);
            made[from].connect(made[from].outputs.findIndex(wanted), made[name], into);
        }
    harness.commit();
    return Object.fromEntries(Object.entries(made).map(([name, { id }]) => [name, String(id)]));
}"""
ASK = f"""async title => {{
    const {{ readersOf }} = await import("{OUR_SCRIPTS}js/comfy/readers.js");
    const graphs = [app.rootGraph, ...app.rootGraph.subgraphs.values()];
    const found = graphs.flatMap((graph) => graph.nodes);
    const editor = found.find((node) => node.comfyClass === "ReCoLayoutEditor");
    return readersOf(editor, app.rootGraph);
}}"""


def node(kind: str, links: dict | None = None, mode: str = "runs", **values: str) -> Node:
    return kind, links or {}, values, mode


def checkpoint(name: str, mode: str = "runs") -> Node:
    return node("ReCoLoadCheckpoint", mode=mode, ckpt_name=name)


def adapter(name: str, clip: str, mode: str = "runs") -> Node:
    return node("ReCoApplyAdapter", {"clip": clip}, mode, adapter_name=name)


def encode(clip: str, layout: str = "editor", mode: str = "runs") -> Node:
    return node("ReCoTextEncode", {"clip": clip, "layout": layout}, mode)


EDITOR = {"editor": node("ReCoLayoutEditor")}
TWO = {**EDITOR, "one": checkpoint("1"), "two": checkpoint("2")}
PLAIN = node("CheckpointLoaderSimple")
JOIN = "join up to four sequences"


def build(comfy: ComfyPage, nodes: dict[str, Node]) -> dict[str, str]:
    return comfy.page.evaluate(BUILD, nodes)


def readers(comfy: ComfyPage) -> list[list[dict]]:
    return comfy.page.evaluate(ASK)


def transplant(reco: str, other: str = "plain") -> Node:
    return node("ReCoTransplant", {"reco_clip": reco, "other_clip": other})


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        ({"at": encode("two")}, [[{"checkpoint": "2"}]]),
        # every node that brings position tokens, and what changes a CLIP between
        ({"a": adapter("a", "two"), "at": encode("a")}, [[{"checkpoint": "2"}, {"adapter": "a"}]]),
        (
            {"plain": PLAIN, "a": adapter("a", "plain"), "b": adapter("b", "a"), "at": encode("b")},
            [[{"adapter": "a"}, {"adapter": "b"}]],
        ),
        (
            {"own": node("ReCoLoadAdapter", adapter_name="a"), "at": encode("own")},
            [[{"adapter": "a"}]],
        ),
        (
            {"own": node("ReCoLoadParts", unet_name="u", clip_name="t"), "at": encode("own")},
            [[{"unet": "u", "text_encoder": "t"}]],
        ),
        (
            {"plain": PLAIN, "made": transplant("two"), "at": encode("made")},
            [[{"checkpoint": "2"}, {"transplant": True}]],
        ),
        (
            {
                "plain": PLAIN,
                "lora": node("LoraLoader", {"clip": "one"}),
                "made": transplant("lora"),
                "again": transplant("made"),
                "skip": node("CLIPSetLastLayer", {"clip": "again"}),
                "at": encode("skip"),
            },
            [[{"checkpoint": "1"}, {"transplant": True}, {"transplant": True}]],
        ),
        # what reads in further sequences what does not fit
        (
            {"at": node("ReCoTextEncode", {"clip": "two", "layout": "editor"}, overflow=JOIN)},
            [[{"checkpoint": "2"}, {"overflow": JOIN}]],
        ),
        # what the layout goes through
        (
            {
                "flip": node("ReCoFlipLayout", {"layout": "editor"}),
                "text": node("ReCoLayoutToText", {"layout": "flip"}),
                "at": node("CLIPTextEncode", {"clip": "two", "text": "text.text"}),
            },
            [[{"checkpoint": "2"}]],
        ),
        # bypassed and muted nodes, reroutes
        ({"a": adapter("a", "two", "bypassed"), "at": encode("a")}, [[{"checkpoint": "2"}]]),
        ({"a": adapter("a", "two", "muted"), "at": encode("a")}, []),
        ({"at": encode("one", mode="muted"), "other": encode("two")}, [[{"checkpoint": "2"}]]),
        (
            {
                "flip": node("ReCoFlipLayout", {"layout": "editor"}, "bypassed"),
                "way": node("Reroute", {"": "two"}),
                "at": encode("way", "flip"),
            },
            [[{"checkpoint": "2"}]],
        ),
        (
            {
                "flip": node("ReCoFlipLayout", {"layout": "editor"}, "muted"),
                "at": encode("one", "flip"),
            },
            [],
        ),
        # several, or none that is known
        (
            {"at": encode("one"), "other": encode("two")},
            [[{"checkpoint": "1"}], [{"checkpoint": "2"}]],
        ),
        ({"at": encode("one"), "other": encode("one")}, [[{"checkpoint": "1"}]]),
        (
            {
                "merge": node("CLIPMergeSimple", {"clip1": "one", "clip2": "two"}),
                "at": encode("merge"),
            },
            [[{"checkpoint": "1"}], [{"checkpoint": "2"}]],
        ),
        ({}, []),
    ],
)  # fmt: skip
def test_a_layouts_readers_are_all_that_its_encoders_clips_come_from(comfy, nodes, found):
    build(comfy, {**TWO, **nodes})
    assert readers(comfy) == found


def test_what_nothing_reads_yet_is_counted_for_the_only_checkpoint_that_runs(comfy):
    build(comfy, {**EDITOR, "one": checkpoint("1"), "a": adapter("a", "one")})
    assert readers(comfy) == [[{"checkpoint": "1"}, {"adapter": "a"}]]
    build(comfy, {"two": checkpoint("2", "muted")})
    assert readers(comfy) == [[{"checkpoint": "1"}, {"adapter": "a"}]]
    build(comfy, {"two": checkpoint("2")})
    assert readers(comfy) == []


@pytest.mark.parametrize(
    "inside", [["editor"], ["two"], ["at"], ["editor", "flip", "at"], ["two", "a"], ["flip"]]
)
def test_readers_are_found_through_subgraphs_in_both_directions(comfy, inside):
    ids = build(
        comfy,
        {
            **TWO,
            "a": adapter("a", "two"),
            "flip": node("ReCoFlipLayout", {"layout": "editor"}),
            "at": encode("a", "flip"),
        },
    )
    found = [[{"checkpoint": "2"}, {"adapter": "a"}]]
    outer = comfy.to_subgraph(*(ids[name] for name in inside))
    assert readers(comfy) == found
    comfy.to_subgraph(outer)
    assert readers(comfy) == found


def test_a_subgraph_that_is_used_twice_has_the_readers_of_both(comfy):
    ids = build(comfy, {**TWO, "at": encode("two")})
    outer = comfy.to_subgraph(ids["editor"], ids["at"])
    comfy.page.evaluate(
        """([outer, one]) => {
            const first = harness.node(outer);
            const second = LiteGraph.createNode(first.type);
            app.rootGraph.add(second);
            const clip = second.inputs.findIndex(({ type }) => type === "CLIP");
            harness.node(one).connect(1, second, clip);
        }""",
        [outer, ids["one"]],
    )
    assert readers(comfy) == [[{"checkpoint": "2"}], [{"checkpoint": "1"}]]


AGREES = f"""async seed => {{
    const {{ readersOf }} = await import("{OUR_SCRIPTS}js/comfy/readers.js");
    const next = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const graphs = [app.rootGraph, ...app.rootGraph.subgraphs.values()];
    const nodes = graphs.flatMap((graph) => graph.nodes);
    const editor = nodes.find((node) => node.comfyClass === "ReCoLayoutEditor");
    const free = nodes.filter(({{ comfyClass }}) => !/Encode|Editor/.test(comfyClass ?? ""));
    const loaders = nodes.filter(({{ comfyClass }}) => comfyClass === "ReCoLoadCheckpoint");
    const seen = new Set();
    for (let turn = 0; turn < 60; turn++) {{
        for (const node of free) node.mode = next() < 0.07 ? 2 : next() < 0.4 ? 4 : 0;
        const prompt = (await app.graphToPrompt()).output;
        const follow = (link) => {{
            const {{ class_type, inputs }} = prompt[link?.[0]] ?? {{}};
            if (class_type === "ReCoLoadCheckpoint") return [{{ checkpoint: inputs.ckpt_name }}];
            const before = inputs?.clip ? follow(inputs.clip) : [];
            if (class_type !== "ReCoApplyAdapter") return before;
            return [...before, {{ adapter: inputs.adapter_name }}];
        }};
        const comes = (link) => {{
            const {{ class_type, inputs }} = prompt[link?.[0]] ?? {{}};
            return class_type === "ReCoLayoutEditor" || Boolean(inputs) && comes(inputs.layout);
        }};
        const told = Object.values(prompt)
            .filter(({{ class_type, inputs }}) => /Encode/.test(class_type) && comes(inputs.layout))
            .map(({{ inputs }}) => follow(inputs.clip)).filter((steps) => steps.length);
        const found = readersOf(editor, app.rootGraph);
        if (!told.length) continue; // then there is a guess
        seen.add(JSON.stringify(told));
        if (JSON.stringify(found) !== JSON.stringify(told))
            throw new Error(`${{JSON.stringify(found)}}, and ComfyUI: ${{JSON.stringify(told)}}`);
    }}
    return seen.size;
}}"""


@pytest.mark.skipif(
    not front_end_is_from(1, 40),
    reason="before 1.40 ComfyUI's prompt goes through muted reroutes and ends at muted subgraphs",
)
def test_modes_and_subgraphs_are_read_as_comfyuis_own_prompt_reads_them(comfy):
    ids = build(
        comfy,
        {
            **TWO,
            "a": adapter("a", "two"),
            "lora": node("LoraLoader", {"clip": "a"}),
            "way": node("Reroute", {"": "lora"}),
            "b": adapter("b", "way"),
            "skip": node("CLIPSetLastLayer", {"clip": "b"}),
            "flip": node("ReCoFlipLayout", {"layout": "editor"}),
            "scale": node("ReCoScaleLayout", {"layout": "flip"}),
            "at": encode("skip", "scale"),
        },
    )
    inner = comfy.to_subgraph(ids["a"], ids["lora"])
    comfy.to_subgraph(inner, ids["b"], ids["way"])
    comfy.to_subgraph(ids["flip"], ids["editor"])
    assert comfy.page.evaluate(AGREES, 20261) >= 4
