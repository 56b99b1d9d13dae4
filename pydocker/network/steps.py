"""What is done to the host for a network: steps, one change each. (What is done for a container is in `places`.)

    MakeBridge | MakeDummy | MakeVlan -> Sysctls -> HostAddress -> LinkUp
"""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from pydocker.errors import PydockerError
from pydocker.network import namespace
from pydocker.network.firewalling import Firewall
from pydocker.network.netlink import Netlink, NetlinkError
from runtime.step import Step

_IPV6 = "/proc/sys/net/ipv6"
_OFF = {"disable_ipv6": "1", "accept_ra": "0"}  # so it is where a link has no IPv6, as its MTU is below 1280

@dataclass
class Site:
    """The stage. `namespace` is the container's, once it is there, and `inner` a socket in it."""

    host: Netlink
    firewall: Firewall
    namespace: int = -1
    inner: Netlink | None = None
    listening: tuple[int, ...] = ()  # for names: by UDP, by TCP

    def enter(self, fd: int) -> None:
        """Work in this namespace from now on."""
        self.namespace = fd
        with namespace.inside(fd):
            self.inner = Netlink()

    def leave(self) -> None:
        if self.inner is not None:
            self.inner.close()
            self.inner = None

    @property
    def there(self) -> Netlink:
        assert self.inner is not None
        return self.inner


class MakeBridge(Step[Site], frozen=True):
    """A switch in the kernel."""

    why = ("containers of one network reach each other as hosts on one wire do; its hardware address is fixed, or it "
           "would change with every container that comes and goes")
    manual = "ip-link(8), type bridge"
    name: str
    mac: str
    mtu: int = 0

    def describe(self) -> str:
        return f"make the bridge {self.name}"

    def shell(self) -> str:
        return f"ip link add {self.name} address {self.mac}{mtu_words(self.mtu)} type bridge"

    def apply(self, at: Site) -> None:
        at.host.make(f"make bridge {self.name}", "bridge", (
            ("IFLA_IFNAME", self.name), ("IFLA_ADDRESS", self.mac), *mtu_attribute(self.mtu)))

    def undo(self, at: Site) -> None:
        at.host.delete(f"remove bridge {self.name}", at.host.index(self.name))


class MakeDummy(Step[Site], frozen=True):
    """A wire without another end."""

    why = "macvlan and ipvlan need a parent, and nobody named one: over it containers reach each other, nothing else"
    manual = "ip-link(8), type dummy"
    name: str

    def describe(self) -> str:
        return f"make the dummy link {self.name}"

    def shell(self) -> str:
        return f"ip link add {self.name} type dummy"

    def apply(self, at: Site) -> None:
        at.host.make(f"make dummy link {self.name}", "dummy", (("IFLA_IFNAME", self.name),))

    def undo(self, at: Site) -> None:
        at.host.delete(f"remove dummy link {self.name}", at.host.index(self.name))


class MakeVlan(Step[Site], frozen=True):
    """A part of a wire, by the number that its packets carry."""

    why = ("a parent that is called eth0.10 and is not there is VLAN 10 of eth0: its packets carry that number, and no "
           "others come in (IEEE 802.1Q)")
    manual = "ip-link(8), type vlan"
    name: str
    parent: str
    number: int

    def describe(self) -> str:
        return f"make {self.name}, the VLAN {self.number} of {self.parent}"

    def shell(self) -> str:
        return f"ip link add link {self.parent} name {self.name} type vlan id {self.number}"

    def apply(self, at: Site) -> None:
        doing = self.describe()
        try:
            at.host.make(doing, "vlan", (("IFLA_IFNAME", self.name), ("IFLA_LINK", at.host.index(self.parent))),
                         (("IFLA_VLAN_ID", self.number),))
        except NetlinkError as error:
            if error.number != errno.EEXIST:  # another network on it has made it just now
                raise

    def undo(self, at: Site) -> None:
        at.host.delete(f"remove {self.name}", at.host.index(self.name))


class Sysctls(Step[Site], frozen=True):
    """Kernel parameters of one of the host's links."""

    why = ("a container that sends router advertisements must not change the host's routes (CVE-2020-13401); without "
           "IPv6 in the network, none of it, link-local addresses included (CVE-2024-32473); route_localnet lets the "
           "host's own 127.0.0.1 lead to a container, and the firewall sees that nobody else's does (CVE-2020-8558)")
    manual = "ip-sysctl(7)"
    values: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        return "set " + ", ".join(f"{path.replace('/', '.')} to {value}" for path, value in self.values)

    def shell(self) -> str:
        return "sysctl " + " ".join(f"-w {path}={value}" for path, value in self.values)

    def apply(self, at: Site) -> None:
        write(self.values)


class HostAddress(Step[Site], frozen=True):
    """An address of the host's own in the network."""

    why = "it is the containers' gateway, and the host's way to them"
    manual = "ip-address(8)"
    name: str
    address: str

    def describe(self) -> str:
        return f"give {self.name} the address {self.address}"

    def shell(self) -> str:
        return f"ip address add {self.address} dev {self.name}"

    def apply(self, at: Site) -> None:
        at.host.add_address(f"give {self.name} the address {self.address}", at.host.index(self.name), self.address)


class LinkUp(Step[Site], frozen=True):
    """A link of the host's that works."""

    why = "nothing passes a link that is down"
    manual = "ip-link(8)"
    name: str

    def describe(self) -> str:
        return f"set {self.name} up"

    def shell(self) -> str:
        return f"ip link set {self.name} up"

    def apply(self, at: Site) -> None:
        at.host.change(f"set {self.name} up", at.host.index(self.name), up=True)


def mtu_words(mtu: int) -> str:
    """For a command line of ip(8); nothing for 0."""
    return f" mtu {mtu}" if mtu else ""


def mtu_attribute(mtu: int) -> tuple[tuple[str, int], ...]:
    """The same for a message."""
    return (("IFLA_MTU", mtu),) if mtu else ()


def has_ipv6(link: str) -> bool:
    """Whether a link in the network namespace of this thread has any: its MTU allows it, and the kernel."""
    return os.path.exists(f"{_IPV6}/conf/{link}")


def write(values: tuple[tuple[str, str], ...]) -> None:
    """Write kernel parameters, in the network namespace of this thread. Raises PydockerError."""
    for path, value in values:
        try:
            Path("/proc/sys", path).write_text(value)
        except OSError as error:
            folder, _, name = path.rpartition("/")
            missing = isinstance(error, FileNotFoundError)
            lacks_ipv6 = missing and folder.startswith("net/ipv6/conf") and not os.path.exists(f"/proc/sys/{folder}")
            if missing and path.startswith("net/ipv6/") and not os.path.exists(_IPV6):
                continue  # a kernel that was started without it
            if lacks_ipv6 and value == _OFF.get(name):
                continue
            why = "its MTU is too small for IPv6, or it is gone" if lacks_ipv6 else (
                "the kernel has no such parameter" if missing else os.strerror(error.errno or 0).lower())
            raise PydockerError(f"write {value} to /proc/sys/{path}: {why}") from error
