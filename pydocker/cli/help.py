"""What `--help` shows, laid out as Docker lays it out: usage, one sentence, aliases, flags in two columns."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from pydocker.cli.flags import Flag

if TYPE_CHECKING:  # the two know each other: a command shows its help, the help describes a command
    from pydocker.cli.command import Command, Group

_WIDTH = 80


def command_help(ctx: click.Context, command: "Command") -> str:
    """The help of one command."""
    parts = [f"Usage:  {command.usage(ctx)}", str(command.help)]
    if command.details:
        parts.append(command.details)
    if command.aliases:
        parts.append("Aliases:\n  " + ", ".join(f"pydocker {alias}" for alias in command.aliases))
    if command.flags:
        parts.append("Options:\n" + "\n".join(_flag_lines(command.flags)))
    return "\n\n".join(parts) + "\n"


def group_help(ctx: click.Context, group: "Group") -> str:
    """The help of a group: its commands under their titles."""
    parts = [f"Usage:  {group.usage(ctx)}", str(group.help)]
    parts += [f"{title}:\n" + "\n".join(_entries(group, names)) for title, names in group.titles.items()]
    if group.flags:
        parts.append("Global Options:\n" + "\n".join(_flag_lines(group.flags)))
    parts.append(f"Run '{ctx.command_path} COMMAND --help' for more information on a command.")
    return "\n\n".join(parts) + "\n"


def _entries(group: "Group", names: Iterable[str]) -> list[str]:
    return [f"  {name:<10}  {group.entries[name][1]}" for name in names]


def _flag_lines(flags: Sequence[Flag]) -> list[str]:
    labels = {_label(flag): _sentence(flag) for flag in sorted(flags, key=lambda flag: str(flag.name))
              if not flag.hidden}
    column = max(map(len, labels)) + 3
    return [line for label, sentence in labels.items() for line in _columns(label, sentence, column)]


def _label(flag: Flag) -> str:
    short = next((name for name in flag.opts if not name.startswith("--")), "")
    long = next(name for name in flag.opts if name.startswith("--"))
    return f"  {short + ',' if short else '   '} {long} {flag.type.name}".rstrip()


def _sentence(flag: Flag) -> str:
    return f"{flag.help} (default {flag.shown})" if flag.shown else str(flag.help)


def _columns(label: str, sentence: str, column: int) -> list[str]:
    lines = textwrap.wrap(sentence, max(_WIDTH - column, 24))
    return [label.ljust(column) + lines[0], *(" " * column + line for line in lines[1:])]
