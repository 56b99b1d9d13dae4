"""nft(8): a file of commands in, one transaction. What is listed comes as JSON (libnftables-json(5))."""

from collections.abc import Sequence

import msgspec

from pydocker.network.programs import Refused, run


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
    """The elements of a set of interfaces; None if there is no such set, or one of something else."""
    try:
        items = _items("list", "set", "inet", table, where)
    except (Refused, msgspec.ValidationError):
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


def _items(*words: str) -> tuple[_Item, ...]:
    return msgspec.json.decode(_run(("-j", "-a", *words)), type=_Listing).nftables


def _run(words: Sequence[str], text: str = "") -> bytes:
    return run("nft", words, text)
