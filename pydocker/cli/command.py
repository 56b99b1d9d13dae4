"""Commands in Docker's manner, on click's classes: its flags' grammar, its help, its complaints.

A command is a function that gets the session, its arguments and its flags, and returns an exit status:

    def stop(session: Session, arguments: tuple[str, ...], *, timeout: int | None, signal: str | None) -> int

click supplies the tree (groups, contexts, the path for the usage line) and the typed options; the parser is
`parse` (pflag's rules), since click's own has other ideas of `--rm=false` and of where a container's command begins.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from pydocker.cli.errors import BadUsage, CommandError
from pydocker.cli.flags import Absent, Flag
from pydocker.cli.help import command_help, group_help
from pydocker.cli.parse import Parsed, parse
from pydocker.cli.session import Session


class Arity(NamedTuple):
    """How many arguments a command takes; `most` None: any number."""

    least: int
    most: int | None

    def check(self, command: str, count: int) -> None:
        """Raises BadUsage (status 1) in Docker's words."""
        if count < self.least or (self.most is not None and count > self.most):
            raise BadUsage(
                f"pydocker: '{command}' {self._wanted()}", exit_code=1, hint="See" if self.most is None else "Run")

    def _wanted(self) -> str:
        if self.most == 0:
            return "accepts no arguments"
        if self.least == self.most:
            return f"requires {_arguments(self.least)}"
        if self.most is None:
            return f"requires at least {_arguments(self.least)}"
        return f"requires {f'at least {self.least} and ' * bool(self.least)}at most {_arguments(self.most)}"


NONE, ONE, TWO, SOME = Arity(0, 0), Arity(1, 1), Arity(2, 2), Arity(1, None)


def _arguments(count: int) -> str:
    return f"{count} argument" + ("" if count == 1 else "s")


class ShowHelp(Exception):
    """`--help` was given: its text."""


class Command(click.Command):
    """One command. `synopsis` is what its usage line says behind its name; `aliases` are shown by its help."""

    def __init__(
        self, name: str, run: Callable[..., int], *, synopsis: str, arity: Arity, help: str, flags: Sequence[Flag] = (),
        interspersed: bool = True, aliases: Sequence[str] = (), details: str = "",
    ) -> None:
        super().__init__(name, callback=run, params=list(flags), help=help, add_help_option=False)
        self.flags = tuple(flags)
        self.synopsis = synopsis
        self.arity = arity
        self.interspersed = interspersed
        self.aliases = aliases
        self.details = details

    def usage(self, ctx: click.Context) -> str:
        """`pydocker run [OPTIONS] IMAGE [COMMAND] [ARG...]`"""
        options = " [OPTIONS]" if self.flags else ""
        return f"{ctx.command_path}{options}{' ' if self.synopsis else ''}{self.synopsis}"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            parsed = parse(args, self.flags, interspersed=self.interspersed)
            if parsed.help:
                raise ShowHelp(command_help(ctx, self))
            ctx.params = taken(ctx, self.flags, parsed)
            self.arity.check(ctx.command_path, len(parsed.arguments))
        except BadUsage as error:
            error.at(ctx.command_path, self.usage(ctx))
            raise
        return []

    def invoke(self, ctx: click.Context) -> Any:
        assert self.callback is not None
        return self.callback(ctx.obj, ctx.params.pop("arguments"), **ctx.params)


class Group(click.Group):
    """Commands by name, each imported when it is called: `entries` is name -> ("module:ATTRIBUTE", one line of help).

    `titles` groups them in the help; a name that stands under no title works, and is not shown (an alias).
    """

    def __init__(
        self, name: str, *, help: str, entries: Mapping[str, tuple[str, str]], titles: Mapping[str, Sequence[str]],
        flags: Sequence[Flag] = (),
    ) -> None:
        super().__init__(name, params=list(flags), help=help, add_help_option=False)
        self.flags = tuple(flags)
        self.entries = entries
        self.titles = titles

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({name for names in self.titles.values() for name in names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.entries:
            return None
        module, _, attribute = self.entries[cmd_name][0].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def usage(self, ctx: click.Context) -> str:
        """What its help begins with."""
        return f"{ctx.command_path} [OPTIONS] COMMAND" if self.flags else f"{ctx.command_path} COMMAND"

    def _usage_of_errors(self, ctx: click.Context) -> str:
        """The root's has words for what follows, the others' have none: so Docker's are."""
        return f"{self.usage(ctx)} [ARG...]" if self.flags else ctx.command_path

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            parsed = parse(args, self.flags, interspersed=False)
            if parsed.help:
                raise ShowHelp(group_help(ctx, self))
            ctx.params = taken(ctx, self.flags, parsed)
        except BadUsage as error:
            error.at(ctx.command_path, self._usage_of_errors(ctx))
            raise
        return []

    def invoke(self, ctx: click.Context) -> Any:
        arguments = ctx.params.pop("arguments")
        session: Session = ctx.obj
        if not arguments:
            session.warn(group_help(ctx, self).rstrip("\n"))
            return 0
        if arguments[0] == "help":
            return self._help(ctx, arguments[1:])
        return self._run(ctx, arguments)

    def _run(self, ctx: click.Context, arguments: tuple[str, ...]) -> int:
        name, *rest = arguments
        command = self.get_command(ctx, name)
        if command is None:
            error = BadUsage(f"pydocker: unknown command: {ctx.command_path} {name}", exit_code=1)
            error.at(ctx.command_path, "" if self.flags else self._usage_of_errors(ctx))
            raise error
        with command.make_context(name, rest, parent=ctx) as inner:
            status: int = command.invoke(inner)
            return status

    def _help(self, ctx: click.Context, words: tuple[str, ...]) -> int:
        return self._run(ctx, (*words, "--help")) if words else _show(group_help(ctx, self))


def _show(text: str) -> int:
    raise ShowHelp(text)


def taken(ctx: click.Context, flags: Sequence[Flag], parsed: Parsed) -> dict[str, Any]:
    """What the function gets: its arguments, and every flag.

    Raises BadUsage for a text that its kind refuses, CommandError (125) for a flag that is not there yet.
    """
    values = {str(flag.name): _value(ctx, flag, parsed.given.get(str(flag.name))) for flag in flags}
    for flag in flags:
        if isinstance(flag, Absent) and any(item is not False for item in values.pop(str(flag.name))):
            reason = f": {flag.why}" if flag.why else " by pydocker yet"
            raise CommandError(f"pydocker: {flag.opts[-1]} is not supported{reason}", 125)
    return {**values, "arguments": parsed.arguments}


def _value(ctx: click.Context, flag: Flag, given: list[str] | None) -> Any:
    if given is not None:
        return flag.type_cast_value(ctx, flag.consumed(given))
    if flag.multiple:
        return ()
    return flag.shown == "true" if flag.implied == "true" else None
