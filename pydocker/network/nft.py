"""nft(8) as a program: a file of commands in, one transaction. What is listed comes as JSON (libnftables-json(5)).

posix_spawn and files in memory, because monitors do this too, and need not import subprocess for it (8 ms).
"""

import os
import signal
from collections.abc import Sequence

import msgspec

from pydocker.errors import PydockerError

_PROGRAM = "nft"
_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_ENVIRONMENT = {"PATH": _PATH, "LC_ALL": "C"}


class Refused(PydockerError):
    """The kernel, or nft, did not take it; then nothing has changed."""


class Chain(msgspec.Struct, frozen=True, rename={"priority": "prio"}):
    """A chain; one that is attached to a hook has a type, and a policy."""

    family: str
    table: str
    name: str
    type: str = ""
    hook: str = ""
    priority: int = 0
    policy: str = ""


class Rule(msgspec.Struct, frozen=True, rename={"expressions": "expr"}):
    """A rule: its expressions in nft's own JSON, of which only the last, the verdict, is ever looked at here."""

    family: str
    table: str
    chain: str
    handle: int
    comment: str = ""
    expressions: tuple[dict[str, msgspec.Raw], ...] = ()


class _Set(msgspec.Struct, frozen=True, rename={"elements": "elem"}):
    elements: tuple[str, ...] = ()


class _Item(msgspec.Struct, frozen=True):
    chain: Chain | None = None
    rule: Rule | None = None
    set: _Set | None = None


class _Listing(msgspec.Struct, frozen=True):
    nftables: tuple[_Item, ...]


def apply(commands: str) -> None:
    """All of them, or none. Raises Refused with nft's first complaint and the line that it is about."""
    _run(("-f", "-"), commands)


def chains() -> tuple[Chain, ...]:
    """Every chain of every table."""
    return tuple(item.chain for item in _items("list", "chains") if item.chain)


def rules(chain: Chain) -> tuple[Rule, ...]:
    """The rules of a chain in their order; none, if it is gone."""
    try:
        items = _items("list", "chain", chain.family, chain.table, chain.name)
    except Refused:
        return ()
    return tuple(item.rule for item in items if item.rule)


def names(table: str, where: str) -> tuple[str, ...] | None:
    """The elements of a set of interfaces; None if there is no such set."""
    try:
        items = _items("list", "set", "inet", table, where)
    except Refused:
        return None
    return tuple(name for item in items if item.set for name in item.set.elements)


def filled(table: str, where: str) -> bool:
    """Whether there is anything in a set."""
    try:
        return b"elements" in _run(("list", "set", "inet", table, where))
    except Refused:
        return False


def shape(table: str) -> str:
    """The table's chains and rules and sets, without what is in these and without counters; "" if it is not there."""
    try:
        return _run(("-s", "-t", "list", "table", "inet", table)).decode(errors="replace")
    except Refused:
        return ""


def element(table: str, where: str, key: str) -> str:
    """How nft shows an element of a set or map of the table; "" if there is none."""
    try:
        return _run(("get", "element", "inet", table, where, f"{{ {key} }}")).decode(errors="replace")
    except Refused:
        return ""


def run(program: str, words: Sequence[str], text: str = "") -> bytes:
    """What it prints. Raises Refused; PydockerError: there is no such program."""
    files = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("commands", "output", "complaint")]
    try:
        os.write(files[0], text.encode())
        os.lseek(files[0], 0, os.SEEK_SET)
        code = _spawn(program, words, files)
        output, complaint = (_content(file) for file in files[1:])
    finally:
        for file in files:
            os.close(file)
    if code != 0:
        raise Refused(f"{program} {' '.join(words)}: {_told(complaint.decode(errors='replace'))}")
    return output


def _items(*words: str) -> tuple[_Item, ...]:
    return msgspec.json.decode(_run(("-j", "-a", *words)), type=_Listing).nftables


def _run(words: Sequence[str], text: str = "") -> bytes:
    return run(_PROGRAM, words, text)


def _spawn(name: str, words: Sequence[str], files: Sequence[int]) -> int:
    actions = [(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(files)]
    if not (program := find(name)):
        package = "nftables" if name == _PROGRAM else "iptables"
        raise PydockerError(f"{name}: executable file not found: networks need the package {package}")
    # What Python ignores would stay ignored across execve(2).
    pid = os.posix_spawn(program, (name, *words), _ENVIRONMENT, file_actions=actions,
                         setsigdef=(signal.SIGPIPE, signal.SIGXFSZ))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def find(name: str) -> str:
    """The program's path; "": it is not installed."""
    return next((path for folder in _PATH.split(":") if os.access(path := f"{folder}/{name}", os.X_OK)), "")


def _content(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def _told(complaint: str) -> str:
    """The first error, and the line of ours that it is about, which nft repeats below."""
    lines = complaint.splitlines()
    for number, line in enumerate(lines):
        _, error, reason = line.partition("Error: ")
        if error:
            about = f": {lines[number + 1].strip()}" if number + 1 < len(lines) else ""
            return f"{reason}{about}"
    return complaint.strip() or "it failed without a word"
