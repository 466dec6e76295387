"""What options are made of: checked dataclasses, numbers with ranges, and errors of one line.

    @options
    class SampleConfig:
        steps: Annotated[int, Range(1, 1000)] = 20

A value that cannot be is refused where it is set, by pydantic; `build` says which it was.
"""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, partial, wraps
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass
from pydantic_core import CoreSchema, ErrorDetails, core_schema
from typing_extensions import dataclass_transform

from reco_core.checks import quote

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def options(cls: type[T]) -> type[T]:
    """A frozen dataclass that takes no value of another type, and no option it has not.

    A string below an option is its help. ValueErrors of __post_init__ are for options that do not
    go together.
    """
    config = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True)
    made: Any = checked_dataclass(cls, frozen=True, config=config)
    check = made.__init__

    @wraps(check)
    def init(self: Any, *args: Any, **values: Any) -> None:
        try:
            check(self, *args, **values)
        except ValidationError as error:
            raise ValueError(_explain(made, error, str)) from None

    made.__init__ = init
    return made


@dataclass(frozen=True)
class Range:
    """The range of an int or float option; numbers that are not finite are outside of any.

    step: whole numbers are multiples of it. above, below: whether low and high are outside.
    """

    low: float
    high: float
    step: int = 1
    above: bool = False
    below: bool = False

    def words(self, kind: type) -> str:
        """What to give: "a whole number of at least 1 and at most 8"."""
        number = "a number" if kind is float else "a whole number"
        if self.step > 1:
            number = f"a multiple of {self.step}"
        low = "above" if self.above else "of at least"
        high = "below" if self.below else "at most"
        return f"{number} {low} {_figure(self.low)} and {high} {_figure(self.high)}"

    def short(self) -> str:
        """The range for a help: "0..1", "8..1024 by 8"; an end outside of it has a sign."""
        low, high = _figure(self.low), _figure(self.high)
        by = f" by {self.step}" if self.step > 1 else ""
        return f"{'>' * self.above}{low}..{'<' * self.below}{high}{by}"

    def __contains__(self, value: float) -> bool:
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        return low and high and (self.step == 1 or value % self.step == 0)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(partial(self.check, source))

    def check(self, kind: type, value: Any) -> float:
        """The value, as a number of that kind. Raises ValueError, which says what to give."""
        kinds = (float, int) if kind is float else (int,)
        if type(value) not in kinds or value not in self:
            raise ValueError(f"give {self.words(kind)}")
        return kind(value)


@dataclass(frozen=True, eq=False)
class OneOf:
    """A union of options of several kinds, which say in `kind` which they are.

    kinds: name -> options; the first is meant where no kind is given.
    """

    kinds: Mapping[str, type]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        choices = {name: handler.generate_schema(kind) for name, kind in self.kinds.items()}
        return core_schema.tagged_union_schema(choices, self._kind_of)

    def _kind_of(self, value: Any) -> str | None:
        if isinstance(value, Mapping):
            return str(value.get("kind", next(iter(self.kinds))))
        return getattr(value, "kind", None)


@dataclass(frozen=True)
class Free:
    """Marks an option that changes no weight, so that a run may go on with another value.

    but: from a value and all options of the run, what of it must stay the same after all.
    """

    but: Callable[[Any, Any], Any] = lambda value, run: None


class _IsPlace:
    """Marks an option that names a file or a folder, or whatever else says where something is."""


