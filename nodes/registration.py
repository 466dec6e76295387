"""Whether ComfyUI is registering the nodes: it makes their inputs then, which nobody sees."""

from __future__ import annotations

import asyncio

_is_going_on = False


def begin_registration() -> None:
    """Call it before the nodes are handed to ComfyUI, which registers them before it does anything
    else (nodes.py, load_custom_node)."""
    global _is_going_on
    _is_going_on = True
    asyncio.get_running_loop().call_soon(_end)


def is_registering() -> bool:
    """Whether what inputs list is asked for in vain, so that files need not be looked at."""
    return _is_going_on


def _end() -> None:
    global _is_going_on
    _is_going_on = False
