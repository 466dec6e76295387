"""The pack as a package with a name, for tools that follow relative imports only inside one.

ComfyUI's name for it is that of its folder. Here it is `pack`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def linked_pack(root: Path) -> Iterator[Path]:
    """A folder in which `pack` links to the code of the pack in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder) / "pack"
        pack.mkdir()
        for name in ("__init__.py", "nodes", "reco_core", "train"):
            (pack / name).symlink_to(root / name)
        yield Path(folder)
