"""One ComfyUI and one Chromium for all tests of this folder; a fresh profile for each test."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

sys.path.append(str(Path(__file__).parent))

from chromium import new_page, run_chromium  # noqa: E402
from comfy_page import EMPTY, ComfyPage, Renderer  # noqa: E402
from editor_page import BOXES, TEXTS, EditorPage  # noqa: E402

from comfy_server import ComfyServer  # noqa: E402

# Milliseconds that are long even on a busy machine: only a failure waits them out.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    with ComfyServer(tmp_path_factory.mktemp("comfyui")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with run_chromium() as browser:
        yield browser


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
