"""What the editor asks the server: how many tokens a layout takes, and to read and write the forms
in which layouts are pasted and copied.

The questions' parameters tell a request's JSON: their names, types and defaults are checked.
"""

import functools
import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import folder_paths

from ..reco_core.adapter import adapted_info, read_adapter
from ..reco_core.checkpoint_info import CheckpointInfo, full_size
from ..reco_core.checks import quote, read_json
from ..reco_core.drawing import masks_lost
from ..reco_core.family import SD1
from ..reco_core.forms.form import Form
from ..reco_core.forms.table import FORMS, read_layout, write_layout
from ..reco_core.layout import Layout
from ..reco_core.position_tokens import DEFAULT_VOCABULARY
from ..reco_core.remarks import Remark
from .account import read_prompt
from .adapter_files import adapter_names, adapter_path
from .checkpoints import read_reco_checkpoint
from .loaders import checkpoint_names, checkpoint_path, written
from .remarks import all_remarks
from .tokenizer import ReCoTokenizer

NO_CHECKPOINT = full_size(SD1, num_bins=DEFAULT_VOCABULARY.num_bins)
"""For counting before a checkpoint is chosen."""

Read = Callable[[Path], CheckpointInfo]


def answer(question: str, body: bytes) -> str:
    """JSON text of the question's function, with a request's body as its parameters.

    Raises ValueError for a body that is not of them, and as the function does.
    """
    function = _QUESTIONS[question]
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"the request is not UTF-8 text: byte {error.start} is wrong") from None
    return json.dumps(function(**_arguments(function, read_json(text))))


def _arguments(function: Callable[..., dict], data: Any) -> dict[str, Any]:
    """A request's JSON object. Raises ValueError unless it has the names and types of its
    parameters."""
    parameters = inspect.signature(function).parameters
    expected = f"expected an object with {', '.join(map(str, parameters.values()))}"
    if not isinstance(data, dict):
        raise ValueError(f"the request is {quote(data)}: {expected}")
    for name, parameter in parameters.items():
        if name not in data and parameter.default is parameter.empty:
            raise ValueError(f"the request lacks {name}: {expected}")
        if name in data and not isinstance(data[name], parameter.annotation):
            raise ValueError(f"{name} = {quote(data[name])} is of another type: {expected}")
    for name in data:
        if name not in parameters:
            raise ValueError(f"the request has {quote(name)}, which is unknown: {expected}")
    return data


def count(layout: dict, checkpoint: str | None = None, adapter: str | None = None) -> dict:
    """Tokens of a layout for a checkpoint of ReCo Load Checkpoint's list, or any that has an
    adapter of ReCo Apply Adapter's.

    Returns {"limit": tokens the checkpoint reads, or None without any, "used", "caption",
    "regions": tokens of each, "overflow": indices from 0 of those that do not fit,
    "remarks": all there is to know, "size": [width, height] in pixels that the checkpoint was
    trained for, the layout's own if it was, or None}.
    """
    parsed = Layout.from_data(layout)
    tokenizer = _tokenizer(checkpoint, adapter)
    is_known = tokenizer.info is not NO_CHECKPOINT
    account = read_prompt(tokenizer, parsed)
    return {
        "limit": tokenizer.info.max_length if is_known else None,
        "used": account.whole.needed,
        "caption": _length(account.whole.caption_span),
        "regions": [_length(span) for span in account.whole.region_spans],
        "overflow": list(account.dropped) if is_known else [],
        "remarks": [remark.to_data() for remark in account.remarks],
        "size": tokenizer.info.nearest_size(parsed.width, parsed.height) if is_known else None,
    }


def read(text: str, width: int, height: int) -> dict:
    """{"layout", "remarks"} of any written form. width, height: of those that bring no size."""
    reading = read_layout(text, width, height)
    return {
        "layout": reading.layout.to_data(),
        "remarks": [remark.to_data() for remark in all_remarks(reading)],
    }


def write(layout: dict) -> dict:
    """{form: {"label": words for a menu, "text", "remarks": what it loses}}, in menu order.

    A form that cannot hold the layout has {"label", "error"}.
    """
    parsed = Layout.from_data(layout)
    lost = masks_lost(layout)
    return {form.name: {"label": form.label, **_written(parsed, form, lost)} for form in FORMS}


def _written(layout: Layout, form: Form, lost: tuple[Remark, ...]) -> dict:
    """lost: what is to be said of the editor's drawing besides."""
    try:
        written = write_layout(layout, form.name)
    except ValueError as error:
        return {"error": str(error)}
    return {
        "text": written.text,
        "remarks": [remark.to_data() for remark in (*lost, *written.remarks)],
    }


def _tokenizer(checkpoint: str | None, adapter: str | None) -> ReCoTokenizer:
    if adapter:
        if adapter not in adapter_names():
            raise ValueError(f"there is no ReCo adapter {quote(adapter)} in models/loras")
        return _build_tokenizer(_adapter_info, adapter_path(adapter))
    if not checkpoint:
        return _build_tokenizer(None, Path())
    if checkpoint not in checkpoint_names():
        raise ValueError(f"there is no checkpoint {quote(checkpoint)}")
    return _build_tokenizer(_checkpoint_info, checkpoint_path(checkpoint))


def _build_tokenizer(read: Read | None, path: Path) -> ReCoTokenizer:
    return _remembered(read, path, written(path) if read else None)


@functools.lru_cache(maxsize=4)
def _remembered(read: Read | None, path: Path, when: object) -> ReCoTokenizer:
    """when: it was written, so that a newly trained one is read again."""
    info = read(path) if read else NO_CHECKPOINT
    embeddings = folder_paths.get_folder_paths("embeddings")
    return ReCoTokenizer(embeddings, tokenizer_data={"reco_info": info})


def _checkpoint_info(path: Path) -> CheckpointInfo:
    return read_reco_checkpoint(path)[1]


def _adapter_info(path: Path) -> CheckpointInfo:
    """Of any checkpoint with it: what its text is read by is in the adapter."""
    adapter = read_adapter(path).info
    base = full_size(adapter.family)
    (encoder,) = base.encoders
    sized = replace(base, encoders=(replace(encoder, width=adapter.text_width),))
    return adapted_info(sized, adapter)


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


_QUESTIONS: dict[str, Callable[..., dict]] = {"count": count, "read": read, "write": write}
