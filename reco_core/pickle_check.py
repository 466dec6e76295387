"""Look through a pickle of weights before anything reads it, building nothing.

torch reads pickles with a short list of classes, but some of those are as large as a number in the
file asks for. Here a pickle's program is followed with stand-ins: it may name storages, tensors
that lie within them, plain containers and what trainers leave beside the weights (pickle_names),
and nothing may be larger than the file.
"""

from __future__ import annotations

import _compat_pickle
import math
import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from .checks import quote
from .pickle_names import Kind, is_inert

MAX_PROGRAM = 8 << 20
"""Bytes of a pickle without its storages; a checkpoint with optimiser states takes some 2 MB."""

_MAX_COPIED = 1_000_000  # characters and items that calls may copy in all
_ITEM_SIZES = {"Double": 8, "Long": 8, "Float": 4, "Int": 4, "Half": 2, "BFloat16": 2, "Short": 2}
_ITEM_SIZES |= {"ComplexFloat": 8, "ComplexDouble": 16}
_TENSOR = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_PARAMETER = "torch._utils._rebuild_parameter"
_COPIES = (
    "collections.OrderedDict",
    "collections.Counter",
    "builtins.set",
    "torch.Size",
    "_codecs.encode",
)
_HARMLESS = ("torch.device", "torch.serialization._get_layout", "builtins.complex")


class CodeInPickle(ValueError):
    """The pickle names a class or function that is no part of weights: args[0]."""


@dataclass(frozen=True)
class _Name:
    text: str


@dataclass(frozen=True)
class _Storage:
    items: int


@dataclass
class _Some:
    """Anything else: how many items or characters it holds, and of which class it stands for."""

    size: int = 0
    of: str = ""


class _Mark:
    pass


def check_pickle(file: BinaryIO, size: int, inert: dict[str, Kind]) -> Any:
    """Follow one pickle from where the file stands to its end; returns its value if that is plain.

    size: bytes that its storages may have in all. inert: gets the names in it that stand for
        nothing, and of what kind their instances are.

    Raises:
        CodeInPickle: a name that weights do not need.
        ValueError: no pickle, or one that asks for more than the file can hold.
    """
    return _Reading(file, size, inert).run()


class _Reading:
    def __init__(self, file: BinaryIO, size: int, inert: dict[str, Kind]) -> None:
        self.file, self.size, self.inert = file, size, inert
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[Any, int] = {}
        self.copied = 0

    def run(self) -> Any:
        start = self.file.tell()
        for opcode, argument, position in _instructions(self.file):
            if (position or 0) - start > MAX_PROGRAM:
                raise ValueError(f"its pickle takes more than {MAX_PROGRAM >> 20} MB")
            if opcode.name == "STOP":
                return self.stack.pop()
            self.step(opcode, argument)
        raise ValueError("its pickle has no end")

    def step(self, opcode: Any, argument: Any) -> None:
        name = opcode.name
        if name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name == "MARK":
            self.stack.append(_Mark)
        elif name == "INST":
            raise CodeInPickle(".".join(_renamed(*argument.split(" ", 1))))
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif not opcode.stack_before and len(opcode.stack_after) == 1:
            self.stack.append(_plain(argument))
        elif opcode.stack_before or opcode.stack_after:
            raise ValueError(f"its pickle has the instruction {name}, which weights do not need")

    def since_mark(self) -> list[Any]:
        place = len(self.stack) - 1 - self.stack[::-1].index(_Mark)
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def name(self, text: str) -> None:
        module, _, name = text.partition(" ")
        module, name = _renamed(module, name)
        full = f"{module}.{name}"
        storage = module.split(".")[0] == "torch" and name.endswith("Storage")
        dtype = module == "torch" and name.startswith(("float", "bfloat", "int", "uint", "bool"))
        known = (*_TENSOR, _PARAMETER, *_COPIES, *_HARMLESS)
        if not storage and not dtype and full not in known:
            if not is_inert(module, name):
                raise CodeInPickle(full)
            self.inert.setdefault(full, "object")
        self.stack.append(_Name(full))

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        name = function.text if isinstance(function, _Name) else ""
        if name in _TENSOR:
            self.stack.append(self.tensor(*arguments[:4]))
        elif name == _PARAMETER:
            self.stack.append(arguments[0])
        else:
            self.copied += sum(map(_size, arguments)) if name in _COPIES else 0
            if self.copied > _MAX_COPIED:
                raise ValueError("its pickle copies its parts again and again")
            self.stack.append(_Some(of=name if name in self.inert else ""))

    def tensor(self, storage: Any, offset: Any, shape: Any, strides: Any) -> _Storage:
        """A tensor must lie within its storage, and be no larger."""
        numbers = (offset, *shape, *strides)
        if not isinstance(storage, _Storage) or not all(
            type(number) is int and number >= 0 for number in numbers
        ):
            raise ValueError("a tensor in it has no storage or no shape")
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        items = math.prod(shape)
        if items > storage.items or (items and last >= storage.items):
            raise ValueError(
                f"a tensor in it, of shape {quote(shape)}, is larger than what is stored of it"
            )
        return storage

    def storage(self) -> None:
        described = self.stack.pop()
        if not isinstance(described, tuple) or len(described) < 5:
            raise ValueError("a tensor in it has no storage")
        _, kind, key, _, items = described[:5]
        if not isinstance(kind, _Name) or type(items) is not int or items < 0:
            raise ValueError("a tensor in it has no storage")
        name = kind.text.rpartition(".")[2].removesuffix("Storage")
        self.storages[key] = items * _ITEM_SIZES.get(name, 1)
        if sum(self.storages.values()) > self.size:
            raise ValueError("its tensors are larger than the file")
        self.stack.append(_Storage(items))

    def extend(self, items: list[Any], kind: Kind) -> None:
        target = self.stack[-1]
        if isinstance(target, _Some):
            target.size += len(items)
            if target.of:
                self.inert[target.of] = kind


