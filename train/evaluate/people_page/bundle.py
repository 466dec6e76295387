"""One HTML file of a page's parts."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Where tags of boxes go is the layout editor's rule: the same modules work in this page.
SHARED = Path(__file__).parents[3] / "web" / "js" / "shared"
MODULES = (
    *(SHARED / f"{name}.js" for name in ("dom", "geometry", "ink", "tags")),
    *(HERE / f"{name}.js" for name in ("answer_rows", "boxes", "store", "study")),
)
STYLES = (HERE / "page.css", HERE / "pair.css")
_IMPORTED = re.compile(r'from "[^"]*?(\w+)\.js"')


def fill_page(study: dict[str, Any]) -> str:
    """The page that shows a study, as HTML that needs no other file and no network."""
    modules = {path.stem: _data_url(_script(path)) for path in MODULES}
    parts = {
        "style": "\n".join(path.read_text("utf-8") for path in STYLES),
        "imports": json.dumps({"imports": modules}),
        "script": _script(HERE / "page.js"),
        # Where HTML begins a tag, JSON may write the sign by its number.
        "study": json.dumps(study, ensure_ascii=False).replace("<", "\\u003c"),
    }
    template = (HERE / "page.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _script(path: Path) -> str:
    """A module that imports others by their bare names, since a data URL has no folder."""
    return _IMPORTED.sub(r'from "\1"', path.read_text("utf-8"))


def _data_url(script: str) -> str:
    return f"data:text/javascript;base64,{b64encode(script.encode()).decode()}"
