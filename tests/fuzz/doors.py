"""What is fuzzed: every door of reco_core by which something from outside enters.

A door takes a random generator and returns a call that must either give a right answer, which the
call checks itself, or raise a clear ValueError.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from mutate import (
    ODD,
    mutated_bytes,
    mutated_data,
    mutated_json,
    mutated_safetensors,
    mutated_text,
)
from PIL import Image
from random_checkpoint import Size, random_state_dict
from safetensors.torch import save

import reco_core
from reco_core.adapter import (
    POSITION_ROWS,
    TOKEN_ROWS,
    merge_adapter,
    merged_metadata,
    read_adapter,
)
from reco_core.arrange import flip_layout, region_numbers, scale_boxes
from reco_core.checkpoint import describe_checkpoint
from reco_core.checkpoint_file import read_checkpoint
from reco_core.coco import layout_from_coco
from reco_core.color_names import colors_in_text
from reco_core.diffusers_folder import read_diffusers_folder
from reco_core.draw import draw_layout
from reco_core.forms.table import FORMS, read_layout, write_layout
from reco_core.interop import (
    layout_from_boxes,
    layout_from_elements,
    layout_to_boxes,
    layout_to_elements,
)
from reco_core.layout import Box, Layout, Region
from reco_core.limits import MAX_REGIONS
from reco_core.positional_words import in_words
from reco_core.prompt import format_prompt, parse_prompt
from reco_core.remarks import Reading
from reco_core.score import find_by_boxes, find_by_colors
from reco_core.sidecar import layout_from_sidecar, layout_to_sidecar
from train.checkpoints.diffusers_folder import write_diffusers_folder

ROOT = Path(__file__).resolve().parents[2]
_MADE = tempfile.TemporaryDirectory(prefix="reco-fuzz-")  # deleted when Python ends
FOLDER = Path(_MADE.name)
SIZES = ((512, 512), (128, 64), (1024, 768))
SD1 = Size(text_width=8, max_length=77, num_bins=0)
Door = Callable[[random.Random], Callable[[], Any]]


# Real inputs


@lru_cache(maxsize=1)
def layouts() -> list[Layout]:
    """Those of the example workflows, and some that are hard to write."""
    saved = [
        Layout.from_json(value)
        for file in sorted((ROOT / "example_workflows").glob("*.json"))
        for node in json.loads(file.read_text("utf-8"))["nodes"]
        for value in node.get("widgets_values") or ()
        if isinstance(value, str) and value.startswith("{")
    ]
    dog = Region("a (brown dog:1.3) - embedding:x", Box(0.1, 0.2, 0.7, 0.9), 1.5, "#a0b0c0")
    point = Region("é 字 🐴", Box(0.5, 0.5, 0.5, 0.5))
    return [*saved, Layout("two, [dogs]", (dog, dog, point), 512, 256), Layout(), Layout("a park")]


@lru_cache(maxsize=1)
def texts() -> list[str]:
    """Layouts in every form, prompts of the golden file, and what the help pages show."""
    written = [
        text for layout in layouts() for form in FORMS if (text := in_form(layout, form.name))
    ]
    golden = json.loads((ROOT / "tests" / "data" / "tokens.json").read_text("utf-8"))
    pages = [page.read_text("utf-8") for page in (ROOT / "web" / "docs").glob("*.md")]
    shown = [
        block for page in pages for block in re.findall(r"```\w*\n(.*?)```|`([^`]+)`", page, re.S)
    ]
    return sorted({*written, *_strings(golden), *("".join(block) for block in shown)})


def in_form(layout: Layout, form: str) -> str:
    try:
        return write_layout(layout, form).text
    except ValueError:
        return ""


COCO = json.dumps(
    {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 640, "height": 427}],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "park bench"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1.5, 2, 300, 200], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [600, 0, 100, 427], "caption": "a"},
        ],
    }
)


@lru_cache(maxsize=1)
def weights() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A tiny ReCo checkpoint and a tiny plain one."""
    return random_state_dict(Size(text_width=8)), random_state_dict(SD1)


