"""The addresses that the pack adds to ComfyUI's, for its editor.

Bodies and answers are JSON; {"error": ...} comes with status 400.
"""

from __future__ import annotations

import asyncio
import functools
import json
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from ..reco_core.limits import MAX_DOCUMENT

_THREADS = ThreadPoolExecutor(2, "reco-routes")


def add_routes(routes: web.RouteTableDef) -> None:
    """Add the pack's addresses to ComfyUI's."""
    for question in ("count", "read", "write"):
        routes.post(f"/reco/{question}")(functools.partial(_respond, question))


async def _respond(question: str, request: web.Request) -> web.Response:
    try:
        body = await _read_body(request)
        loop = asyncio.get_running_loop()
        text, status = await loop.run_in_executor(_THREADS, _answer, question, body), 200
    except (OSError, ValueError) as error:
        text, status = json.dumps({"error": str(error)}), 400
    return web.Response(text=text, status=status, content_type="application/json")


async def _read_body(request: web.Request) -> bytes:
    """Raises ValueError as soon as it is known to be too long."""
    body = bytearray()
    length = request.content_length or 0
    while length <= MAX_DOCUMENT and (piece := await request.content.readany()):
        body += piece
        length = max(length, len(body))
    if length > MAX_DOCUMENT:
        raise ValueError(f"the request has {length:,} bytes or more: at most {MAX_DOCUMENT:,}")
    return bytes(body)


def _answer(question: str, body: bytes) -> str:
    """JSON text. In a thread: a count may read a checkpoint's file first."""
    from .answers import answer

    return answer(question, body)
