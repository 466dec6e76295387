"""Checks the contracts of imports in pyproject.toml: python tests/dev/imports.py [FOLDER]

Import-linter follows relative imports only inside a package with a name, and ComfyUI's name for
this pack is that of its folder: here the pack is linked into a package called `pack`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def check_imports(root: Path) -> int:
    """0 when the code in a folder keeps all contracts; what breaks one is printed."""
    from importlinter.cli import lint_imports

    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder) / "pack"
        pack.mkdir()
        for name in ("__init__.py", "nodes", "reco_core", "train"):
            (pack / name).symlink_to(root / name)
        sys.path[:0] = [folder, str(root)]
        os.chdir(root)
        return lint_imports(no_cache=True)


if __name__ == "__main__":
    sys.exit(check_imports(Path(*sys.argv[1:] or [ROOT]).resolve()))
