"""What the editor asks the server: how many tokens a layout takes, and to read and write the forms
in which layouts are pasted and copied.

The questions' parameters tell a request's JSON: their names, types and defaults are checked.
"""

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..reco_core.checks import quote, read_json
from ..reco_core.drawing import masks_lost
from ..reco_core.forms.form import Form
from ..reco_core.forms.table import FORMS, read_layout, write_layout
from ..reco_core.joining import share_out
from ..reco_core.layout import Layout
from ..reco_core.remarks import Reading, Remark
from .account import Account, read_prompt, strange_regions
from .readers import NO_CHECKPOINT, Reader, find_readers
from .recalling import recall as recalled
from .remarks import all_remarks


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


def count(layout: dict, readers: list | None = None) -> dict:
    """Tokens of a layout for those who read it, as find_readers takes them; of several with
    another account each, for the one with the least room.

    Returns {"limit": tokens it reads, of all sequences that are joined, or None without any,
    "used", "caption", "regions": tokens of each, "overflow": indices from 0 of those that do not
    fit, "strange": indices of those with words that it was not trained on, "remarks": all there is
    to know, "size": [width, height] in pixels that it was trained for, the layout's own if it was,
    or None}.
    """
    parsed = Layout.from_data(layout)
    found = find_readers(readers or [])
    accounts = [read_prompt(reader.tokenizer, parsed) for reader in found]
    reader, account = min(
        zip(found, accounts, strict=True), key=lambda each: each[0].tokenizer.info.max_length
    )
    remarks = _remarks_of([one.name for one in found], accounts, reader.name)
    tokenizer, sequences = reader.tokenizer, _sequences(reader, account)
    is_known = tokenizer.info is not NO_CHECKPOINT
    caption = _length(account.whole.caption_span)
    return {
        "limit": sequences * tokenizer.info.max_length if is_known else None,
        "used": account.whole.needed + (sequences - 1) * caption,
        "caption": caption,
        "regions": [_length(span) for span in account.whole.region_spans],
        "overflow": list(account.dropped) if is_known and sequences == 1 else [],
        "strange": list(strange_regions(account, tokenizer)) if is_known else [],
        "remarks": [remark.to_data() for remark in remarks],
        "size": tokenizer.info.nearest_size(parsed.width, parsed.height) if is_known else None,
    }


def _sequences(reader: Reader, account: Account) -> int:
    """In how many a layout is read; 1 also where more would not hold it."""
    if not reader.joins:
        return 1
    whole = account.whole
    lengths = [_length(span) for span in whole.region_spans]
    limit = reader.tokenizer.info.max_length
    return len(share_out(_length(whole.caption_span), lengths, limit) or ((),))


def _remarks_of(readers: list[str], accounts: list[Account], counted: str) -> list[Remark]:
    """Those of all readers, each once; by name where not all of them say so."""
    everybody = set.intersection(*(set(account.remarks) for account in accounts))
    remarks = [remark for remark in accounts[0].remarks if remark in everybody]
    if len(readers) > 1:
        said = f"{len(readers)} checkpoints read this layout: {', '.join(map(quote, readers))}"
        least = f"the tokens are counted for {quote(counted)}, which reads the fewest"
        remarks.append(Remark("file", f"{said}; {least}."))
    for name, account in zip(readers, accounts, strict=True):
        own = [remark for remark in account.remarks if remark not in everybody]
        remarks += [replace(each, message=f"{quote(name)}: {each.message}") for each in own]
    return remarks


def read(text: str, width: int, height: int) -> dict:
    """{"layout", "remarks"} of any written form. width, height: of those that bring no size."""
    return _read_data(read_layout(text, width, height))


def recall(parameters: dict[str, str], file: bytes) -> dict:
    """{"layout", "remarks", "text": the layout's JSON} of a picture's file, or of one with text.

    parameters: "name" of the file, and "width" and "height" of text forms that bring no size.
    """
    unknown = parameters.keys() - {"name", "width", "height"}
    if unknown:
        raise ValueError(f"the request has {quote(min(unknown))}, which is unknown")
    sides = []
    for name in ("width", "height"):
        side = parameters.get(name, "512")
        if not (side.isascii() and side.isdecimal() and len(side) < 10):
            raise ValueError(f"{name} = {quote(side)} is no number of pixels")
        sides.append(int(side))
    reading = recalled(file, parameters.get("name", ""), *sides)
    return {**_read_data(reading), "text": write_layout(reading.layout, "json").text}


def _read_data(reading: Reading) -> dict:
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


def _length(span: tuple[int, int]) -> int:
    return span[1] - span[0]


_QUESTIONS: dict[str, Callable[..., dict]] = {"count": count, "read": read, "write": write}
