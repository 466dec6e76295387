"""A workflow as it was queued (ComfyUI's API format), and which layout made the picture in it.

A picture holds all of the workflow, of which a part made it: from the nodes that save pictures the
links are followed back to the sampler, and from its positive conditioning to the layout. Samplers
that have none (a second pass by a plain prompt) lead to the one before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from .checks import quote

MAX_NODES = 20_000
_BEFORE = ("latent_image", "samples", "latent", "image", "images", "noise")
"""Inputs by which a sampler takes what another has made."""
_NO_WORDS = {*_BEFORE, "negative", "model", "clip", "reco_clip", "vae", "mask", "control_net"}
"""Inputs by which no caption or layout comes."""


@dataclass(frozen=True)
class Link:
    """An output of a node: its id, and which of its outputs, from 0."""

    node: str
    output: int


@dataclass(frozen=True, eq=False)
class Node:
    """What was queued of a node. inputs: constants, or Links."""

    id: str
    kind: str
    inputs: Mapping[str, Any]

    def __str__(self) -> str:
        return f"node {self.id} ({self.kind})"

    def links(self, names: Callable[[str], bool] = lambda name: True) -> Iterator[Link]:
        """Where the inputs of certain names come from."""
        return (x for name, x in self.inputs.items() if isinstance(x, Link) and names(name))

    @property
    def is_sampler(self) -> bool:
        return any(isinstance(self.inputs.get(name), Link) for name in ("positive", "guider"))


class Queued:
    """A queued workflow. Raises ValueError for JSON that is none, or with too many nodes."""

    def __init__(self, data: Any) -> None:
        if not is_queued(data):
            raise ValueError(f"this is no workflow in API format: {quote(data)}")
        if len(data) > MAX_NODES:
            raise ValueError(f"the workflow has {len(data):,} nodes: at most {MAX_NODES:,}")
        self.nodes = {name: _node(name, node, data) for name, node in data.items()}

    def sources(self, file_name: str = "") -> list[Link]:
        """The outputs that gave the layout by which the picture was made; several if that cannot be
        told. file_name: the picture's, which may begin as one of the saving nodes says."""
        ends = self._ends(file_name)
        found = [link for end in ends for link in self._by_samplers(end)]
        found = found or [link for end in ends for link in self._layouts([end], lambda _: True)]
        return list(dict.fromkeys(found))

    def encoded_texts(self, file_name: str = "") -> list[Node]:
        """The CLIP Text Encode nodes of ComfyUI's own that conditioned the picture."""
        samplers = [node for end in self._ends(file_name) for node in self._samplers([end])]
        words = [node for sampler in samplers for node in self._words_of(sampler)]
        return [node for node in dict.fromkeys(words) if node.kind == "CLIPTextEncode"]

    def _ends(self, file_name: str) -> list[str]:
        used = {link.node for node in self.nodes.values() for link in node.links()}
        ends = [name for name in self.nodes if name not in used]
        named = {end: _prefix_in(self.nodes[end], file_name) for end in ends}
        best = max(named.values(), default=0)
        return [end for end in ends if named[end] == best]

    def _by_samplers(self, end: str) -> list[Link]:
        samplers = list(self._samplers([end]))
        seen: set[str] = set()
        while samplers:
            found = [link for node in samplers for link in self._layouts(*_words(node))]
            if found:
                return found
            seen.update(node.id for node in samplers)
            before = [link.node for node in samplers for link in node.links(_BEFORE.__contains__)]
            samplers = [node for node in self._samplers(before) if node.id not in seen]
        return []

    def _samplers(self, starts: Iterable[str]) -> Iterator[Node]:
        """The samplers that are met first on the ways back."""
        walk = self._walk(starts, stop=lambda node: node.is_sampler)
        return (node for node in walk if node.is_sampler)

    def _layouts(self, starts: Iterable[str], follow: Callable[[str], bool]) -> Iterator[Link]:
        """The layouts that are met first on the ways back."""
        for node in self._walk(starts, _takes_layout, follow):
            if _takes_layout(node):
                yield node.inputs["layout"]

    def _words_of(self, sampler: Node) -> Iterator[Node]:
        starts, follow = _words(sampler)
        return self._walk(starts, _takes_layout, follow)

    def _walk(
        self,
        starts: Iterable[str],
        stop: Callable[[Node], bool],
        follow: Callable[[str], bool] = lambda name: True,
    ) -> Iterator[Node]:
        """Nodes from some on back along the links, each once; not beyond those that stop."""
        waiting = list(dict.fromkeys(starts))
        seen = set(waiting)
        for name in waiting:
            if (node := self.nodes.get(name)) is None:
                continue
            yield node
            if not stop(node):
                fresh = [link.node for link in node.links(follow) if link.node not in seen]
                seen.update(fresh)
                waiting.extend(dict.fromkeys(fresh))


def is_queued(data: Any) -> bool:
    """Whether JSON is a workflow in API format: {id: {"class_type": ..., "inputs": {...}}, ...}."""
    return (
        isinstance(data, Mapping)
        and len(data) > 0
        and all(
            isinstance(node, Mapping)
            and isinstance(node.get("class_type"), str)
            and isinstance(node.get("inputs"), Mapping)
            for node in data.values()
        )
    )


def _node(name: str, data: Mapping[str, Any], all_nodes: Mapping[str, Any]) -> Node:
    inputs = {key: _value(value, all_nodes) for key, value in data["inputs"].items()}
    return Node(name, data["class_type"], inputs)


def _value(value: Any, all_nodes: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping) and "__value__" in value:
        return value["__value__"]  # so that a list is not taken for a link
    if isinstance(value, list) and len(value) == 2 and type(value[1]) is int:
        if str(value[0]) in all_nodes:
            return Link(str(value[0]), value[1])
    return value


def _takes_layout(node: Node) -> bool:
    return isinstance(node.inputs.get("layout"), Link)


def _words(sampler: Node) -> tuple[list[str], Callable[[str], bool]]:
    """Where a sampler's words come from, and which inputs to follow there."""
    starts = [link.node for link in sampler.links(("positive", "guider").__contains__)]
    return starts, lambda name: name not in _NO_WORDS


def _prefix_in(node: Node, file_name: str) -> int:
    """How much of a file's name is the prefix by which a node saves; 0 if it does not begin so."""
    prefix = node.inputs.get("filename_prefix")
    if not isinstance(prefix, str):
        return 0
    stem = PurePosixPath(prefix.replace("\\", "/")).name
    return len(stem) if stem and file_name.startswith(f"{stem}_") else 0
