"""net.ipv4.ip_forward and net.ipv6.conf.all.forwarding: a host that has bridges is a router.

What was off before is remembered in `<run root>/firewall/forwarding.json`. While it is we who turned it on, the
firewall forwards nothing between interfaces that are not ours (`Remembered.closed`): nobody asked for a router. Two
kinds of interfaces are none of its business: those that forwarded before, each by its own setting, and bridges that
come later. Who makes one finds the host forwarding, believes that others asked for it, and has rules of his own
(dockerd, podman, libvirt). With the last network that needs it, forwarding is turned off again, unless somebody else
has rules for it by then.

The switch for all writes the setting of each interface, and net.ipv4.conf.all.accept_redirects, too (kernel,
Documentation/networking/ip-sysctl.rst, ip_forward): so these are remembered as well, and put back one by one. In IPv6
an interface's own `forwarding` says only whether it is a host's or a router's; what forwards by itself has
`force_forwarding` (since Linux 6.17), which is lost when the switch for all is turned off.

Several engines of ours on one host: who comes second finds the host a router, and takes over what the first one
remembers (`inherit`), as any of them may be the last. Where that lies, a table's comment tells, which a container may
have written (--network host --cap-add NET_ADMIN): nothing is taken over but settings that this module knows.

An IPv6 router does not listen to other routers (kernel, Documentation/networking/ip-sysctl.rst, accept_ra), and the
host would lose its own route: interfaces that listened before are told to go on (accept_ra=2).
"""

import contextlib
import logging
import os
import re
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from pydocker.errors import PydockerError
from pydocker.network.ruleset import Closed
from pydocker.storage import documents

FILE = "forwarding.json"
_SYSCTLS = "/proc/sys/net"
_FORWARD = {4: "ipv4/ip_forward", 6: "ipv6/conf/all/forwarding"}
_LISTENS = "/accept_ra"
_ROUTERS = {4: "forwarding", 6: "force_forwarding"}  # what makes one interface forward while the switch for all is off
_LINK = r"[!-.0-~]{1,15}"  # an interface's name: IFNAMSIZ, and no slash (netdevice(7))
_SETTING = re.compile(rf"(ipv4/ip_forward|ipv6/conf/all/forwarding|ipv4/conf/all/accept_redirects"
                      rf"|ipv[46]/conf/(?!\.\.?/){_LINK}/(forwarding|force_forwarding|accept_ra))")
_LARGEST = 1 << 20  # bytes of another engine's file
_log = logging.getLogger(__name__)


class Remembered(msgspec.Struct, frozen=True):
    """What was written by us: sysctls below net/, and what they held before; and the interfaces of that time."""

    before: dict[str, str] = {}
    links: dict[int, tuple[str, ...]] = {}
    opened: bool = False  # the configuration says that it may be a router for everybody

    @property
    def versions(self) -> tuple[int, ...]:
        """4 and 6, as far as the host was no router before."""
        return tuple(version for version, name in _FORWARD.items() if name in self.before)

    @property
    def closed(self) -> tuple[Closed, ...]:
        """What is to be dropped, of these."""
        return () if self.opened else tuple(
            Closed(version, self.links.get(version, ()), tuple(self._routers(version))) for version in self.versions)

    def _routers(self, version: int) -> Iterator[str]:
        for name, value in self.before.items():
            family, *path = name.split("/")
            if family == f"ipv{version}" and path[0] == "conf" and path[2:] == [_ROUTERS[version]] and value != "0":
                yield path[1]


def remembered(directory: Path) -> Remembered:
    """`directory`: <run root>/firewall."""
    try:
        return documents.read(directory / FILE, Remembered)
    except FileNotFoundError:
        return Remembered()


def foresee(directory: Path, version: int) -> bool:
    """Whether the host has to be made a router. What that will change is remembered: to be undone, and for the rules
    that have to be there before it is one."""
    if is_on(version):
        return False
    before = {_FORWARD[version]: "0"} | _overwritten(version)
    if is_on(version):  # another engine was faster: what was before is what that one remembers
        return False
    known = remembered(directory)
    # Somebody may have turned off what we had turned on: what it was before us stays what it was.
    links = {version: tuple(name for _, name in socket.if_nameindex())} | known.links
    _remember(directory, msgspec.structs.replace(known, before=before | known.before, links=links))
    return True


