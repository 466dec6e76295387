"""One ComfyUI and one Chromium for all tests of this folder, and in it a page for each renderer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
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
        page.restore_settings()
    check_errors(page)


@pytest.fixture(params=["classic", "vue"])
def renderer(request: pytest.FixtureRequest) -> Renderer:
    """Each in turn; for one of them: @pytest.mark.parametrize("renderer", ["vue"])."""
    return request.param


@pytest.fixture(scope="session")
def page_of(server: ComfyServer, chromium: Browser) -> Iterator[Callable[[Renderer], ComfyPage]]:
    """One page for each renderer, opened when it is first asked for."""
    with ExitStack() as pages:

        @cache
        def page_of(renderer: Renderer) -> ComfyPage:
            page = pages.enter_context(new_page(server, chromium))
            page.open(renderer)
            return page

        yield page_of


@pytest.fixture
def comfy(page_of: Callable[[Renderer], ComfyPage], renderer: Renderer) -> Iterator[ComfyPage]:
    """An open editor with an empty graph: one page for all tests, for opening it takes seconds."""
    comfy = page_of(renderer)
    comfy.page.bring_to_front()  # keys pressed on a page that is not active can be lost
    if comfy.renderer != renderer:  # a test has gone over to the other one
        comfy.set_renderer(renderer)
    comfy.errors.clear()
    comfy.close_dialogs()
    comfy.load_workflow(EMPTY)
    yield comfy
    comfy.restore_settings()
    check_errors(comfy)


@pytest.fixture
def farm(comfy: ComfyPage) -> EditorPage:
    """An editor with the caption "a farm" and three regions, BOXES with TEXTS."""
    node = comfy.add_node("ReCoLayoutEditor", at=(0, 0))
    regions = [{"text": text, "box": box} for text, box in zip(TEXTS, BOXES, strict=True)]
    comfy.set_value(node, "editor", json.dumps({"caption": "a farm", "regions": regions}))
    comfy.show(node)
    return EditorPage(comfy, node)