IS_PLACE = _IsPlace()
Place = Annotated[str, IS_PLACE]
Share = Annotated[float, Range(0, 1)]
ShareBelowOne = Annotated[float, Range(0, 1, below=True)]
Rate = Annotated[float, Range(0, 1, above=True)]
"""Of learning."""
Weight = Annotated[float, Range(0, 1e6)]
"""Of a term in a sum; 0 leaves it out."""
Guidance = Annotated[float, Range(0, 100)]
"""Scale of classifier-free guidance; 1 is none."""
Count = Annotated[int, Range(0, 10**9)]
"""How many; 0 has a meaning of its own."""
Positive = Annotated[int, Range(1, 10**9)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
Side = Annotated[int, Range(8, 2**14, step=8)]
"""Of a picture in pixels; a latent covers 8 x 8 of them."""
SamplingSteps = Annotated[int, Range(1, 1000)]
MaxRegions = Annotated[int, Range(1, 2000)]
"""Of a picture."""
Processes = Annotated[int, Range(0, 1024)]
"""Or threads; 0 has a meaning of its own."""
Some = Annotated[tuple[T, ...], Field(min_length=1)]


def build(kind: type[T], values: Mapping[str, Any], called: Callable[[str], str] = str) -> T:
    """Options of a kind from plain values, as TOML and JSON have them.

    called: how an option is named to its user, from its dotted name.

    Raises:
        ValueError: an unknown option, or a value that cannot be: one line that quotes it and says
            what to give.
    """
    try:
        # As JSON, in which lists and tables are what TOML calls so; dates become text.
        return _reader(cast(Any, kind)).validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise ValueError(_explain(kind, error, called)) from None


@cache
def _reader(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's options, with their marks."""
    hints = get_type_hints(kind, include_extras=True)
    return {one.name: hints[one.name] for one in fields(kind)}


def refuse_unused(given: Any, names: Iterable[str], why: str, section: str = "") -> None:
    """Raise ValueError where an option that would have no effect has another value than its
    default.

    why: as it follows "has no effect": "without buckets". section: the options' name, if the
        error would not tell it: "autoencoder.".
    """
    for name in names:
        value, default = getattr(given, name), help_of(type(given), name)[1]
        if value != default:
            raise ValueError(f"{section}{name} = {quote(value)} has no effect {why}: leave it out")


def help_of(kind: type, option: str) -> tuple[str, Any]:
    """What an option means, in one line, and its default; None where it has none."""
    fields_of = [vars(one).get("__pydantic_fields__", {}) for one in kind.__mro__]
    told = [of[option] for of in fields_of if option in of]
    text = next((one.description for one in told if one.description), "")
    default = None if told[0].is_required() else told[0].get_default(call_default_factory=True)
    return " ".join(text.split()), default


def metavar(hint: Any) -> str:
    """How a value looks, for a help: its range, its choices, or its type."""
    plain, marks = bare(hint)
    ranges = [mark.short() for mark in marks if isinstance(mark, Range)]
    if ranges:
        return ranges[0]
    if get_origin(plain) is Literal:
        return f"{{{','.join(get_args(plain))}}}"
    if get_origin(plain) is tuple:
        inner = get_args(plain)
        more = ", ..." if inner[-1] is Ellipsis else ""
        return f"[{', '.join(metavar(one) for one in inner if one is not Ellipsis)}{more}]"
    return {bool: "{true,false}", str: "TEXT"}.get(plain, "TABLE")


def bare(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without `| None`, and the marks it is annotated with."""
    marks: tuple[Any, ...] = ()
    while True:
        if get_origin(hint) is Annotated:
            marks += hint.__metadata__
            hint = hint.__origin__
        elif get_origin(hint) in (Union, types.UnionType):
            (hint,) = (one for one in get_args(hint) if one is not type(None))
        else:
            return hint, marks


def kinds_of(marks: Sequence[Any]) -> Mapping[str, type]:
    """The kinds of a union of options, by its marks; of another type there are none."""
    return next((mark.kinds for mark in marks if isinstance(mark, OneOf)), {})


def owners(option: str, kinds: Mapping[str, type]) -> list[str]:
    """The kinds that have an option."""
    return [name for name, one in kinds.items() if option in hints_of(one)]


def own_options(kind: type) -> list[str]:
    """Names of a kind's options, sorted."""
    return sorted(hints_of(kind).keys() - {"kind"})


def _explain(kind: type, failed: ValidationError, called: Callable[[str], str]) -> str:
    """The first thing that was wrong, in one line."""
    error = failed.errors(include_url=False)[0]
    names: list[str] = []
    chain: list[Any] = [kind]  # what each step of the place is taken in
    for step in error["loc"]:
        plain, marks = bare(chain[-1])
        kinds = kinds_of(marks)
        if is_dataclass(plain) and isinstance(step, int):  # the place of an argument
            step = list(hints_of(plain))[step]  # type: ignore[arg-type]
        if not kinds:
            names.append(str(step))
        chain.append(kinds[str(step)] if kinds else _inside(plain, step))
    name, value = ".".join(names), error["input"]
    plain, marks = bare(chain[-1])
    if error["type"] == "value_error" and (is_dataclass(plain) or kinds_of(marks)):
        return f"{name}: {error['ctx']['error']}" if name else str(error["ctx"]["error"])
    if error["type"] == "unexpected_keyword_argument":
        return _unknown(names, chain, error["loc"], called)
    if error["type"] == "union_tag_invalid":
        name, value = f"{name}.kind", error["ctx"]["tag"]
        advice = f"choose from {', '.join(kinds_of(marks))}"
    elif error["type"] == "missing" and get_origin(bare(chain[-2])[0]) is tuple:
        name = ".".join(names[:-1])
        advice = f"give a list of {len(get_args(bare(chain[-2])[0]))}"
    else:
        advice = _advice(error, plain, name)
    return f"{called(name)} = {quote(value)}: {advice}"


def _inside(hint: Any, step: str | int) -> Any:
    if is_dataclass(hint):
        return hints_of(hint).get(str(step))  # type: ignore[arg-type]
    inner = get_args(hint)
    return inner[0] if inner[1:] == (Ellipsis,) else inner[int(step)]


def _unknown(
    names: list[str], chain: list[Any], place: Sequence[str | int], called: Callable[[str], str]
) -> str:
    name, known = ".".join(names), own_options(bare(chain[-2])[0])
    kinds = kinds_of(bare(chain[-3])[1]) if len(chain) > 2 else {}
    if others := owners(names[-1], kinds):
        has = f"{place[-2]} has: {', '.join(known)}"
        return f"{called(name)} is an option of {', '.join(others)}; {has}"
    near = difflib.get_close_matches(names[-1], known, 1)
    meant = f"did you mean {called('.'.join([*names[:-1], *near]))!r}? " if near else ""
    return f"unknown option {called(name)!r}: {meant}choose from {', '.join(known)}"


def _advice(error: ErrorDetails, hint: Any, name: str) -> str:
    if get_origin(hint) is Literal:
        return f"choose from {', '.join(get_args(hint))}"
    return {
        "value_error": str(error.get("ctx", {}).get("error")),
        "string_type": "give text, in quotes",
        "bool_type": "give true or false",
        "tuple_type": "give a list",
        "too_short": "give at least one",
        "too_long": f"give a list of {len(get_args(hint))}",
        "dataclass_type": f"give a table [{name}]",
        "union_tag_not_found": f"give a table [{name}]",
    }.get(error["type"], error["msg"])


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"


def name_of_place(place: str) -> str:
    """The last part of a path or address, of any system: what it may be called elsewhere."""
    return place.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
