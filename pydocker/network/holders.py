"""Who has a port of the host's: found by the inode that /proc/net tells, in the descriptors of all processes.

/proc/net/tcp and its kin (proc_pid_net(5)): address and port in hexadecimal, the address in the machine's byte order;
the tenth column is the socket's inode, and /proc/PID/fd/N a link to `socket:[inode]`.
"""

import contextlib
import ipaddress
import os
import sys
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_TABLES = {("tcp", 4): "tcp", ("tcp", 6): "tcp6", ("udp", 4): "udp", ("udp", 6): "udp6"}
_LISTENING = {"tcp": "0A", "udp": "07"}


def holder(protocol: str, address: str, port: int) -> str:
    """`nginx (pid 4711)`, the program that is in the way of a port; "" where nobody can be found."""
    inodes = set(_inodes(protocol, address, port))
    return _process(inodes) if inodes else ""


def listening(protocol: str, pid: int) -> Iterator[tuple[str, int]]:
    """Addresses and ports that programs listen at, in the network of a process."""
    for version in (4, 6):
        for address, port, _ in _sockets(protocol, version, f"/proc/{pid}/net"):
            yield str(address), port


def _inodes(protocol: str, address: str, port: int) -> Iterator[int]:
    """Sockets that collide with it: the same address, or either of them any; [::] may stand for IPv4, too."""
    wanted = ipaddress.ip_address(address)
    for version in (4, 6):
        for found, number, inode in _sockets(protocol, version):
            collides = found.version == wanted.version and (
                found == wanted or found.is_unspecified or wanted.is_unspecified)
            if number == port and (collides or (found.version == 6 and found.is_unspecified)):
                yield inode


def _sockets(protocol: str, version: int, folder: str = "/proc/net") -> Iterator[tuple[Address, int, int]]:
    table = _TABLES.get((protocol, version))
    if table is None:
        return
    gone = (FileNotFoundError, ProcessLookupError)  # no IPv6; no such process
    with contextlib.suppress(*gone), open(f"{folder}/{table}", encoding="ascii") as file:
        next(file)
        for line in file:
            _, local, _, state, *rest = line.split()
            if state == _LISTENING[protocol]:
                address, _, port = local.partition(":")
                yield _address(address), int(port, 16), int(rest[5])


def _address(text: str) -> Address:
    """Each four bytes are a number in the machine's order."""
    words = (bytes.fromhex(text[at:at + 8]) for at in range(0, len(text), 8))
    return ipaddress.ip_address(b"".join(word[::-1] if sys.byteorder == "little" else word for word in words))


def _process(inodes: set[int]) -> str:
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if _target(f"/proc/{pid}/fd/{fd}") in sockets:
                    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
                        return f"{comm.read().strip()} (pid {pid})"
    return ""


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
