"""One ComfyUI and one Chromium for all tests of this folder; a fresh profile for each test."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

sys.path.append(str(Path(__file__).parent))

from comfy_page import EMPTY, VIEWPORT, ComfyPage, Renderer  # noqa: E402
from editor_page import BOXES, TEXTS, EditorPage  # noqa: E402

from browser import find_chromium  # noqa: E402
from comfy_server import ComfyServer  # noqa: E402

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Milliseconds that are long even on a busy machine: only a failure waits them out.
expect.set_options(timeout=20_000)
PATIENCE = 60_000


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    with ComfyServer(tmp_path_factory.mktemp("comfyui")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
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


def check_errors(page: ComfyPage) -> None:
    assert not page.errors, "our scripts reported:\n" + "\n".join(page.errors)


@pytest.fixture
def closed(server: ComfyServer, chromium: Browser) -> Iterator[ComfyPage]:
    """A page on which nothing is open yet, for a test that wants to choose how."""
    with new_page(server, chromium) as page:
        yield page
    check_errors(page)


@pytest.fixture(scope="session", params=["classic", "vue"])
def session_page(
    request: pytest.FixtureRequest, server: ComfyServer, chromium: Browser
) -> Iterator[ComfyPage]:
    with new_page(server, chromium) as page:
        page.open(request.param)
        yield page


@pytest.fixture
def shared(session_page: ComfyPage) -> Iterator[ComfyPage]:
    """As comfy, but one page for all tests that use it, which saves the seconds of opening it."""
    session_page.errors.clear()
    session_page.load_workflow(EMPTY)
    yield session_page
    check_errors(session_page)


@pytest.fixture
def farm(shared: ComfyPage) -> EditorPage:
    """An editor with the caption "a farm" and three regions, BOXES with TEXTS."""
    node = shared.add_node("ReCoLayoutEditor", at=(0, 0))
    regions = [{"text": text, "box": box} for text, box in zip(TEXTS, BOXES, strict=True)]
    shared.set_value(node, "editor", json.dumps({"caption": "a farm", "regions": regions}))
    shared.show(node)
    return EditorPage(shared, node)


@pytest.fixture(params=["classic", "vue"])
def renderer(request: pytest.FixtureRequest) -> Renderer:
    return request.param


@pytest.fixture
def comfy(closed: ComfyPage, renderer: Renderer) -> ComfyPage:
    """An open editor with an empty graph, once in each renderer.

    For one renderer: @pytest.mark.parametrize("renderer", ["vue"]).
    """
    closed.open(renderer)
    return closed
