"""The layout by which a picture was made, recalled from what its file says.

ReCo Save Image writes the layout itself; other nodes that save pictures write the workflow, whose
nodes that make layouts are run again, as far as they need no models and no pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .checks import quote, read_json
from .forms.layout_json import seen
from .forms.table import read_layout
from .layout import Layout, nearest_side
from .limits import MAX_PICTURE_TEXT
from .picture_metadata import picture_size, read_picture_texts
from .queued import Link, Node, Queued, is_queued
from .remarks import Reading, Remark

LAYOUT_KEY = "reco_layout"
"""Of the text in a picture that is its layout, as JSON; ReCo Save Image writes it."""

_MAX_DEPTH = 100  # nodes behind one another
_INSTEAD = (
    "open the workflow in the picture and run it again, or save pictures with ReCo Save Image, "
    "which keeps the layout itself"
)
_NONE = "no layout reaches the sampler that made it"
_SIDES = ("width", "height")


@dataclass(frozen=True)
class Kind:
    """A kind of node that can be run again.

    inputs: names of those that its outputs depend on. run: its outputs of them; raises ValueError
        for values that are none.
    """

    inputs: frozenset[str]
    run: Callable[[Mapping[str, Any]], tuple[Any, ...]]


def recall_layout(
    data: bytes, name: str, kinds: Mapping[str, Kind], width: int = 512, height: int = 512
) -> Reading:
    """The layout of a picture's file, or of a text file: a workflow in API format or a layout in
    any written form.

    name: the file's. kinds: those of nodes that can be run again. width, height: of text forms that
    bring no size, multiples of 8.

    Raises:
        ValueError: the file is too large, damaged, or holds no layout that can be told for sure;
            the message says what it holds and what to do.
    """
    texts = read_picture_texts(data)
    if texts is None:
        return _from_text(data, name, kinds, width, height)
    if LAYOUT_KEY in texts:
        return seen(Layout.from_json(texts[LAYOUT_KEY]))
    if "prompt" in texts:
        return _from_workflow(_json(texts["prompt"]), name, kinds, picture_size(data))
    if "workflow" in texts:
        raise ValueError(
            "the picture holds a workflow, but not the values that it ran with: open it in "
            "ComfyUI, where its layout editor shows them"
        )
    said = ", ".join(sorted(texts)[:10])
    beside = f" (it holds {quote(said)})" if said else ""
    raise ValueError(
        f"the picture holds no ComfyUI workflow{beside}: programs that edit or send pictures take "
        "it out, so use the file that ComfyUI saved"
    )


def _from_text(
    data: bytes, name: str, kinds: Mapping[str, Kind], width: int, height: int
) -> Reading:
    try:
        text = data[:MAX_PICTURE_TEXT].decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(
            f"{quote(name)} is no picture that ComfyUI writes (PNG, WebP or JPEG) and no text"
        ) from None
    if text.lstrip().startswith("{"):
        try:
            workflow = _json(text)
        except ValueError:
            return read_layout(text, width, height)  # which may find one in it
        if is_queued(workflow):
            return _from_workflow(workflow, "", kinds, None)
        if isinstance(workflow, Mapping) and {"nodes", "links"} <= workflow.keys():
            raise ValueError(
                "this is a workflow as ComfyUI's editor saves it: open it there, or export it in "
                "API format"
            )
    return read_layout(text, width, height)


def _json(text: str) -> Any:
    return read_json(text, MAX_PICTURE_TEXT, is_strict=False)


def _from_workflow(
    data: Any, name: str, kinds: Mapping[str, Kind], size: tuple[int, int] | None
) -> Reading:
    run = _Run(Queued(data), kinds, size)
    sources = run.queued.sources(name)
    if not sources:
        return _from_encoded_text(run, name)
    layouts = [run.output(source) for source in sources]
    if any(layout != layouts[0] for layout in layouts):
        names = " and ".join(str(run.queued.nodes[source.node]) for source in sources[:5])
        raise ValueError(f"several layouts may have made the picture, those of {names}: {_INSTEAD}")
    if not isinstance(layouts[0], Layout):
        raise ValueError(f"{_NONE}: {quote(layouts[0])} is none")
    return Reading(layouts[0], tuple(run.remarks))


def _from_encoded_text(run: _Run, name: str) -> Reading:
    """Boxes may stand in the text of ComfyUI's own CLIP Text Encode, which ReCo's CLIP reads."""
    width, height = run.size or (512, 512)
    readings = []
    for node in run.queued.encoded_texts(name):
        text = run.value(node.inputs.get("text"))
        if isinstance(text, str):
            readings.append(read_layout(text, nearest_side(width), nearest_side(height)))
    found = [reading for reading in readings if reading.layout.regions]
    if not found:
        kinds = sorted({node.kind for node in run.queued.nodes.values()} & run.kinds.keys())
        others = f" (the workflow has {', '.join(kinds)}, but not on that way)" if kinds else ""
        raise ValueError(f"{_NONE}{others}: nothing is recalled")
    if len(found) > 1:
        raise ValueError(f"{len(found)} prompts with boxes made the picture together: {_INSTEAD}")
    return found[0]


@dataclass
class _Run:
    """Running nodes of a queued workflow again. size: the picture's, where it is known."""

    queued: Queued
    kinds: Mapping[str, Kind]
    size: tuple[int, int] | None
    remarks: list[Remark] = field(default_factory=list)
    outputs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    depth: int = 0

    def value(self, value: Any) -> Any:
        """Of an input, linked or not. Raises ValueError for what cannot be run again."""
        return self.output(value) if isinstance(value, Link) else value

    def output(self, link: Link) -> Any:
        node = self.queued.nodes[link.node]
        if node.id not in self.outputs:
            if self.depth == _MAX_DEPTH:
                raise ValueError(f"the layout has more than {_MAX_DEPTH} nodes behind one another")
            self.depth += 1
            self.outputs[node.id] = self._run(node)
            self.depth -= 1
        outputs = self.outputs[node.id]
        if not 0 <= link.output < len(outputs):
            raise ValueError(f"{node} has no output {link.output}")
        return outputs[link.output]

    def _run(self, node: Node) -> tuple[Any, ...]:
        if node.kind.startswith("Primitive") and "value" in node.inputs:
            return (self.value(node.inputs["value"]),)
        kind = self.kinds.get(node.kind)
        if kind is None:
            raise ValueError(
                f"the layout comes from {node}, which cannot be run again from what the picture "
                f"says: {_INSTEAD}"
            )
        inputs = {
            name: self._input(node, name, value)
            for name, value in node.inputs.items()
            if name in kind.inputs
        }
        try:
            return kind.run(inputs)
        except ValueError as error:
            raise ValueError(f"{node}: {error}") from None

    def _input(self, node: Node, name: str, value: Any) -> Any:
        """A side that a checkpoint gave is the picture's."""
        if name not in _SIDES or not isinstance(value, Link) or self.size is None:
            return self.value(value)
        origin = self.queued.nodes[value.node]
        if origin.kind in self.kinds or origin.kind.startswith("Primitive"):
            return self.value(value)
        side = nearest_side(self.size[_SIDES.index(name)])
        words = f"The layout's {name} came from {origin}: the picture's own, {side}, stands for it."
        self.remarks.append(Remark("size", words))
        return side
