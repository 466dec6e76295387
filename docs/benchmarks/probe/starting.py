"""What the pack costs at a start of ComfyUI."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

from .node import Output, shown

ROOT = Path(__file__).resolve().parents[3]


class TimeStart(Output):
    """Processor seconds in which fresh copies of the pack start, their bytecode being there."""

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        return {"required": {"copies": ("INT", {"max": 99})}}

    def run(self, copies: int) -> dict:
        names = [f"reco_copy_{number}" for number in range(copies)]
        with ThreadPoolExecutor(1) as thread:  # this one's event loop is ComfyUI's
            return shown(list(thread.map(seconds_to_start, names)))


def seconds_to_start(name: str) -> float:
    """Of all that ComfyUI asks of a pack before it answers anyone: the module, the routes, the
    nodes and their schemas."""
    start = time.thread_time()
    spec = importlib.util.spec_from_file_location(name, ROOT / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    module.nodes.routes.add_routes(web.RouteTableDef())
    for node in asyncio.run(module.nodes.ReCoExtension().get_node_list()):
        node.GET_SCHEMA()
    return time.thread_time() - start
