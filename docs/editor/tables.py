"""The figures as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.core import CoreEditor
from tasks.here import ReCoEditor
from tasks.kj import KjEditor

from docs.tables import put, table

NONE = "–"


def fill(page: str, figures: dict) -> str:
    """A page of Markdown with its tables made anew: between <!-- tasks --> and <!-- /tasks -->."""
    for name, make in TABLES.items():
        page = put(page, name, make(figures))
    return page


def tasks_table(figures: dict) -> str:
    """Actions of each task: this editor's of before and now, and those of others."""
    runs = [
        (when, renderer, figures.get(when, {}).get("tasks", {}).get(renderer, {}))
        for when in ("before", "after")
        for renderer in ("vue", "classic")
    ]
    now = runs[2][2]
    rows = []
    for title in now:
        own = [run.get(title, {}).get(ReCoEditor.name, NONE) for _, _, run in runs]
        peers = [now[title].get(kind.name, NONE) for kind in (CoreEditor, KjEditor)]
        old = [both(own[:2])] if runs[0][2] else []
        rows.append((title, both(own[2:]), *old, *peers))
    old = ["here, before"] if runs[0][2] else []
    head = ("task", "here", *old, CoreEditor.name, KjEditor.name)
    return table(head, rows)


def both(values: Sequence) -> object:
    """One value where both renderers have the same."""
    return values[0] if len(set(values)) == 1 else " / ".join(map(str, values))


def drags_table(figures: dict) -> str:
    rows = []
    for when, renderer, kinds in runs_of(figures, "drag"):
        for kind, counts in kinds.items():
            cells = (f"{one['median']:.1f} ({one['p95']:.1f})" for one in counts.values())
            rows.append((kind if kind != ReCoEditor.name else f"{kind}, {when}", renderer, *cells))
    return table(("a step of dragging, ms", "renderer", "5 regions", "40", "200"), rows)


def others_table(figures: dict) -> str:
    rows = []
    for when, renderer, areas in runs_of(figures, "area"):
        for kind, area in areas.items():
            rows.append((f"canvas of {kind} at 480 px, {when}", renderer, f"{area:,} px²"))
    for when, renderer, themes in runs_of(figures, "contrast"):
        for theme, found in themes.items():
            least = f"{found['least']:.2f}:1 ({found['text']})"
            rows.append(
                (f"least contrast of {found['texts']} texts, {theme}, {when}", renderer, least)
            )
    for when, renderer, count in runs_of(figures, "first_picture"):
        rows.append((f"actions from an empty graph to a picture, {when}", renderer, count))
    for when, renderer, count in runs_of(figures, "first_picture_by_blueprint"):
        rows.append((f"the same by the blueprint, {when}", renderer, count))
    return table(("", "renderer", ""), rows)


def runs_of(figures: dict, name: str) -> Iterable[tuple[str, str, object]]:
    for when in ("before", "after"):
        for renderer, found in figures.get(when, {}).get("measures", {}).items():
            if name in found:
                yield when, renderer, found[name]


TABLES = {"tasks": tasks_table, "dragging": drags_table, "measures": others_table}
