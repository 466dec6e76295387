"""Pictures of Microsoft's Fluent 3D emoji, from the npm package that carries them."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from reco_core.atomic import write_folder_atomically

PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"
INTEGRITY = (
    "sha512-Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ"
    "2Qaecgl5wRBv60lUAG3h7g=="
)
"""The package's hash, as npm's registry and lock files write it."""
LIST = Path(__file__).with_name("fluent_emoji.toml")
"""The things that are trained with, by name."""
_PICTURE = re.compile(r"package/assets/([0-9a-f-]+\.webp)")


def get_pictures(folder: Path, package: Path | None = None) -> int:
    """Unpack the pictures to a new folder, named by code points; returns how many.

    package: the package's .tgz; None gets it with the npm client.

    Raises:
        ValueError: the folder is there, npm is missing or fails, or the package is another one.
    """
    if folder.exists():
        raise ValueError(f"{str(folder)!r} is there already: name a new folder")
    with tempfile.TemporaryDirectory() as temporary:
        file = package or _pack(Path(temporary))
        check_integrity(file)
        write_folder_atomically(folder, lambda new: _unpack(file, new))
    return sum(1 for _ in folder.iterdir())


def check_integrity(file: Path) -> None:
    """Raise ValueError when a file cannot be read, or is not the package that is trained with."""
    try:
        digest = hashlib.sha512(file.read_bytes()).digest()
    except OSError as error:
        raise ValueError(f"cannot read the package {str(file)!r}: {error}") from None
    found = f"sha512-{base64.b64encode(digest).decode()}"
    if found != INTEGRITY:
        raise ValueError(
            f"{str(file)!r} has the hash {found}, not that of {PACKAGE}, {INTEGRITY}: get it again"
        )


def _pack(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(
            f"npm is not installed: install Node.js, or get {PACKAGE} elsewhere and name its .tgz "
            "with --package"
        )
    done = subprocess.run(
        [npm, "pack", PACKAGE, "--silent"], cwd=folder, capture_output=True, text=True, check=False
    )
    files = list(folder.glob("*.tgz"))
    if done.returncode or len(files) != 1:
        raise ValueError(
            f"`npm pack {PACKAGE}` failed ({done.returncode}): {done.stderr.strip()[-500:]}"
        )
    return files[0]


def _unpack(file: Path, folder: Path) -> None:
    with tarfile.open(file) as archive:
        for member in archive:
            name = _PICTURE.fullmatch(member.name)
            content = archive.extractfile(member) if name and member.isfile() else None
            if name and content:
                (folder / name[1]).write_bytes(content.read())
