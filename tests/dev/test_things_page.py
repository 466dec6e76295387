"""docs/reco-things.md shows the figures that its command wrote."""

import json

from docs.tables import put
from docs.things.__main__ import FIGURES, PAGE, tables


def test_its_tables_are_of_the_figures():
    page, found = PAGE.read_text("utf-8"), json.loads(FIGURES.read_text("utf-8"))
    made = tables(found)
    assert len(made) == page.count("<!-- /")
    for name, table in made.items():
        assert put(page, name, table) == page, name
