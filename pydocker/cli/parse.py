"""How a command line is cut into flags and arguments: the rules of Go's pflag, which are Docker's users' habits.

    --name value   --name=value   -n value   -nvalue   -n=value   -it   --rm   --rm=false   --   -

They differ from click's own parser in `--switch=false`, in `-n=value`, and in the words of the errors. `run` and `exec`
stop at the first argument that is no flag: what follows belongs to the container.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pydocker.cli.errors import BadUsage
from pydocker.cli.flags import Flag

HELP = "help"


class Parsed(NamedTuple):
    """Texts by parameter name, as often as they were given; the arguments; whether help was asked for."""

    given: dict[str, list[str]]
    arguments: tuple[str, ...]
    help: bool


def parse(args: Sequence[str], flags: Sequence[Flag], *, interspersed: bool) -> Parsed:
    """Cut `args`. Raises BadUsage for what is no flag, and for a flag without its value."""
    return _Cutter(args, flags, interspersed).cut()


class _Cutter:
    def __init__(self, args: Sequence[str], flags: Sequence[Flag], interspersed: bool) -> None:
        self._rest = list(args)
        self._named = {name: flag for flag in flags for name in flag.opts}
        self._interspersed = interspersed
        self._given: dict[str, list[str]] = {}
        self._arguments: list[str] = []
        self._help = False

    def cut(self) -> Parsed:
        while self._rest and not self._help:
            word = self._rest.pop(0)
            if word == "--":
                break
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and word != "-":
                self._cluster(word)
            else:
                self._arguments.append(word)
                if not self._interspersed:
                    break
        return Parsed(self._given, (*self._arguments, *self._rest), self._help)

    def _long(self, word: str) -> None:
        name, separator, text = word.partition("=")
        flag = self._named.get(name)
        if flag is None:
            if name != "--help":
                raise BadUsage(f"unknown flag: {name}")
            self._help = True
        elif separator:
            self._put(flag, text)
        elif flag.implied is not None:
            self._put(flag, flag.implied)
        else:
            self._put(flag, self._next(f"flag needs an argument: {name}"))

    def _cluster(self, word: str) -> None:
        """`-itv x`: switches, and at its end perhaps one flag with a value."""
        letters = word[1:]
        while letters and not self._help:
            letter, letters = letters[0], letters[1:]
            flag = self._named.get("-" + letter)
            if flag is None:
                if letter != "h":
                    raise BadUsage(f"unknown shorthand flag: '{letter}' in {word}")
                self._help = True
            elif letters.startswith("="):
                self._put(flag, letters[1:])
                letters = ""
            elif flag.implied is not None:
                self._put(flag, flag.implied)
            else:
                self._put(flag, letters or self._next(f"flag needs an argument: '{letter}' in {word}"))
                letters = ""

    def _next(self, complaint: str) -> str:
        if not self._rest:
            raise BadUsage(complaint)
        return self._rest.pop(0)

    def _put(self, flag: Flag, text: str) -> None:
        assert flag.name is not None
        self._given.setdefault(flag.name, []).append(text)
