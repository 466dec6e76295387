"""What a trainer leaves beside the weights in a pickle, by the names of its classes.

Nothing of it is ever imported: where a pickle names such a class, a stand-in that takes anything
and does nothing is built, and thrown away. Names of all that could run code when it is called are
of no such kind and are refused: functions, methods, and whatever else of Python's own.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Literal

from .patterns import pattern

Kind = Literal["object", "list", "dict"]
"""What a pickle does with an instance: nothing, append to it, or set its items."""

# Libraries whose objects trainers keep: settings, callbacks, modules, schedulers. Only classes
# are meant, which are known by their capital.
_LIBRARIES = (
    "pytorch_lightning",
    "lightning",
    "lightning_fabric",
    "lightning_utilities",
    "torchmetrics",
    "omegaconf",
    "easydict",
    "transformers",
    "diffusers",
    "ldm",
    "taming",
    "torch.nn",
    "torch.optim",
)
_CLASS = pattern(r"_?[A-Z]\w*")
_NUMPY = pattern(
    r"numpy\.(?:dtype|ndarray|bool_?|str_|bytes_|u?int\d+|float\d+|complex\d+|dtypes\.\w+DType"
    r"|_?core\.multiarray\.(?:scalar|_reconstruct)"
    r"|random\._pickle\.__(?:randomstate|generator|bit_generator)_ctor|random\._\w+\.[A-Z]\w+"
    r"|random\.bit_generator\.(?:__pyx_unpickle_)?SeedSequence)"
)
_PATHS = "Path PurePath PosixPath PurePosixPath WindowsPath PureWindowsPath"
_VALUES = {
    "argparse": "Namespace",
    "builtins": "bool bytes dict float frozenset int list object range slice str tuple type",
    "collections": "defaultdict deque",
    "copyreg": "_reconstructor",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "operator": "getitem",  # by which typing writes List[int]
    "_operator": "getitem",
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,
    "torch.torch_version": "TorchVersion",
    "types": "GenericAlias NoneType SimpleNamespace UnionType",
    "typing": "Any Callable Dict FrozenSet List Literal Mapping Optional Sequence Set Tuple Type "
    "Union",
    "uuid": "UUID SafeUUID",
}
"""Plain values of Python and torch, and how pickles write these."""


def is_inert(module: str, name: str) -> bool:
    """Whether a name in a pickle stands for nothing that weights need, and nothing that runs."""
    if name in _VALUES.get(module, "").split() or _NUMPY.fullmatch(f"{module}.{name}"):
        return True
    of_library = any(module == root or module.startswith(f"{root}.") for root in _LIBRARIES)
    return of_library and _CLASS.fullmatch(name) is not None


def stand_in(full: str, kind: Kind) -> Any:
    """A class of that name, whose instances are thrown away."""
    module, _, name = full.rpartition(".")
    return type(name, (_BASES[kind],), {"__module__": module})


class _Inert:
    def __init__(self, *args: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _InertList(_Inert, list):
    pass


class _InertDict:
    """torch sets items of plain dicts alone."""

    def __new__(cls, *args: object) -> Any:
        return OrderedDict()


_BASES: dict[Kind, type] = {"object": _Inert, "list": _InertList, "dict": _InertDict}
