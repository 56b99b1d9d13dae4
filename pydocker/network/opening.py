"""The steps that concern the firewall: a network is let in, and a container's published ports lead to it."""

import shlex

from pydocker.model.network import Endpoint, Network
from pydocker.network import firewall
from pydocker.network.steps import Site
from runtime.step import Step


class Admit(Step[Site], frozen=True):
    """A network that may reach the world outside, and that others cannot enter."""

    why = ("the host forwards for it, hides it behind its own address, and keeps networks apart; the rules are always "
           "the same, a network is an element of their sets")
    manual = "nft(8), SETS; ip-sysctl(7)"
    table: str
    network: Network

    def describe(self) -> str:
        inside = "and let nothing in or out" if self.network.internal else "with a way out behind the host's address"
        return f"let the network {self.network.name} ({self.network.interface}) into the firewall, {inside}"

    def shell(self) -> str:
        names = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
        versions = () if self.network.internal else firewall.versions(self.network)
        return "; ".join((*(f"sysctl -w {names[version]}=1" for version in versions),
                          *_commands(firewall.add(self.table, firewall.of_network(self.network)))))

    def apply(self, at: Site) -> None:
        at.firewall.admit(self.network)

    def undo(self, at: Site) -> None:
        at.firewall.dismiss(self.network)


class Lead(Step[Site], frozen=True):
    """Published ports that lead to a container."""

    why = ("what comes to the host's port gets the container's address for its destination, and keeps its source; one "
           "transaction for all ports, so that nobody sees half of it")
    manual = "nft(8), NAT STATEMENTS"
    table: str
    network: Network
    endpoint: Endpoint

    def describe(self) -> str:
        return "publish " + ", ".join(
            f"{_shown(one.host_ip)}:{one.host_port} -> {one.container_port}/{one.protocol}"
            for one in self.endpoint.published)

    def shell(self) -> str:
        commands = _commands(firewall.add(self.table, firewall.of_endpoint(self.network, self.endpoint)))
        return "; ".join(commands) or ": the container's monitor carries it (socat)"

    def apply(self, at: Site) -> None:
        at.firewall.publish(self.network, self.endpoint)

    def undo(self, at: Site) -> None:
        at.firewall.unpublish(self.network, self.endpoint)


def _commands(text: str) -> list[str]:
    return [f"nft {shlex.quote(line)}" for line in text.splitlines()]


def _shown(address: str) -> str:
    return f"[{address}]" if ":" in address else address
