"""Command lines whose options are those of a class: made from it, and shown with its help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args, get_origin

from train.options import bare, help_of, hints_of, metavar, own_options, owners

Kinds = Callable[[], Mapping[str, type]]
"""Loads name -> options; only called when they are needed."""


class OptionsParser(argparse.ArgumentParser):
    """A parser that can also take the options of what a flag chooses, and OPTION=VALUE words."""

    flag = ""
    kinds: Kinds
    default: str | None = None
    hidden: Sequence[str] = ()
    sections: Callable[[], str] | None = None
    has_overrides = False

    def choose(
        self,
        flag: str,
        kinds: Kinds,
        text: str,
        default: str | None = None,
        hidden: Sequence[str] = (),
    ) -> None:
        """Take a flag, and the options of the kind that it chooses: see `given`.

        text: the flag's help. hidden: options that the command sets itself.
        """
        self.add_argument(flag, default=default, metavar="NAME", help=text)
        self.flag, self.kinds, self.default, self.hidden = flag, kinds, default, ("kind", *hidden)

    def add_overrides(self, example: str, sections: Callable[[], str] | None = None) -> None:
        """Take words OPTION=VALUE, or --OPTION=VALUE. sections: what `--help` says of them."""
        self.has_overrides, self.sections = True, sections
        text = f"or --OPTION=VALUE, for instance {example}"
        self.add_argument("overrides", nargs="*", metavar="OPTION=VALUE", help=text)

    def parse_known_args(self, args=None, namespace=None):
        """As ArgumentParser, with the options of the kind that the words choose."""
        words = list(sys.argv[1:] if args is None else args)
        if self.has_overrides:
            words = [self._without_dashes(word) for word in words]
        kind = self._add_chosen(words) if self.flag else None
        found, rest = super().parse_known_args(words, namespace)
        for word in rest if self.flag else ():
            self._refuse_others(word, kind)
        return found, rest

    def format_help(self) -> str:
        """The help, with that of every kind where none is chosen."""
        text = super().format_help()
        if self.flag and not self._chosen:
            parts = [_section(self._title(n), k, self.hidden) for n, k in self.kinds().items()]
            text = "\n".join([text, *parts])
        return text + (f"\n{self.sections()}" if self.sections else "")

    _chosen: str | None = None

    def _title(self, kind: str) -> str:
        return f"options of {self.flag} {kind}"

    def _add_chosen(self, words: Sequence[str]) -> str | None:
        kind = self.default
        for place, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name == self.flag:
                kind = value if equals else next(iter(words[place + 1 :]), None)
                self._chosen = kind
        if kind is None or (not self._chosen and {"-h", "--help"} & set(words)):
            return kind
        if kind not in self.kinds():
            raise ValueError(f"{self.flag} {kind}: choose from {', '.join(self.kinds())}")
        one = self.kinds()[kind]
        add_options(self.add_argument_group(self._title(kind), one.__doc__), one, self.hidden)
        return kind

    def _refuse_others(self, word: str, kind: str | None) -> None:
        kinds, flag = self.kinds(), word.partition("=")[0]
        option = flag.removeprefix("--").replace("-", "_")
        others = owners(option, kinds) if flag.startswith("--") else []
        if not others or option in self.hidden:
            return
        if kind is None:
            raise ValueError(f"{flag} is an option of {', '.join(others)}: give {self.flag}")
        own = ", ".join(map(flag_of, own_options(kinds[kind])))
        raise ValueError(
            f"{flag} is no option of {self.flag} {kind}, but of {', '.join(others)}; {kind} has: "
            f"{own}"
        )

    def _without_dashes(self, word: str) -> str:
        flag, equals, _ = word.partition("=")
        own = any(known.startswith(flag) for known in self._option_string_actions)
        return word.removeprefix("--") if equals and flag.startswith("--") and not own else word


def add_options(group: Any, kind: type, hidden: Sequence[str] = ()) -> None:
    """Add the options of a class to a group, as --flags with help, range and default."""
    for name, hint in hints_of(kind).items():
        if name in hidden:
            continue
        text, default = help_of(kind, name)
        plain, _ = bare(hint)
        text = f"{text}{_default(default)}".replace("%", "%%")
        words: dict[str, Any] = {"help": text.strip(), "default": argparse.SUPPRESS}
        if plain is bool:
            words["action"] = argparse.BooleanOptionalAction
        elif get_origin(plain) is tuple:
            inner = get_args(plain)
            words["nargs"] = "+" if inner[-1] is Ellipsis else len(inner)
            words |= _value(inner[0])
        else:
            words |= _value(hint)
        group.add_argument(flag_of(name), **words)


def given(arguments: argparse.Namespace, kind: type, hidden: Sequence[str] = ()) -> dict[str, Any]:
    """The options of a class that were given, as plain values for `build`."""
    names = hints_of(kind).keys() - {"kind", *hidden}
    return {name: value for name, value in vars(arguments).items() if name in names}


def flag_of(option: str) -> str:
    """How an option is named on the command line."""
    return f"--{option.replace('_', '-')}"


def in_range(kind: Any) -> Callable[[str], Any]:
    """A `type` for add_argument: a number with a range, such as train.options.Positive."""
    plain, marks = bare(kind)

    def value(word: str) -> Any:
        try:
            found = plain(word)
        except ValueError:
            found = word
        try:
            return marks[0].check(plain, found)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{word}: {error}") from None

    return value


def _section(title: str, kind: type, hidden: Sequence[str]) -> str:
    parser = argparse.ArgumentParser(add_help=False, usage=argparse.SUPPRESS)
    add_options(parser.add_argument_group(title, kind.__doc__), kind, hidden)
    return parser.format_help()


def _value(hint: Any) -> dict[str, Any]:
    """How a word becomes a value; what is none is left for `build` to refuse."""
    plain, _ = bare(hint)

    def value(word: str) -> Any:
        try:
            return plain(word)
        except ValueError:
            return word

    return {"metavar": metavar(hint)} | ({"type": value} if plain in (int, float) else {})


def _default(value: Any) -> str:
    if isinstance(value, tuple):
        value = " ".join(map(str, value))
    return f" (default: {value})" if isinstance(value, int | float) or value else ""