@lru_cache(maxsize=1)
def folder() -> dict[str, bytes]:
    """The files of a tiny ReCo checkpoint as a diffusers folder, by their paths in it."""
    place = FOLDER / "written"
    write_diffusers_folder(place, weights()[0], METADATA)
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.name not in ("vocab.json", "merges.txt")  # which nobody reads
    }


@lru_cache(maxsize=1)
def adapter() -> dict[str, torch.Tensor]:
    name = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    return {
        TOKEN_ROWS: torch.randn(50, 8),
        POSITION_ROWS: torch.randn(43, 8),
        f"{name}.lora_down.weight": torch.randn(2, 8),
        f"{name}.lora_up.weight": torch.randn(8, 2),
        f"{name}.alpha": torch.tensor(2.0),
    }


METADATA = {
    "format": "reco",
    "num_bins": "1000",
    "max_length": "308",
    "unet_heads": "4",
    "text_heads": "2",
    "image_size": "128",
    "words": '["a", "red"]',
}
HEADS = {"unet_heads": "4", "text_heads": "2"}  # which no pickle and no plain checkpoint tells
OF_ADAPTER = {**METADATA, "format": "reco-adapter", "base": "a.safetensors", "base_num_bins": "0"}


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for item in data.values() if isinstance(data, dict) else data:
            yield from _strings(item)


# Right answers


def check_reading(found: Any) -> None:
    """What a layout's door returns: a layout that can be written and read, remarks that can be
    shown."""
    layout = found.layout if isinstance(found, Reading) else found
    assert Layout.from_json(layout.to_json()) == layout
    assert len(layout.regions) <= MAX_REGIONS
    for remark in found.remarks if isinstance(found, Reading) else ():
        assert 0 < len(remark.message) <= 2_000 and "\n" not in remark.message, remark
        json.dumps(remark.to_data()).encode()


def check_layout_can_be_used(layout: Layout) -> None:
    """All that is done with a layout, whatever its words and boxes."""
    for form in FORMS:
        try:
            written = write_layout(layout, form.name)
        except ValueError as error:
            check_message(error)
            continue
        written.text.encode()
        if form.read and not written.remarks:
            assert read_layout(written.text, layout.width, layout.height).layout == layout, (
                form.name
            )
    for form in ("authors", "diffusers"):
        try:
            check_reading(parse_prompt(format_prompt(layout, form)))
        except ValueError as error:
            check_message(error)
    check_reading(flip_layout(layout))
    check_reading(scale_boxes(layout, 1.7))
    layout_to_elements(layout)
    picture = draw_layout(Image.new("RGB", (96, 64)), layout)
    assert picture.size == (96, 64)
    boxes = [(region.box, "a dog") for region in layout.regions]
    assert len(find_by_boxes(layout, boxes)) == len(layout.regions)
    import numpy as np

    assert len(find_by_colors(layout, np.asarray(picture))) == len(layout.regions)
    colors_in_text(layout.caption)
    if layout.regions:
        check_reading(layout_from_boxes(layout_to_boxes(layout), (), "", 512, 512))
        check_reading(layout_from_sidecar(layout_to_sidecar(layout)))


def check_message(error: Exception) -> None:
    message = str(error)
    assert type(error) in (ValueError, FileNotFoundError), f"{type(error).__name__}: {message:.300}"
    assert 0 < len(message) <= 2_000, f"a message of {len(message)} characters: {message:.300}"
    assert "\n" not in message.strip(), f"a message of several lines: {message:.300}"
    message.encode()


# Doors


def _text_door(read: Callable[[str], Any], seeds: Callable[[], list[str]]) -> Door:
    def door(rng: random.Random) -> Callable[[], Any]:
        text = rng.choice(seeds())
        changed = mutated_json if text.lstrip()[:1] in ("{", "[") else mutated_text
        text = changed(rng, text, texts())
        return lambda: check_reading(read(text))

    return door


