"""What is done to the kernel for a container's place in its networks: steps, one change each.

    MakeNamespace -> Loopback -> Plug | Macvlan | Ipvlan -> InnerSysctls -> InnerAddress -> InnerUp -> DefaultRoute

`shell` says `ip netns add NAME` for a namespace that has no name here: it is held by a descriptor, first the server's,
then the monitor's, and is gone with it, whatever happens to either (ip-netns(8) binds it to a file, which would stay).
"""

import contextlib
from typing import ClassVar

from pydocker.errors import PydockerError
from pydocker.network import namespace, options
from pydocker.network.netlink import NetlinkError
from pydocker.network.steps import Site, has_ipv6, mtu_attribute, mtu_words, write
from runtime.step import Step


class MakeNamespace(Step[Site], frozen=True):
    """A network stack of the container's own."""

    why = ("made before the container, and held by its monitor: so addresses and published ports are there at its "
           "first moment, and stay while a restart policy starts it anew")
    manual = "network_namespaces(7), unshare(2)"
    netns: str

    def describe(self) -> str:
        return "make a network namespace"

    def shell(self) -> str:
        return f"ip netns add {self.netns}"

    def apply(self, at: Site) -> None:
        at.enter(namespace.make())


class Loopback(Step[Site], frozen=True):
    """127.0.0.1 and ::1."""

    why = "in a new namespace even loopback is down"
    manual = "ip-link(8)"
    netns: str

    def describe(self) -> str:
        return "set the container's lo up"

    def shell(self) -> str:
        return f"ip -n {self.netns} link set lo up"

    def apply(self, at: Site) -> None:
        at.there.change("set the container's lo up", at.there.index("lo"), up=True)


