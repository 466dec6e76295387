"""The picture of the house, from its imports: python docs/house.py

Writes docs/images/house.png. Floors are those of pyproject.toml's contracts; an arc goes from the
one that imports to the one that is imported, as wide as there are imports. All go down.
"""

from __future__ import annotations

import ast
import io
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import grimp
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve
from PIL import Image
from PIL.PngImagePlugin import PngInfo

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "house.png"
COLOURS = {"nodes": "#c2603a", "train": "#33658a", "reco_core": "#5b7f4b"}
FOLDER, TEXT = 0.62, 0.02  # inches per floor; places on the page, which is 1 wide


def floors() -> list[list[str]]:
    """Folders and files by floor, from the top: nodes, train's floors, reco_core."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if c["type"] == "layers")
    train = [[f"train.{name.strip()}" for name in layer.split("|")] for layer in layers]
    return [["nodes"], *train, ["reco_core"]]


def imports() -> Counter[tuple[str, str]]:
    """How many modules of one folder import one of another, by (importer, imported)."""
    with tempfile.TemporaryDirectory() as folder:
        pack = Path(folder) / "pack"
        pack.mkdir()
        (pack / "__init__.py").touch()
        for name in ("nodes", "reco_core"):
            (pack / name).symlink_to(ROOT / name)
        sys.path[:0] = [folder, str(ROOT)]
        graph = grimp.build_graph("pack", "reco_core", "train", cache_dir=None)
    names = [name for floor in floors() for name in floor]
    counts: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            pair = (_folder(module, names), _folder(other, names))
            if pair[0] != pair[1] and all(pair):
                counts[pair] += 1
    return counts


def _folder(module: str, names: list[str]) -> str:
    plain = module.removeprefix("pack.") + "."
    return next((name for name in names if plain.startswith(f"{name}.")), "")


def subject(name: str) -> str:
    """What a folder or file is for: the first sentence of its docstring."""
    path = ROOT / name.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    said = (ast.get_docstring(ast.parse(source.read_text("utf-8"))) or "").partition("\n\n")[0]
    return " ".join(said.split()).partition(": ")[0].rstrip(".")


def draw(counts: Counter[tuple[str, str]]) -> Image.Image:
    """The house: a bar for each floor, arcs on the right for what it imports."""
    stack = floors()
    figure = Figure(figsize=(10, FOLDER * len(stack) + 0.2), dpi=110)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 1), ylim=(len(stack), -0.2))
    axes.axis("off")
    height: dict[str, float] = {}
    for row, floor in enumerate(stack):
        width = 0.72 / len(floor)
        for column, name in enumerate(floor):
            height[name] = row + 0.45
            _bar(axes, name, TEXT + column * width, row + 0.1, width - 0.008)
    for (importer, imported), count in sorted(counts.items(), key=lambda pair: pair[1]):
        _arc(axes, height[importer], height[imported], importer, count)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return Image.open(drawn).convert("RGB").quantize(64)


def _bar(axes, name: str, x: float, y: float, width: float) -> None:
    colour = COLOURS[name.partition(".")[0]]
    shape = FancyBboxPatch((x, y), width, 0.7, boxstyle="round,pad=0,rounding_size=0.012")
    shape.set(facecolor=colour, alpha=0.14, edgecolor=colour)
    shape.set_mutation_aspect(25)
    axes.add_patch(shape)
    title = name.replace(".", "/") + ("/" if _is_folder(name) else ".py")
    axes.text(x + 0.012, y + 0.27, title, va="center", weight="bold", color=colour, size=10)
    words = subject(name)
    room = int(180 * width) - 6  # letters
    short = words if len(words) <= room else words[: room - 3].rstrip() + "..."
    axes.text(x + 0.012, y + 0.53, short, va="center", size=7.5, color="#333333")


def _is_folder(name: str) -> bool:
    return (ROOT / name.replace(".", "/")).is_dir()


def _arc(axes, start: float, end: float, importer: str, count: int) -> None:
    left, out = 0.75, 0.75 + 0.24 * abs(end - start) / (len(floors()) - 1) + 0.02
    curve = Curve([(left, start), (out, start), (out, end), (left, end)], [1, 4, 4, 4])
    colour = COLOURS[importer.partition(".")[0]] if end > start else "red"
    axes.add_patch(
        PathPatch(curve, fill=False, lw=0.5 + count**0.5 / 2, edgecolor=colour, alpha=0.55)
    )
    axes.plot(left, end, marker="<", color=colour, ms=4)


def as_text(counts: Counter[tuple[str, str]]) -> str:
    """Who imports whom, as it is written into the picture, so that it can be told to be old."""
    return json.dumps(sorted(counts))


def main() -> None:
    counts = imports()
    info = PngInfo()
    info.add_text("imports", as_text(counts))
    draw(counts).save(PICTURE, optimize=True, pnginfo=info)
    print(f"wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
