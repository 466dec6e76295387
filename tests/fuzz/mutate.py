"""A seeded mutator: real inputs, and inputs near them that nobody would write."""

from __future__ import annotations

import json
import random
from typing import Any

NUMBERS = [0, -0.0, 1, -1, 0.5, 1e-320, 1e308, 10**25, 10**400, 2**63, -(2**31), 1001, 99999]
PIECES = [
    *("(", ")", ":", "<", ">", "[", "]", "{", "}", '"', "'", ",", "|", "\\", "/", "-", "#", "&"),
    *("<bin", "<1>", "<1000>", "<1001>", "<-1>", "<0.5>", "<|endoftext|>", "<|startoftext|>"),
    *("<bbox>", "</bbox>", "```", "```json\n", "bbox_2d", "NaN", "Infinity", "null", "1e999"),
    *("embedding:x", "embedding:", "BREAK", "AND", "__a__", "(a:1.5)", "(a:nan)", "\x00", "\ufeff"),
    *(
        "\ud800",
        "\udfff",
        "\u202e",
        "\u200b",
        "字",
        "é",
        "🐴",
        "\t",
        "\n",
        "\r\n",
        " " * 50,
        "9" * 30,
    ),
]
ODD = [None, True, False, "", " ", "a", [], {}, [[]], [1], {"a": 1}, *NUMBERS]
LONG = 30_000  # of a piece that is repeated


def mutated_text(rng: random.Random, text: str, others: list[str]) -> str:
    """Some edits of a text: pieces put in, taken out, doubled, repeated often, or of another."""
    for _ in range(rng.choice((0, 1, 1, 2, 3, 6))):
        start = rng.randint(0, len(text))
        stop = min(len(text), start + rng.choice((0, 1, 3, 20, 200)))
        edit = rng.randrange(7)
        if edit == 0:
            put = rng.choice(PIECES)
        elif edit == 1:
            put = ""
        elif edit == 2:
            put = text[start:stop] * 2
        elif edit == 3:
            put = rng.choice(PIECES) * rng.choice((2, 10, 100, LONG // 10))
        elif edit == 4:
            put = chr(
                rng.choice((rng.randrange(128), rng.randrange(0x3000), rng.randrange(0x11000)))
            )
        elif edit == 5:
            other = rng.choice(others)
            cut = rng.randint(0, len(other))
            put = other[cut : cut + rng.choice((5, 50, 5000))]
        else:
            put = text[start:stop][::-1]
        text = text[:start] + put + text[stop:]
    return text


def mutated_data(rng: random.Random, data: Any, depth: int = 0) -> Any:
    """Data like JSON's with some values replaced, keys lost, lists grown or shortened."""
    if depth > 60:
        return data
    if rng.random() < 0.06:
        return rng.choice(ODD)
    if isinstance(data, dict):
        changed = {key: mutated_data(rng, value, depth + 1) for key, value in data.items()}
        if changed and rng.random() < 0.08:
            changed.pop(rng.choice(list(changed)))
        if rng.random() < 0.05:
            changed[rng.choice(("x", "", "text", "box", "bbox", *changed))] = rng.choice(ODD)
        return changed
    if isinstance(data, list):
        items = [mutated_data(rng, item, depth + 1) for item in data]
        edit = rng.random()
        if edit < 0.05:
            return items[: rng.randint(0, len(items))]
        if edit < 0.1:
            return items * rng.choice((2, 3, 50))
        return [items] if edit < 0.12 else items
    if isinstance(data, str):
        return mutated_text(rng, data, [data]) if rng.random() < 0.1 else data
    if isinstance(data, int | float) and not isinstance(data, bool) and rng.random() < 0.15:
        return rng.choice((data * 1000, -data, float(data), str(data), data / 7, *NUMBERS))
    return data


def mutated_json(rng: random.Random, text: str, others: list[str]) -> str:
    """A text of JSON with its data changed, or edited as a text, or both."""
    try:
        if rng.random() < 0.7:
            text = json.dumps(mutated_data(rng, json.loads(text)))
    except ValueError:
        pass
    return mutated_text(rng, text, others) if rng.random() < 0.4 else text


def mutated_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bytes with some flipped, cut out, put in, or the end lost."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5, 50))):
        if not changed:
            break
        # Headers lie at the beginning and directories at the end.
        near = rng.choice((64, 4096, len(changed)))
        place = rng.randrange(min(near, len(changed)))
        place = rng.choice((place, len(changed) - 1 - place))
        edit = rng.randrange(5)
        if edit == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif edit == 1:
            changed[place] = rng.choice((0, 255, rng.randrange(256)))
        elif edit == 2:
            del changed[place : place + rng.choice((1, 8, 100, 10_000))]
        elif edit == 3:
            changed[place:place] = rng.randbytes(rng.choice((1, 8, 100)))
        else:
            del changed[place:]
    return bytes(changed)


def mutated_safetensors(rng: random.Random, data: bytes) -> bytes:
    """A .safetensors file whose header says something else, or with other bytes."""
    if rng.random() < 0.3:
        return mutated_bytes(rng, data)
    length = int.from_bytes(data[:8], "little")
    header, tensors = json.loads(data[8 : 8 + length]), data[8 + length :]
    change = rng.randrange(5)
    if change == 0:
        header = mutated_data(rng, header)
    elif change == 1:
        name = rng.choice([key for key in header if key != "__metadata__"])
        header[name] = mutated_data(rng, {**header[name], "dtype": rng.choice(("F32", "I8", "X"))})
    elif change == 2:
        metadata = header.get("__metadata__", {})
        odd = (str(rng.choice(ODD)), "[" * 5000, "-1", "1e9", '["a", 1]', "x" * 50_000)
        for key in rng.sample(sorted(metadata), min(2, len(metadata))):
            metadata[key] = rng.choice(odd)
        header["__metadata__"] = metadata
    elif change == 3:
        for name in rng.sample(sorted(header), min(len(header), rng.choice((1, 3, 30)))):
            del header[name]
    else:
        header = {mutated_text(rng, k, list(header)): v for k, v in header.items()}
    text = json.dumps(header, ensure_ascii=True).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + tensors