class Plug(Step[Site], frozen=True):
    """A cable from the container to the bridge."""

    why = ("what goes in at one end of a veth pair comes out at the other: one end in the container's namespace, one "
           "as a port of the bridge")
    manual = "veth(4), ip-link(8), type bridge_slave"
    netns: str
    bridge: str
    name: str
    peer: str
    mac: str
    mtu: int = 0
    isolated: bool = False
    hairpin: bool = False

    def describe(self) -> str:
        lonely = ", isolated from the bridge's other ports" if self.isolated else ""
        back = ", which gives it back what it sends to itself" if self.hairpin else ""
        return (f"connect the container's {self.peer} ({self.mac}) to the bridge {self.bridge} by {self.name}{lonely}"
                f"{back}")

    def shell(self) -> str:
        mtu = mtu_words(self.mtu)
        options = (" isolated on" if self.isolated else "") + (" hairpin on" if self.hairpin else "")
        port = f"; ip link set {self.name} type bridge_slave{options}" if options else ""
        return (f"ip link add {self.name}{mtu} type veth peer name {self.peer} address {self.mac}{mtu} netns "
                f"{self.netns}; ip link set {self.name} master {self.bridge} addrgenmode none up{port}")

    def apply(self, at: Site) -> None:
        mtu = mtu_attribute(self.mtu)
        peer = [("IFLA_IFNAME", self.peer), ("IFLA_ADDRESS", self.mac), ("IFLA_NET_NS_FD", at.namespace), *mtu]
        doing = f"connect {self.peer} to the bridge {self.bridge}"
        self._cut_off(at)
        at.host.make(doing, "veth", (("IFLA_IFNAME", self.name), *mtu), (("VETH_INFO_PEER", {"attrs": peer}),))
        try:
            index = at.host.index(self.name)
            no_link_local = ("IFLA_AF_SPEC", {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", 1)]})]})
            at.host.change(doing, index, (("IFLA_MASTER", at.host.index(self.bridge)),
                                          *((no_link_local,) if has_ipv6(self.name) else ())), up=True)
            if self.isolated or self.hairpin:
                at.host.port(doing, index, isolated=self.isolated, hairpin=self.hairpin)
        except PydockerError:
            self.undo(at)
            raise

    def _cut_off(self, at: Site) -> None:
        """Whoever had this address before, and is not quite gone: the kernel takes its time for a namespace, and keeps
        it for ever where a process outside holds a socket of it. It would answer in the new container's place."""
        if at.host.has(self.name):
            with contextlib.suppress(NetlinkError):  # it goes just now
                at.host.delete(f"remove {self.name}", at.host.index(self.name))

    def undo(self, at: Site) -> None:
        at.host.delete(f"remove {self.name}", at.host.index(self.name))


class Slice(Step[Site], frozen=True):
    """A second identity of a link of the host's. Subclasses, macvlan and ipvlan, define `kind` and `data`."""

    manual = "ip-link(8)"
    kind: ClassVar[str]
    netns: str
    parent: str
    name: str
    mode: str
    mac: str = ""
    mtu: int = 0

    def describe(self) -> str:
        return f"give the container a {self.kind} of {self.parent} as {self.name} (mode {self.mode})"

    def shell(self) -> str:
        mac = f" address {self.mac}" if self.mac else ""
        return (f"ip link add link {self.parent} name {self.name}{mac}{mtu_words(self.mtu)} netns {self.netns} "
                f"type {self.kind} mode {self.mode}{self.flag_words()}")

    def flag_words(self) -> str:
        """What `ip` is told beside the mode; begins with a space where there is anything."""
        return ""

    def data(self) -> tuple[tuple[str, object], ...]:
        """The attributes of this kind of link alone (rtnetlink(7), IFLA_INFO_DATA)."""
        raise NotImplementedError

    def apply(self, at: Site) -> None:
        mac = (("IFLA_ADDRESS", self.mac),) if self.mac else ()
        at.host.make(f"make a {self.kind} of {self.parent}", self.kind, (
            ("IFLA_IFNAME", self.name), ("IFLA_LINK", at.host.index(self.parent)),
            ("IFLA_NET_NS_FD", at.namespace), *mac, *mtu_attribute(self.mtu)), self.data())

    def undo(self, at: Site) -> None:
        at.there.delete(f"remove {self.name}", at.there.index(self.name))


class Macvlan(Slice, frozen=True):
    why = "the container is a host of its own on the parent's wire, with an own hardware address"
    kind = "macvlan"

    def data(self) -> tuple[tuple[str, object], ...]:
        return (("IFLA_MACVLAN_MODE", self.mode),)


class Ipvlan(Slice, frozen=True):
    why = "the container is a host of its own on the parent's wire, with the parent's hardware address"
    kind = "ipvlan"
    flag: str = "bridge"

    def flag_words(self) -> str:
        return f" {self.flag}" if self.flag != "bridge" else ""

    def data(self) -> tuple[tuple[str, object], ...]:
        return (("IFLA_IPVLAN_MODE", options.IPVLAN_MODES[self.mode]),
                ("IFLA_IPVLAN_FLAGS", options.IPVLAN_FLAGS[self.flag]))


class InnerSysctls(Step[Site], frozen=True):
    """Kernel parameters of the container's end."""

    why = ("before it is up: an interface without IPv6 is to have no link-local address either (CVE-2024-32473), and "
           "nobody's router advertisement gives it one")
    manual = "ip-sysctl(7)"
    netns: str
    values: tuple[tuple[str, str], ...]

    def describe(self) -> str:
        return "set in the container " + ", ".join(
            f"{path.replace('/', '.')} to {value}" for path, value in self.values)

    def shell(self) -> str:
        return f"ip netns exec {self.netns} sysctl " + " ".join(f"-w {path}={value}" for path, value in self.values)

    def apply(self, at: Site) -> None:
        with namespace.inside(at.namespace):
            write(self.values)


class InnerAddress(Step[Site], frozen=True):
    """The container's address."""

    why = "the network's own, that no other container has now"
    manual = "ip-address(8)"
    netns: str
    name: str
    address: str

    def describe(self) -> str:
        return f"give the container's {self.name} the address {self.address}"

    def shell(self) -> str:
        return f"ip -n {self.netns} address add {self.address} dev {self.name}"

    def apply(self, at: Site) -> None:
        at.there.add_address(self.describe(), at.there.index(self.name), self.address)


class InnerUp(Step[Site], frozen=True):
    """The container's end, that works."""

    why = "nothing passes a link that is down, and no route leads over it"
    manual = "ip-link(8)"
    netns: str
    name: str

    def describe(self) -> str:
        return f"set the container's {self.name} up"

    def shell(self) -> str:
        return f"ip -n {self.netns} link set {self.name} up"

    def apply(self, at: Site) -> None:
        at.there.change(self.describe(), at.there.index(self.name), up=True)


Way = tuple[str, str]
"""Of a default route: the interface, and the gateway, if it has one."""


class DefaultRoute(Step[Site], frozen=True):
    """The way to everything else."""

    why = ("of all networks that lead somewhere, one is the way out: that of the highest gw-priority, or the first by "
           "name")
    manual = "ip-route(8)"
    netns: str
    name: str
    version: int
    gateway: str = ""
    before: Way | None = None

    def describe(self) -> str:
        over = f"over {self.gateway}" if self.gateway else "straight"
        return f"route everything else {over} out of {self.name} (IPv{self.version})"

    def shell(self) -> str:
        via = f" via {self.gateway}" if self.gateway else ""
        return f"ip -n {self.netns} -{self.version} route replace default{via} dev {self.name}"

    def apply(self, at: Site) -> None:
        at.there.set_default_route(self.describe(), at.there.index(self.name), self.version, self.gateway)

    def undo(self, at: Site) -> None:
        go_back(at, self.version, self.before)


class NoDefaultRoute(Step[Site], frozen=True):
    """No way out any more."""

    why = "none of the networks that are left leads anywhere else"
    manual = "ip-route(8)"
    netns: str
    version: int
    before: Way | None = None

    def describe(self) -> str:
        return f"remove the default route (IPv{self.version})"

    def shell(self) -> str:
        return f"ip -n {self.netns} -{self.version} route del default"

    def apply(self, at: Site) -> None:
        at.there.drop_default_route(self.describe(), self.version)

    def undo(self, at: Site) -> None:
        go_back(at, self.version, self.before)


def go_back(at: Site, version: int, before: Way | None) -> None:
    """The default route is again what it was."""
    doing = f"route everything else as before (IPv{version})"
    if before is None:
        at.there.drop_default_route(doing, version)
    else:
        at.there.set_default_route(doing, at.there.index(before[0]), version, before[1])
