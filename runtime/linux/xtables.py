"""The tables of iptables' first interface to the kernel, which is beside nftables': read by getsockopt(2) on a raw
socket (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h, linux/netfilter/x_tables.h)."""

import ctypes
import errno
import os
import struct
from _socket import AF_INET, AF_INET6, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_RAW, SOCK_CLOEXEC, SOCK_RAW, socket
from contextlib import closing

from runtime.linux.calls import call

_INFO, _ENTRIES = 64, 65  # IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES, and the same of IP6T
_SIZE_OF_INFO, _SIZE_AT = 84, 80  # struct ipt_getinfo, and its last member: how large the rules are, in bytes
_FIRST = 40  # the rules in struct ipt_get_entries
_LEVELS = {4: (AF_INET, IPPROTO_IP), 6: (AF_INET6, IPPROTO_IPV6)}
_NEXT_AT, _COUNTERS_AT = {4: 90, 6: 142}, {4: 96, 6: 152}  # in struct ipt_entry, struct ip6t_entry
_COUNTERS = 16
_ATTEMPTS = 10


def rules(version: int, table: str) -> bytes:
    """All rules of a table as the kernel gives them, every counter 0. Raises OSError; ENOENT: there is no such table,
    EAGAIN: it has changed again and again while it was read."""
    family, level = _LEVELS[version]
    with closing(socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)) as raw:
        for _ in range(_ATTEMPTS):
            info = _get(raw.fileno(), level, _INFO, table.encode(), _SIZE_OF_INFO)
            (size,) = struct.unpack_from("=I", info, _SIZE_AT)
            try:
                asked = struct.pack("=32sI", table.encode(), size)
                return _uncounted(_get(raw.fileno(), level, _ENTRIES, asked, _FIRST + size)[_FIRST:], version)
            except OSError as error:
                if error.errno != errno.EAGAIN:  # it has another size by now
                    raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _get(raw: int, level: int, option: int, asked: bytes, size: int) -> bytes:
    content = ctypes.create_string_buffer(asked, size)
    length = (ctypes.c_uint32 * 1)(size)
    call("getsockopt", raw, level, option, content, length)
    return content.raw


def _uncounted(entries: bytes, version: int) -> bytes:
    found, at = bytearray(entries), 0
    while at < len(found):
        counters = at + _COUNTERS_AT[version]
        found[counters:counters + _COUNTERS] = bytes(_COUNTERS)
        at += struct.unpack_from("=H", found, at + _NEXT_AT[version])[0]
    return bytes(found)