def read_text(rng: random.Random) -> Callable[[], Any]:
    size = rng.choice(SIZES)
    return _text_door(lambda text: read_layout(text, *size), texts)(rng)


def read_numbers(rng: random.Random) -> Callable[[], Any]:
    text = mutated_text(rng, rng.choice(("3, 1, 2", "5-3, 1", "1 - 9", "")), ["1-9999 "])
    return lambda: [1 <= number <= 9999 for number in region_numbers(text)]


def read_elements(rng: random.Random) -> Callable[[], Any]:
    data = mutated_data(rng, layout_to_elements(rng.choice(layouts())))
    caption, (width, height) = rng.choice(("", "a", *ODD)), rng.choice(SIZES)
    return lambda: check_reading(layout_from_elements(data, caption, width, height))


def read_boxes(rng: random.Random) -> Callable[[], Any]:
    boxes = layout_to_boxes(rng.choice(layouts()))
    data = mutated_data(rng, rng.choice((boxes, [boxes], boxes[0] if boxes else {})))
    said = rng.choice(((), ("a",), ("a", "b")))
    width, height, frame = rng.choice((640, 1, 0, 10**9)), 427, rng.choice((0, 0, 1, -1))
    return lambda: check_reading(layout_from_boxes(data, said, "", width, height, frame))


def use_layout(rng: random.Random) -> Callable[[], Any]:
    layout = rng.choice(layouts())
    caption, words = (mutated_text(rng, rng.choice(texts()), texts()) for _ in range(2))

    def region(region: Region) -> Region:
        corners = [sorted(rng.choice((0, 1, 0.5, rng.random())) for _ in "ab") for _ in "xy"]
        (x0, x1), (y0, y1) = corners
        weight = rng.choice((1, 0, -3, 1e300, rng.random()))
        return Region(rng.choice((words, region.text, " a ")), Box(x0, y0, x1, y1), weight)

    def use() -> None:
        regions = tuple(map(region, layout.regions)) * rng.choice((1, 1, 1, 40))
        made = Layout(rng.choice((caption, "a")), regions, *rng.choice(SIZES))
        check_layout_can_be_used(made)
        in_words(made)

    return use


def read_weights(rng: random.Random) -> Callable[[], Any]:
    reco, plain = weights()
    state, metadata = rng.choice(((reco, METADATA), (plain, HEADS)))
    if rng.random() < 0.5:
        data, name = save(_mutated_state(rng, state), metadata), "a.safetensors"
        data = mutated_safetensors(rng, data) if rng.random() < 0.8 else data
    else:
        data, name = _pickled(rng, state), rng.choice(("a.ckpt", "a.pt", "a.bin"))

    def read() -> None:
        (FOLDER / name).write_bytes(data)
        tensors, found = read_checkpoint(FOLDER / name)
        info = describe_checkpoint(tensors, {**HEADS, **found})
        assert info.max_length > 1 and info.context_width > 0

    return read


def read_folder(rng: random.Random) -> Callable[[], Any]:
    files = dict(folder())
    for name in rng.sample(list(files), rng.choice((0, 1, 1, 2, 4))):
        data, edit = files.pop(name), rng.random()
        if edit < 0.1:
            continue  # lost
        if edit < 0.15:
            name = name.replace("safetensors", "bin").replace("config", "index")
        elif name.endswith(".json"):
            data = mutated_json(rng, data.decode(), ["{}"]).encode(errors="surrogatepass")
        else:
            change = mutated_safetensors if name.endswith(".safetensors") else mutated_bytes
            data = change(rng, data)
        files[name] = data

    def read() -> None:
        place = FOLDER / "folder"
        shutil.rmtree(place, ignore_errors=True)
        for name, data in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
        tensors, metadata = read_diffusers_folder(place)
        assert describe_checkpoint(tensors, metadata).max_length > 1

    return read


