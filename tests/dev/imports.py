"""Checks the contracts of imports in pyproject.toml: python tests/dev/imports.py [FOLDER]

Among them are those of the nodes, relative ones of the pack: see linked_pack.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from linked_pack import ROOT, linked_pack


def check_imports(root: Path) -> int:
    """0 when the code in a folder keeps all contracts; what breaks one is printed."""
    from importlinter.cli import lint_imports

    with linked_pack(root) as folder:
        sys.path[:0] = [str(folder), str(root)]
        os.chdir(root)
        return lint_imports(no_cache=True)


if __name__ == "__main__":
    sys.exit(check_imports(Path(*sys.argv[1:] or [ROOT]).resolve()))
