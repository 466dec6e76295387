"""The members of a .tar, read from front to back, to its end or to where it is broken.

The mark of a tar's end is two blocks of zeros, and only zeros follow it. Python's tarfile, and
webdataset with it, takes the end of the file, and anything that is no header, for that end.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from typing import Any

_NOTES = re.compile(r"__[^/]*__($|/)")  # webdataset's own, which are no members of samples


class _Member(tarfile.TarInfo):
    """A member, whose header is one or is a block of zeros. Raises ReadError for others."""

    @classmethod
    def frombuf(cls, block: bytes | bytearray, encoding: str, errors: str) -> Any:
        try:
            return super().frombuf(block, encoding, errors)
        except tarfile.HeaderError:
            if len(block) < tarfile.BLOCKSIZE:
                raise tarfile.ReadError("it ends without the mark of an end") from None
            if block.count(0) < len(block):
                raise tarfile.ReadError("what follows is no file's header") from None
            raise


def tar_members(url: str) -> Iterator[dict[str, Any]]:
    """Name and content of each file, as webdataset's `group_by_keys` takes them.

    url: a file, http:, pipe: or what else webdataset opens. Raises tarfile.ReadError for a tar that
    is cut or damaged, and what opening and decompressing raise.
    """
    from webdataset.gopen import gopen  # brings torch, which options do without

    archive = tarfile.open(fileobj=gopen(url), mode="r|*", tarinfo=_Member)
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # which would hold every header
        if member.isreg() and not _NOTES.match(member.name):
            data = archive.extractfile(member).read()  # type: ignore[union-attr]
            yield {"fname": member.name, "data": data, "__url__": url}
    _check_end(archive.fileobj)


def _check_end(stream: Any) -> None:
    """Raise ReadError unless, after one block of zeros, another follows, and only zeros."""
    size = 0
    while block := stream.read(tarfile.RECORDSIZE):
        size += len(block)
        if block.count(0) < len(block):
            raise tarfile.ReadError("more follows the mark of an end")
    if size < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it ends with half of the mark of an end")
