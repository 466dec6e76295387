"""Chromium, and pages of ComfyUI in it, each with a profile of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from comfy_page import VIEWPORT, ComfyPage
from playwright.sync_api import Browser, sync_playwright

from browser import find_chromium
from comfy_server import ComfyServer

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Milliseconds that are long even on a busy machine: only a failure waits them out.
PATIENCE = 180_000


@contextmanager
def run_chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def new_page(server: ComfyServer, chromium: Browser) -> Iterator[ComfyPage]:
    """A page with a profile of its own, on which nothing is open yet."""
    context = chromium.new_context(viewport=VIEWPORT, locale="en-US", reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    yield ComfyPage(context.new_page(), server)
    context.close()
