"""Words to values, by a table of flags (the manner is that of Go's urfave/cli, which runc uses).

    --flag value    --flag=value    -flag value    -f value      a boolean flag takes no value, or =true, =false
    --              ends the flags; so does the first word that is not one
"""

import os
from collections.abc import Mapping, Sequence

import msgspec

from runtime.errors import Usage


class Flag(msgspec.Struct, frozen=True):
    """`kind` is str, int, bool, or list (may be given more than once). `short` is one letter, or nothing."""

    kind: type
    help: str
    short: str = ""
    choices: tuple[str, ...] = ()


YES = ("1", "t", "T", "true", "TRUE", "True")  # Go's strconv.ParseBool
NO = ("0", "f", "F", "false", "FALSE", "False")

Flags = Mapping[str, Flag]
Value = str | int | bool | list[str]


class Parsed(msgspec.Struct, frozen=True):
    """The flags' values by name, those that were not given included; and the words after the flags."""

    flags: dict[str, Value]
    words: list[str]

    def text(self, name: str) -> str:
        return str(self.flags[name])

    def number(self, name: str) -> int:
        return int(str(self.flags[name]))

    def on(self, name: str) -> bool:
        return bool(self.flags[name])

    def many(self, name: str) -> list[str]:
        value = self.flags[name]
        return value if isinstance(value, list) else []


class Call(msgspec.Struct, frozen=True):
    """One call of a verb: the directory of the containers' state, and what follows the verb."""

    root: str
    given: Parsed
    systemd: bool = False


def parse(words: Sequence[str], flags: Flags, *, mixed: bool = False) -> Parsed:
    """Flags first, then the rest; with `mixed` flags may stand behind the words, too. Raises Usage."""
    names = {**{name: name for name in flags}, **{flag.short: name for name, flag in flags.items() if flag.short}}
    values: dict[str, Value] = {name: flag.kind() for name, flag in flags.items()}
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return Parsed(values, [*rest, *left])
        if not word.startswith("-") or word == "-":
            if not mixed:
                return Parsed(values, [word, *left])
            rest.append(word)
            continue
        given, equals, value = word.lstrip("-").partition("=")
        name = names.get(given, "")
        if not name:
            raise Usage(f"flag provided but not defined: {word.split('=')[0]}")
        if not equals and flags[name].kind is not bool:
            if not left:
                raise Usage(f"flag needs an argument: --{name}")
            value = left.pop(0)
        values[name] = add(name, flags[name], values[name], value, given=bool(equals))
    return Parsed(values, rest)


def add(name: str, flag: Flag, before: Value, value: str, *, given: bool) -> Value:
    """The flag's value after this one was given."""
    if flag.choices and value not in flag.choices:
        raise Usage(f"invalid value {quoted(value)} for flag --{name}: expected {', '.join(flag.choices)}")
    if flag.kind is bool:
        if given and value not in (*YES, *NO):
            raise Usage(f"invalid boolean value {value!r} for flag --{name}")
        return not given or value in YES
    if flag.kind is int:
        if not value.isascii() or not value.isdigit():
            raise Usage(f"invalid value {quoted(value)} for flag --{name}: expected a number")
        return int(value)
    return [*before, value] if isinstance(before, list) else value


def quoted(word: str) -> str:
    """In double quotes, as Go has it, and on one line whatever is in it."""
    return f'"{repr(word)[1:-1]}"'


def help_text(usage: str, summary: str, rows: Sequence[tuple[str, str]], flags: Flags) -> str:
    """The page that --help prints."""
    options = [(f"-{flag.short}, --{name}" if flag.short else f"    --{name}", flag.help)
               for name, flag in flags.items()]
    width = max((len(left) for left, _ in (*rows, *options)), default=0)
    tables = (("Commands", rows), ("Options", options))
    parts = [f"{title}:\n" + "\n".join(f"  {left:{width}}   {right}" for left, right in table)
             for title, table in tables if table]
    return "\n\n".join([f"Usage: {usage}", summary, *parts])


def absolute(path: str) -> str:
    """The path a flag names, if it was given."""
    return os.path.abspath(path) if path else ""
