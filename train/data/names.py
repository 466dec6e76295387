"""Files by their names, as other systems write them: letters' case, marks, slashes, prefixes."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from reco_core.checks import quote, shorten
from train.data.decode import check_file

_LABEL_STUDIO = "?d="  # /data/local-files/?d=folder/a.jpg
_NAMED = 3  # files that an error names


def fold(name: str) -> str:
    """A name as it is compared: Unicode composed (macOS decomposes it), in letters of one case."""
    return unicodedata.normalize("NFC", name).casefold()


def beside(key: str, suffix: str) -> str:
    """The name of a file beside another, which differs in its suffix."""
    return str(PurePosixPath(key).with_suffix(suffix))


class Files:
    """The files of a folder by their names in it, in letters of any case.

    listed: names of what is there; only those that are found no other way are remembered.
    """

    def __init__(self, folder: Path, listed: Iterable[str]):
        self.folder = folder
        self._odd = {fold(name): name for name in listed if fold(name) != name}

    def read(self, *names: str) -> tuple[str, bytes] | None:
        """Name and content of the first of these that is there. Raises OSError if it is no file."""
        for name in names:
            folded = fold(name)
            for one in dict.fromkeys((name, self._odd.get(folded, folded))):
                path = self.folder / one
                if os.path.exists(path):
                    return one, check_file(path).read_bytes()
        return None


class PictureFinder:
    """Pictures of a folder by the names that annotations have for them.

    A name is taken as it stands where there is such a file. Else it is compared without regard to
    letters' case, to how Unicode is composed and to the kind of slashes, and may have folders more
    in front than the file has, or fewer.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._listed: dict[str, list[str]] | None = None
        self._taken: dict[str, str] = {}

    def find(self, name: str) -> Path:
        """Where a picture is.

        Raises FileNotFoundError when there is none, or when it cannot be told which.
        """
        path = self.folder / name
        if os.path.exists(path):  # unlike Path.exists, for names that no system can have too
            return path
        found = next(filter(None, map(self._like, _spellings(name))), [])
        if len(found) != 1:
            what = f"it can be any of {_some(found)}" if found else "there is no such picture"
            raise FileNotFoundError(
                f"{shorten(name)}: {what}; put it into {str(self.folder)!r}, or correct its name "
                "in the annotations"
            )
        other = self._taken.setdefault(found[0], name)
        if other != name:
            raise FileNotFoundError(
                f"{shorten(name)}: there is no such picture, and {quote(found[0])}, which is, "
                f"goes with {quote(other)}; give each picture a name of its own"
            )
        return self.folder / found[0]

    def _like(self, parts: Sequence[str]) -> list[str]:
        """Files that a name can mean: of those that share most of its end, all."""
        if self._listed is None:
            self._listed = {}
            for file in sorted(self.folder.rglob("*")):
                inside = file.relative_to(self.folder).as_posix()
                self._listed.setdefault(fold(file.name), []).append(inside)
        shared: dict[str, int] = {}
        for inside in self._listed.get(parts[-1], ()) if parts else ():
            own = [fold(part) for part in PurePosixPath(inside).parts]
            common = min(len(own), len(parts))
            if own[-common:] == list(parts[-common:]):
                shared[inside] = common
        return [inside for inside, count in shared.items() if count == max(shared.values())]


def _spellings(name: str) -> Iterable[list[str]]:
    """The parts of a path that a name may stand for, folded."""
    for one in dict.fromkeys((name, unquote(name))):
        path = one.rpartition(_LABEL_STUDIO)[2].partition("?")[0] or one
        parts = re.split(r"[\\/]+", fold(path))
        yield [part for part in parts if part not in ("", ".", "..") and not part.endswith(":")]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(quote, names[:_NAMED])) + more
