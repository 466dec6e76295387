"""Checks the types of the nodes: python tests/dev/types_of_nodes.py [FOLDER]

mypy would take all that they import from reco_core for anything: see linked_pack.py.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from linked_pack import ROOT, linked_pack


def check_types(root: Path) -> int:
    """0 when the nodes in a folder are of consistent types; what is not is printed."""
    from mypy import api

    config = root / "pyproject.toml"
    with linked_pack(root) as folder:
        os.environ["MYPYPATH"] = str(folder)
        os.chdir(folder)
        said, broken, code = api.run(
            [
                "--config-file",
                str(config),
                "--cache-dir",
                str(root / ".mypy_cache"),
                "-p",
                "pack.nodes",
            ]
        )
    print(said + broken)
    return code


if __name__ == "__main__":
    sys.exit(check_types(Path(*sys.argv[1:] or [ROOT]).resolve()))