def read_adapter_file(rng: random.Random) -> Callable[[], Any]:
    data = save(_mutated_state(rng, adapter()), OF_ADAPTER)
    data = mutated_safetensors(rng, data) if rng.random() < 0.7 else data
    strength = rng.choice((1.0, 0.0, -2.0))

    def read() -> None:
        (FOLDER / "adapter.safetensors").write_bytes(data)
        read = read_adapter(FOLDER / "adapter.safetensors")
        merged = merge_adapter(weights()[1], read, strength)
        assert describe_checkpoint(merged, merged_metadata(HEADS, read.info)).is_reco

    return read


def _mutated_state(rng: random.Random, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Some tensors lost, renamed, of another type, rank or shape."""
    changed = dict(state)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 5))):
        # Tables matter most.
        tables = [key for key in changed if "embedding" in key or "rows" in key or "lora" in key]
        key = rng.choice(rng.choice((tables, list(changed))) or [None])
        if key is None:
            break
        tensor = changed.pop(key)
        edits = (
            lambda t: t.reshape(-1),
            lambda t: t[None],
            lambda t: t.sum(),
            lambda t: t[: len(t) // 2] if t.ndim else t,
            lambda t: t[:0] if t.ndim else t,
            lambda t: t.to(rng.choice((torch.int64, torch.uint8, torch.bool, torch.float64))),
            lambda t: torch.full_like(t.float(), float("nan")),
            lambda t: t.transpose(0, -1) if t.ndim > 1 else t,
        )
        if rng.random() < 0.8:
            name = key if rng.random() < 0.8 else mutated_text(rng, key, list(state))
            name = name.encode(errors="replace").decode()
            changed[name] = rng.choice(edits)(tensor).clone().contiguous()
    return changed


def _pickled(rng: random.Random, state: dict[str, torch.Tensor]) -> bytes:
    content: Any = {**_mutated_state(rng, state)}
    if rng.random() < 0.5:
        content = {"state_dict": content, "global_step": rng.choice((3, *ODD)), "epoch": [1]}
    if rng.random() < 0.3:
        key = rng.choice(list(content))
        content[rng.choice((key, 5, ("a",), None))] = rng.choice(ODD)
    if rng.random() < 0.05:
        content = rng.choice(ODD)
    file = FOLDER / "pickled"
    torch.save(content, file, _use_new_zipfile_serialization=rng.random() < 0.8)
    data = file.read_bytes()
    return mutated_bytes(rng, data) if rng.random() < 0.5 else data


DOORS: dict[str, Door] = {
    "read_layout": read_text,
    "parse_prompt": _text_door(parse_prompt, texts),
    "Layout": _text_door(Layout.from_json, lambda: [layout.to_json() for layout in layouts()]),
    "layout_from_coco": _text_door(layout_from_coco, lambda: [COCO]),
    "layout_from_sidecar": _text_door(
        layout_from_sidecar, lambda: [layout_to_sidecar(layout) for layout in layouts()]
    ),
    "layout_from_elements": read_elements,
    "layout_from_boxes": read_boxes,
    "region_numbers": read_numbers,
    "write_layout": use_layout,
    "read_checkpoint": read_weights,
    "read_diffusers_folder": read_folder,
    "read_adapter": read_adapter_file,
}


def forgotten() -> list[str]:
    """Readers of layouts anywhere in reco_core, by their names, that are not in the table."""
    named = re.compile("read_|parse_|layout_from_")
    return [
        name
        for module in pkgutil.walk_packages(reco_core.__path__, "reco_core.")
        for name, reader in inspect.getmembers(import_module(module.name), inspect.isfunction)
        if named.match(name) and reader.__module__ == module.name and name not in DOORS
        if reader.__annotations__["return"] in ("Reading", "Layout")
        and "Source" not in reader.__annotations__.values()
    ]
