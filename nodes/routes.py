"""The addresses that the pack adds to ComfyUI's, for its editor.

Bodies and answers are JSON; {"error": ...} comes with status 400. The body of /reco/recall is a
file, and what is said of it is in the address.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web

from ..reco_core.limits import MAX_DOCUMENT, MAX_PICTURE

_THREADS = ThreadPoolExecutor(2, "reco-routes")


def add_routes(routes: web.RouteTableDef) -> None:
    """Add the pack's addresses to ComfyUI's."""
    for question in ("count", "read", "write"):
        routes.post(f"/reco/{question}")(functools.partial(_respond, question))
    routes.post("/reco/recall")(_respond_to_file)


async def _respond(question: str, request: web.Request) -> web.Response:
    return await _answered(_answer, question, request)


async def _respond_to_file(request: web.Request) -> web.Response:
    return await _answered(_recall, dict(request.query), request, MAX_PICTURE)


async def _answered(
    answer: Callable[[Any, bytes], str], about: Any, request: web.Request, limit: int = MAX_DOCUMENT
) -> web.Response:
    try:
        body = await _read_body(request, limit)
        loop = asyncio.get_running_loop()
        text, status = await loop.run_in_executor(_THREADS, answer, about, body), 200
    except (OSError, ValueError) as error:
        text, status = json.dumps({"error": str(error)}), 400
    return web.Response(text=text, status=status, content_type="application/json")


async def _read_body(request: web.Request, limit: int) -> bytes:
    """Raises ValueError as soon as it is known to be too long."""
    body = bytearray()
    length = request.content_length or 0
    while length <= limit and (piece := await request.content.readany()):
        body += piece
        length = max(length, len(body))
    if length > limit:
        raise ValueError(f"the request has {length:,} bytes or more: at most {limit:,}")
    return bytes(body)


def _answer(question: str, body: bytes) -> str:
    """JSON text. In a thread: a count may read a checkpoint's file first."""
    from .answers import answer

    return answer(question, body)


def _recall(parameters: dict[str, str], body: bytes) -> str:
    from .answers import recall

    return json.dumps(recall(parameters, body))