def inherit(directory: Path, other: Path, version: int) -> bool:
    """Take over what the engine remembers whose directory `other` is; whether that was anything new."""
    known, theirs = remembered(directory), _remembered_by(other)
    if version in known.versions or version not in theirs.versions:
        return False
    before = {name: value for name, value in theirs.before.items() if name.startswith(f"ipv{version}/")}
    _remember(directory, msgspec.structs.replace(known, before=known.before | before, links=known.links | {
        version: theirs.links.get(version, ())}))
    return True


def _remembered_by(other: Path) -> Remembered:
    """Without what no engine writes; what cannot be read is nothing, and keeps nobody waiting."""
    try:
        found = os.open(other / FILE, os.O_PATH | os.O_CLOEXEC)
        try:
            there = os.fstat(found)
            if not stat.S_ISREG(there.st_mode) or there.st_size > _LARGEST:
                raise PydockerError("that is no file of an engine's")
            theirs = documents.read(Path(f"/proc/self/fd/{found}"), Remembered)
        finally:
            os.close(found)
    except FileNotFoundError:
        return Remembered()
    except (PydockerError, OSError) as error:
        _log.warning("what another engine remembers in %s: %s", other / FILE, error)
        return Remembered()
    before = {name: value for name, value in theirs.before.items()
              if _SETTING.fullmatch(name) and re.fullmatch("[0-9]", value)}
    return Remembered(before, {version: tuple(name for name in names if re.fullmatch(_LINK, name))
                               for version, names in theirs.links.items()})


def enable(directory: Path, version: int) -> None:
    """Make the host the router that was foreseen, if it is none yet. Raises PydockerError."""
    if is_on(version):
        return
    for name in remembered(directory).before:
        if version == 6 and name.endswith(_LISTENS):
            with contextlib.suppress(FileNotFoundError):  # an interface that is gone
                _write(name, "2")
    _write(_FORWARD[version], "1")


def decide(directory: Path, opened: bool) -> bool:
    """Whether others may have the host for a router, too, where it is one for us; whether that is new."""
    known = remembered(directory)
    if not known.before or known.opened == opened:
        return False
    _remember(directory, msgspec.structs.replace(known, opened=opened))
    return True


def is_on(version: int) -> bool:
    """Whether the host forwards; a kernel without IPv6 has nothing to forward."""
    try:
        return _read(_FORWARD[version]) != "0"
    except FileNotFoundError:
        return True


def restore(directory: Path, version: int, used: Callable[[], bool]) -> None:
    """As it was before, unless somebody else relies on it by now (`used`); also who came at the moment of the change:
    another engine may have seen it on, and had nothing to do."""
    known = remembered(directory)
    mine = {name: value for name, value in known.before.items() if name.startswith(f"ipv{version}/")}
    if mine and not used():
        for name, value in mine.items():
            with contextlib.suppress(FileNotFoundError):  # an interface that is gone
                if _read(name) != value:
                    _write(name, value)
        if used():
            enable(directory, version)
    left = {name: value for name, value in known.before.items() if name not in mine}
    if left:
        links = {one: names for one, names in known.links.items() if one != version}
        _remember(directory, msgspec.structs.replace(known, before=left, links=links))
    elif known.before:
        os.unlink(directory / FILE)


def _remember(directory: Path, known: Remembered) -> None:
    os.makedirs(directory, mode=0o700, exist_ok=True)
    documents.write(directory / FILE, known, durable=False)


def _overwritten(version: int) -> dict[str, str]:
    """What the switch for all will write to, and what `enable` will because of it."""
    folder = f"ipv{version}/conf"
    links = os.listdir(Path(_SYSCTLS, folder))
    names = [f"{folder}/{name}/{what}" for name in links if name != "all" for what in {"forwarding", _ROUTERS[version]}]
    names += [f"{folder}/all/accept_redirects"] if version == 4 else []
    found = {}
    for name in names:
        with contextlib.suppress(OSError):  # an interface that is going, or a kernel without force_forwarding
            found[name] = _read(name)
    return found | (_listening(links) if version == 6 else {})


def _listening(links: Iterable[str]) -> dict[str, str]:
    """Interfaces that learn their routes from router advertisements."""
    found = {}
    for name in links:
        with contextlib.suppress(OSError):
            if name not in ("all", "default", "lo") and _read(path := f"ipv6/conf/{name}{_LISTENS}") == "1":
                found[path] = "1"
    return found


def _read(name: str) -> str:
    return Path(_SYSCTLS, name).read_text().strip()


def _write(name: str, value: str) -> None:
    try:
        Path(_SYSCTLS, name).write_text(value)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PydockerError(f"write {value} to {_SYSCTLS}/{name}: {os.strerror(error.errno or 0).lower()}") from error
