"""The node search finds our nodes by what people call them. It is the same in both renderers."""

from __future__ import annotations

import json

import pytest
from comfy_page import ComfyPage
from playwright.sync_api import expect

EDITOR = "ReCoLayoutEditor"
ASKED = {"regions", "boxes", "bounding boxes", "regional prompt", "layout"}


@pytest.mark.parametrize("renderer", ["classic"])
def test_the_search_finds_each_node_by_what_people_call_it(comfy: ComfyPage) -> None:
    listed = json.loads(comfy.server.get("/object_info"))
    ours = {name: info for name, info in listed.items() if info["category"] == "ReCo"}
    called: dict[str, list[str]] = {}
    for info in ours.values():
        for alias in info.get("search_aliases") or []:
            called.setdefault(alias, []).append(info["display_name"])
    assert set(ours[EDITOR]["search_aliases"]) >= ASKED
    page = comfy.page
    comfy.run_command("Workspace.SearchBox.Toggle")
    search = page.get_by_role("combobox").first
    found = page.get_by_test_id("result-item").or_(page.get_by_role("option"))
    for alias, titles in called.items():
        search.fill(alias)
        for title in titles:
            expect(found.filter(has_text=title).first).to_be_attached()
    page.keyboard.press("Escape")
