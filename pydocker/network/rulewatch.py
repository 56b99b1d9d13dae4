"""Being told when somebody changes firewall rules: nftables' multicast group (what `nft monitor` shows).

Of interest is what takes something away, and what makes a chain or a rule: `nft flush ruleset`, a firewall that is
(re)loaded, perhaps in several transactions, of which the last one has the rule that rejects the rest (firewalld). A
filter in the kernel keeps quiet about the elements of sets, so that a container's start does not wake the monitors of
all the others. linux/netfilter/nfnetlink.h, nf_tables.h; netlink(7).
"""

import contextlib
import errno
import socket
import struct
from collections.abc import Iterator

from pydocker.network.conntrack import NETLINK_NETFILTER
from runtime.linux import sockfilter

_NFTABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES: the upper byte of a message's type
_NEW_CHAIN, _NEW_RULE, _DELETE_TABLE, _DELETE_CHAIN, _DELETE_RULE = (_NFTABLES | number for number in (3, 6, 2, 5, 8))
_QUIET = tuple(_NFTABLES | number for number in (9, 12, 14, 15))  # NEWSET, NEWSETELEM, DELSETELEM, NEWGEN
_TELLING = (_NEW_CHAIN, _NEW_RULE, _DELETE_TABLE, _DELETE_CHAIN, _DELETE_RULE)
_GROUP = 1 << (7 - 1)  # NFNLGRP_NFTABLES
_TYPE_AT = 4  # in struct nlmsghdr
_LARGEST = 1 << 16


class RuleWatch:
    """A socket that becomes readable when rules may have been changed; `fileno` is for a loop.

    `fd` is one that another process has made.
    """

    def __init__(self, fd: int = -1) -> None:
        if fd >= 0:
            self._socket = socket.socket(fileno=fd)
            return
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
                                     NETLINK_NETFILTER)
        try:
            sockfilter.attach(self._socket.fileno(), _program())
            self._socket.bind((0, _GROUP))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def changed(self) -> bool:
        """Whether something of interest has happened since this was last asked."""
        found = False
        with contextlib.suppress(BlockingIOError):
            while True:
                found |= self._read()
        return found

    def _read(self) -> bool:
        try:
            content = self._socket.recv(_LARGEST)
        except OSError as error:
            if error.errno == errno.ENOBUFS:  # there was more than we were told: look
                return True
            raise
        return any(kind in _TELLING for kind in _types(content))

    def close(self) -> None:
        self._socket.close()


def _types(content: bytes) -> Iterator[int]:
    """The types of the messages that one datagram holds."""
    at = 0
    while at + 16 <= len(content):
        length, kind = struct.unpack_from("=IH", content, at)
        yield kind
        at += max((length + 3) & ~3, 16)


def _program() -> bytes:
    """Drop what begins with a quiet type. A transaction's messages come together, the first ones first."""
    load = sockfilter.instruction(sockfilter.LOAD_HALF, _TYPE_AT)
    tests = b"".join(sockfilter.instruction(sockfilter.JUMP_EQUAL, _as_loaded(kind), len(_QUIET) - number)
                     for number, kind in enumerate(_QUIET))
    return load + tests + sockfilter.instruction(sockfilter.RETURN, sockfilter.ALL) + sockfilter.instruction(
        sockfilter.RETURN, 0)


def _as_loaded(kind: int) -> int:
    """The program loads in network order, netlink is in the machine's."""
    return int.from_bytes(struct.pack("=H", kind), "big")
