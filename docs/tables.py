"""Tables in Markdown, and their places in pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    rows = list(rows)
    if not rows:
        return "Not measured yet."
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def put(page: str, name: str, made: str) -> str:
    """A page with a table made anew: between <!-- name --> and <!-- /name -->.

    Raises ValueError when the page has no such place.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = page.partition(begin)
    _, also_found, after = rest.partition(end)
    if not found or not also_found:
        raise ValueError(f"the page has no place for a table named {name}")
    return f"{before}{begin}\n{made}\n\n{end}{after}"
