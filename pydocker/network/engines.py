"""Other engines of ours on the same host, each of which has a table of its own.

Whichever made the host a router must not drop what is the others', and not turn it off while they need it.
"""

import socket
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydocker.network import firewall, nft, ruleset


def others(table: str, chains: Iterable[nft.Chain]) -> list[str]:
    """Their tables, of all that have these chains; `table` is our own."""
    return sorted({one.table for one in chains if (one.family, one.name) == ("inet", "others")} - {table})


def directories(tables: Iterable[str]) -> Iterator[Path]:
    """Where they keep what they remember, as far as they tell."""
    for table in tables:
        if found := ruleset.directory(nft.shape(table)):
            yield Path(found)


def routes(table: str, version: int) -> bool:
    """Whether it has networks of this kind. What was killed may have left its table, but no bridge is there."""
    return nft.filled(table, f"subnets{version}") and any(map(exists, nft.names(table, "bridges") or ()))


def neighbours(table: str, tables: Iterable[str], bridges: Sequence[str]) -> Iterator[str]:
    """The commands after which their tables let our bridges pass, and ours theirs."""
    for other in tables:
        theirs, known = nft.names(other, "bridges"), nft.names(other, "neighbours")
        if theirs is not None and known is not None:
            gone = [name for name in known if not exists(name)]
            yield firewall.neighbours(table, bridges, other, theirs if bridges else (), known, gone)


def exists(interface: str) -> bool:
    """Whether the host has an interface of this name."""
    try:
        return socket.if_nametoindex(interface) > 0
    except OSError:
        return False
