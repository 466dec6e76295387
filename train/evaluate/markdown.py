"""Tables of a report as Markdown."""

from __future__ import annotations

from typing import Any

from train.evaluate.suite import Table


def to_markdown(table: Table) -> str:
    """A heading, the table with numbers to the right, and its note; ends with a line break."""
    cells = [
        [_cell(value, column) for value, column in zip(row, table.columns, strict=True)]
        for row in table.rows
    ]
    numeric = [
        all(not isinstance(row[index], str) for row in table.rows)
        for index in range(len(table.columns))
    ]
    lines = [f"## {table.title}", "", _row([_escape(column) for column in table.columns])]
    lines += [_row(["---:" if right else "---" for right in numeric]), *map(_row, cells)]
    if table.note:
        lines += ["", table.note]
    return "\n".join(lines) + "\n"


def _cell(value: Any, column: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{100 * value:.1f}" if column.endswith("%") else f"{value:.3g}"
    return _escape(str(value))


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
