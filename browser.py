"""The browser and the Node.js that the tests use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from comfy_server import Failure

NAMES = ("google-chrome-stable", "google-chrome", "chromium", "chromium-browser")


def find_chromium() -> Path | None:
    given = os.environ.get("CHROMIUM_PATH")
    if given:
        if not Path(given).is_file():
            raise Failure(f"CHROMIUM_PATH is {given!r}, which is no file.")
        return Path(given)
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    return None
