"""The plain checkpoint that a ReCo checkpoint was trained from, as metadata name it.

Metadata, all strings: base (file name), base_sha256 (of the whole file, as model sites show it),
base_bytes (its size). A checkpoint that was trained on from another ReCo checkpoint names the plain
one that this names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .checks import quote
from .metadata import read_number, read_text

BASE_KEYS = ("base", "base_sha256", "base_bytes")

_SHA256 = re.compile("[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class NamedBase:
    """name: of the file. sha256: in hexadecimal. size: in bytes, None where it is not said."""

    name: str
    sha256: str
    size: int | None = None

    @property
    def title(self) -> str:
        """For messages."""
        return f"{quote(self.name or 'a file')} (SHA-256 {self.sha256[:10]}...)"

    def metadata(self) -> dict[str, str]:
        said = {"base": self.name, "base_sha256": self.sha256}
        return said if self.size is None else {**said, "base_bytes": str(self.size)}

    def warning(self, trained: str, name: str, sha256: str) -> str:
        """What to tell who uses what was trained on this base with another file; empty if it is
        this one, or its checksum is not known.

        trained: what it is, "this adapter". name, sha256: of the file that is used.
        """
        if sha256 in ("", self.sha256):
            return ""
        return (
            f"{quote(name, 200)} is not the file that {trained} was trained on, which is "
            f"{quote(self.name)} (SHA-256 {self.sha256[:10]}..., this one has {sha256[:10]}...)."
        )


def named_base(metadata: Mapping[str, str]) -> NamedBase | None:
    """The base that a ReCo checkpoint's metadata name; None where they name no file's checksum.

    Raises:
        ValueError: the checksum or the size is none.
    """
    sha256 = read_text(metadata, "base_sha256")
    if not sha256:
        return None
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"metadata base_sha256 = {quote(sha256)} is no SHA-256 in hexadecimal")
    return NamedBase(
        read_text(metadata, "base"), sha256.lower(), read_number(metadata, "base_bytes")
    )


def without_base(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata that name no base."""
    return {key: text for key, text in metadata.items() if key not in BASE_KEYS}


def find_base(base: NamedBase, paths: Iterable[Path], sha256: Callable[[Path], str]) -> Path | None:
    """Which of some files is the base, whatever its name; None when none is.

    Only files of its size are read, where that is known; one of its name first.

    sha256: of a file, in hexadecimal.
    """
    files = [path for path in dict.fromkeys(paths) if path.is_file()]
    fitting = [path for path in files if base.size in (None, path.stat().st_size)]
    for path in sorted(fitting, key=lambda path: path.name != base.name):
        if sha256(path) == base.sha256:
            return path
    return None