def _instructions(file: BinaryIO) -> Iterator[tuple[Any, Any, int | None]]:
    try:
        yield from pickletools.genops(file)
    except Exception as error:  # of bytes that are none, anything
        raise ValueError("it holds no pickle") from error


def _renamed(module: str, name: str) -> tuple[str, str]:
    """What Python 3 calls something of Python 2, whose names protocol 2 keeps."""
    module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def _plain(value: Any) -> Any:
    """A stand-in of what an instruction makes of its argument."""
    if isinstance(value, str | bytes | bytearray):
        return value if len(value) <= 64 else _Some(len(value))
    return value if isinstance(value, int | float) else _Some()


def _size(value: Any) -> int:
    if isinstance(value, _Some):
        return value.size
    return len(value) if isinstance(value, str | bytes | tuple) else 0


def _tuple(count: int) -> Callable[[_Reading, Any], None]:
    def step(reading: _Reading, _: Any) -> None:
        items = tuple(reading.stack[-count:]) if count else ()
        del reading.stack[len(reading.stack) - count :]
        reading.stack.append(items)

    return step


def _build(reading: _Reading, _: Any) -> None:
    reading.stack.pop()  # the state; what it is given to stays as it is


def _new(reading: _Reading, _: Any) -> None:
    reading.call()


def _append(reading: _Reading, _: Any) -> None:
    reading.extend([reading.stack.pop()], "list")


def _set_item(reading: _Reading, _: Any) -> None:
    pair = [reading.stack.pop(), reading.stack.pop()]
    reading.extend(pair[:1], "dict")


_STEPS: dict[str, Callable[[_Reading, Any], None]] = {
    "GLOBAL": lambda reading, text: reading.name(text),
    "STACK_GLOBAL": lambda reading, _: reading.name(
        " ".join(map(str, (reading.stack.pop(-2), reading.stack.pop())))
    ),
    "REDUCE": _new,
    "NEWOBJ": _new,
    "BUILD": _build,
    "BINPERSID": lambda reading, _: reading.storage(),
    "EMPTY_TUPLE": _tuple(0),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda reading, _: reading.stack.append(tuple(reading.since_mark())),
    "LIST": lambda reading, _: reading.stack.append(_Some(len(reading.since_mark()))),
    "DICT": lambda reading, _: reading.stack.append(_Some(len(reading.since_mark()))),
    "APPEND": _append,
    "SETITEM": _set_item,
    "APPENDS": lambda reading, _: reading.extend(reading.since_mark(), "list"),
    "SETITEMS": lambda reading, _: reading.extend(reading.since_mark(), "dict"),
    "ADDITEMS": lambda reading, _: reading.extend(reading.since_mark(), "list"),
    "POP": _build,
}
