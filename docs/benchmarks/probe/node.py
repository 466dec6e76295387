"""What the nodes of this folder have in common."""

from __future__ import annotations

import json


class Node:
    """In ComfyUI's first form of nodes: `run` is called with the inputs."""

    FUNCTION = "run"
    CATEGORY = "measuring"
    RETURN_TYPES: tuple[str, ...] = ()

    @classmethod
    def IS_CHANGED(cls, **_: object) -> float:
        return float("nan")  # every run measures anew


class Output(Node):
    """One that shows what was measured."""

    OUTPUT_NODE = True


def shown(figures: object) -> dict:
    return {"ui": {"text": [json.dumps(figures)]}}
