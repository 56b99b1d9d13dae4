"""Rules of iptables-legacy, which are in the kernel beside nftables', and which nft(8) does not show.

Where its FORWARD chain drops what no rule of it accepts, it needs the same exceptions as everybody's (`foreign`). The
kernel tells nobody when such a rule changes, but who changes one locks a file first (iptables(8), -w), and that can be
watched. A host without such rules (/proc/net/ip_tables_names does not have the table `filter`) is not kept waiting, and
needs no program for it.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from zlib import crc32

from pydocker.errors import PydockerError
from pydocker.network.programs import find, run
from runtime.linux import inotify, xtables

_PROGRAMS = {"/proc/net/ip_tables_names": "iptables-legacy", "/proc/net/ip6_tables_names": "ip6tables-legacy"}
_VERSIONS = {"iptables-legacy": 4, "ip6tables-legacy": 6}
_TABLE = "filter"
_LOCK = Path("/run/xtables.lock")
_SIDES = {"from": "-i", "to": "-o"}


def programs() -> tuple[str, ...]:
    """Those that have rules here."""
    return tuple(program for path, program in _PROGRAMS.items() if _TABLE in _names(path))


def watch() -> int:
    """A descriptor, non-blocking, that is readable when one of the programs has changed something, perhaps; -1: nobody
    can, or a user has no inotify instance left (there are 128: so one is for all monitors)."""
    try:
        if not any(map(find, _VERSIONS)):
            return -1
        os.close(os.open(_LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))  # as the programs do
        return inotify.watch(_LOCK, inotify.IN_CLOSE_NOWRITE)
    except OSError:
        return -1


def state() -> str:
    """What tells all rules that there are now from other ones, for a few system calls; "" where there are none."""
    try:
        return " ".join(f"{program}:{crc32(xtables.rules(_VERSIONS[program], _TABLE)):08x}" for program in programs())
    except OSError:  # somebody is at it
        return "?"


def _names(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().split()
    except OSError:  # no such kind of tables in this kernel
        return []


def adjust(table: str, bridges: Sequence[str]) -> None:
    """Let these bridges pass, and none that were ours before. Raises PydockerError."""
    for program in programs():
        if changes := exceptions(table, _rules(program), bridges):
            run(f"{program}-restore", ("-w", "--noflush"), f"*filter\n{changes}COMMIT\n")


def walls(table: str, bridge: str) -> Iterator[str]:
    """Chains that drop what comes through this bridge."""
    for program in programs():
        try:
            if "-I FORWARD" in exceptions(table, _rules(program), (bridge,)):
                yield f"chain FORWARD of {program}"
        except PydockerError:  # its program is not installed
            yield f"{program}, perhaps (the program that shows its rules is not there),"


def has_others(tables: Collection[str]) -> bool:
    """Whether there are rules in FORWARD besides the exceptions of the engines whose tables these are; where no program
    shows them, there may be."""
    try:
        return any(rule.startswith("-A") and not any(_is_ours(table, rule) for table in tables)
                   for program in programs() for rule in _rules(program))
    except PydockerError:
        return True


def _rules(program: str) -> list[str]:
    return run(program, ("-w", "-S", "FORWARD")).decode(errors="replace").splitlines()


def exceptions(table: str, rules: Sequence[str], bridges: Iterable[str]) -> str:
    """The commands for iptables-restore(8). `rules` is what `iptables -S FORWARD` prints. Pure."""
    ours = {_comment(rule): rule for rule in rules if _is_ours(table, rule)}
    wanted = dict(_wanted(table, bridges)) if _drops([rule for rule in rules if not _is_ours(table, rule)]) else {}
    added = (f"-I FORWARD {rule}\n" for comment, rule in wanted.items() if comment not in ours)
    gone = (f"-D{rule.removeprefix('-A')}\n" for comment, rule in ours.items() if comment not in wanted)
    return "".join((*added, *gone))


def _is_ours(table: str, rule: str) -> bool:
    return _comment(rule).startswith(f"{table}: ")


def _comment(rule: str) -> str:
    return rule.partition('--comment "')[2].partition('"')[0]


def _drops(rules: Sequence[str]) -> bool:
    """By its policy, or by a last rule without any condition."""
    last = rules[-1].split() if rules else []
    return "-P FORWARD DROP" in rules or (
        last[:3] == ["-A", "FORWARD", "-j"] and last[3] in ("DROP", "REJECT"))


def _wanted(table: str, bridges: Iterable[str]) -> Iterator[tuple[str, str]]:
    for bridge in bridges:
        for side, flag in _SIDES.items():
            comment = f"{table}: {side} {bridge}"
            yield comment, f'{flag} {bridge} -m comment --comment "{comment}" -j ACCEPT'
