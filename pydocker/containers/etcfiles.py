"""/etc/hostname, /etc/hosts and /etc/resolv.conf: written by the engine beside the container's record, and bind-mounted
over the image's own, since they speak of this container and this host.

They are written anew at every start: by the engine, and from copies by the monitor when its restart policy starts the
container. While it runs they are its own to edit: what `network connect` and `network disconnect` change then are their
own lines of hosts, and resolv.conf only where nobody has changed it. A container in another's network has that one's
files.

Source of rules: moby daemon/libnetwork/sandbox_dns_unix.go.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydocker.containers.sharing import OTHER
from pydocker.errors import InvalidParameter
from pydocker.model.container import HostConfig, Record
from pydocker.model.network import BRIDGE, HOST, Endpoint
from pydocker.monitor.renewing import NAMES, copy
from pydocker.network import hosts, resolvconf
from pydocker.network.hosts import Line
from pydocker.network.resolvconf import ResolvConf
from pydocker.storage import documents
from runtime.linux.descriptors import read

GATEWAY = "host-gateway"  # in --add-host: the host, as the container can reach it
_LARGEST = 1 << 20  # bytes: a file that a container has made larger is left alone


class Surroundings(NamedTuple):
    """What the files tell of besides the record: its places in networks, whom it is linked to, where the host is."""

    endpoints: Sequence[Endpoint] = ()
    linked: Sequence[Line] = ()
    gateways: Sequence[str] = ()


def directory(record: Record, own: Path) -> Path:
    """Where its files lie; `own` is the container's directory."""
    mode = record.host.network_mode
    return own.parent / mode.removeprefix(OTHER) if mode.startswith(OTHER) else own


def write(record: Record, own: Path, around: Surroundings) -> None:
    """Write the three. Not durable: the next start writes them again. Raises InvalidParameter (host-gateway)."""
    if directory(record, own) != own:
        return
    contents = (f"{record.config.hostname}\n".encode(), _hosts(record, around),
                resolvconf.text(resolver(record, around.endpoints)).encode())
    for name, content in zip(NAMES, contents, strict=True):
        for path in (own / name, copy(own / name)):
            documents.replace(path, content, durable=False, mode=0o644)


def _hosts(record: Record, around: Surroundings) -> bytes:
    extra = [*extra_hosts(record.host, around.gateways)]
    if record.host.network_mode == HOST and not extra:
        return _host_file("/etc/hosts")
    lines = (*extra, *around.linked, *own_lines(record, around.endpoints))
    return hosts.file(lines, ipv6=_has_ipv6(record.host)).encode()


def own_lines(record: Record, endpoints: Sequence[Endpoint]) -> list[Line]:
    """Its own addresses."""
    addresses = (address for one in endpoints for address in (one.ipv4, one.ipv6))
    return hosts.own(addresses, record.config.hostname, record.config.domainname)


def extra_hosts(host: HostConfig, gateways: Sequence[str]) -> Iterator[Line]:
    """--add-host. Raises InvalidParameter: there is no default bridge whose gateway could stand for the host."""
    for text in host.extra_hosts or ():
        name, _, address = text.partition(":")
        if address == GATEWAY and not gateways:
            raise InvalidParameter(f"unable to derive the IP value for {GATEWAY}")
        yield from (Line(one, name) for one in (gateways if address == GATEWAY else (address,)))


def _has_ipv6(host: HostConfig) -> bool:
    off = ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.lo.disable_ipv6")
    return os.path.exists("/proc/net/if_inet6") and all((host.sysctls or {}).get(one) != "1" for one in off)


def resolver(record: Record, endpoints: Sequence[Endpoint]) -> ResolvConf:
    """What its resolv.conf is to say."""
    host = record.host
    base = resolvconf.overridden(resolvconf.load(), host.dns or (), host.dns_search or (), host.dns_options or ())
    if host.network_mode == HOST:
        return base
    if any(one.network_name != BRIDGE for one in endpoints):
        return resolvconf.for_internal_resolver(base)
    return resolvconf.for_default_bridge(base, ipv6=any(one.ipv6 for one in endpoints))


def connected(record: Record, own: Path, endpoint: Endpoint, *, first: bool) -> None:
    """One more place; the `first` of a user network, from which on the monitor answers names."""
    edit_hosts(own, lambda text: hosts.added(text, own_lines(record, [endpoint])))
    if first:
        resolv = own / "resolv.conf"
        for path in (resolv, copy(resolv)) if not _is_edited(resolv) else (copy(resolv),):
            edit(path, lambda text: resolvconf.text(resolver(record, [endpoint])))


def disconnected(record: Record, own: Path, endpoints: Sequence[Endpoint]) -> None:
    edit_hosts(own, lambda text: hosts.removed(text, own_lines(record, endpoints)))


def edit_hosts(own: Path, change: Callable[[str], str]) -> None:
    """Change lines of /etc/hosts: now, and for restarts by policy."""
    for path in (own / "hosts", copy(own / "hosts")):
        edit(path, change)


def _is_edited(file: Path) -> bool:
    try:
        return read(str(file)) != read(str(copy(file)))
    except FileNotFoundError:
        return False


def edit(path: Path, change: Callable[[str], str]) -> None:
    """Change a file that is bind-mounted, and so has to stay the same file."""
    try:
        with open(path, "r+", encoding="utf-8", errors="surrogateescape") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST:
                return
            before = file.read()
            after = change(before)
            if after != before:
                file.seek(0)
                file.write(after)
                file.truncate()
    except FileNotFoundError:
        return


def _host_file(path: str) -> bytes:
    try:
        return read(os.path.realpath(path))
    except FileNotFoundError:
        return b""
