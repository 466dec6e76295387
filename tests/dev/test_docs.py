"""What pages point to is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTED = subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True).splitlines()
PAGES = [page for page in LISTED if (ROOT / page).exists()]
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page):
    links = LINK.findall((ROOT / page).read_text("utf-8"))
    near = [link for link in links if "://" not in link]
    lost = [link for link in near if not (ROOT / page).parent.joinpath(link).exists()]
    assert not lost
