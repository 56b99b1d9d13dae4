"""`Networks`: what the API and the containers ask for. May be called from several threads, raises pydocker.errors.

Locks, always in this order: the store's (names and subnets), then one network's (who is in it).
"""

import contextlib
import ipaddress
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from pydocker.config import Config
from pydocker.errors import Conflict, Forbidden, PydockerError
from pydocker.events.journal import Journal
from pydocker.model.event import Kind
from pydocker.model.network import BRIDGE, HOST, NONE, PREDEFINED, Asked, Endpoint, Network, NetworkId
from pydocker.network import asked as requests
from pydocker.network import default, doctor, ipam, legacy, options, plan
from pydocker.network.endpoints import Endpoints
from pydocker.network.firewalling import Firewall, on_disk
from pydocker.network.netlink import Netlink
from pydocker.network.ports import collide
from pydocker.network.rulewatch import RuleWatch
from pydocker.network.steps import MakeBridge, Site
from pydocker.network.store import Store, new_id
from pydocker.paths import Paths
from runtime.step import apply

_log = logging.getLogger(__name__)


class Networks:
    """All networks of one engine."""

    def __init__(self, paths: Paths, config: Config) -> None:
        self.endpoints = Endpoints(paths.run)
        self.journal = Journal(paths.events)
        self._store = Store(paths.networks)
        self.firewall = Firewall(config.bridge, paths.run / "firewall", on_disk(self._store, self.endpoints),
                                 opened=config.ip_forward_no_drop)
        self._rules: RuleWatch | None = None
        self._legacy = -1
        self._config = config
        self._host: Netlink | None = None
        self._checked: dict[NetworkId, int] = {}  # the number of the link that was found to be as it should

    @property
    def host(self) -> Netlink:
        """The socket in the host's namespace, which every thread of the server is in."""
        if self._host is None:
            self._host = Netlink()
        return self._host

    def close(self) -> None:
        """Let go of the kernel; the networks stay."""
        if self._host is not None:
            self._host.close()
            self._host = None
        if self._rules is not None:
            self._rules.close()
            self._rules = None
        if self._legacy >= 0:
            os.close(self._legacy)
            self._legacy = -1

    @property
    def legacy(self) -> int:
        """A descriptor for monitors, readable when iptables-legacy's rules may have been changed; -1: they cannot be.
        It is the same one for all: the first who reads it looks after them."""
        if self._legacy < 0:
            self._legacy = legacy.watch()
        return self._legacy

    def recover(self) -> None:
        """At start-up: take out what killed monitors have left, forget networks that are gone, and have the default one
        as the configuration has it."""
        known = {network.id for network in self._store.all()}
        for id in self.endpoints.networks_used():
            if id not in known:
                with contextlib.suppress(FileNotFoundError), self.endpoints.locked(id):
                    self.endpoints.forget(id)
                continue
            with contextlib.suppress(FileNotFoundError, PydockerError), self.endpoints.locked(id):
                living, every = self.endpoints.living(id), self.endpoints.read(id)
                if len(living) < len(every):
                    self.bury(self._store.get(id), every, living)
                    self.endpoints.write(id, living)
        try:
            self.firewall.settle(self._store.all())
        except PydockerError as error:
            _log.warning("ports of what was changed when a server was killed: %s", error)
        try:
            self._follow_configuration()
        except PydockerError as error:  # the server is needed all the same
            _log.warning("network %s stays as it was: %s", BRIDGE, error)

    def _follow_configuration(self) -> None:
        """What has been changed in the file holds from the next start-up on at which nobody is in the network."""
        with self._store.locked():
            before = next((one for one in self._store.all() if one.name == BRIDGE), None)
            wanted = default.asked(self._config)
            if before is None or default.follows(before, wanted) or self.members(before):
                return
            self._release_link(before)
            self.firewall.dismiss(before)
            after = replace(self._default(before.id), created=before.created)
            self._store.add(after)

    def _release_link(self, network: Network) -> None:
        """The default network's bridge goes, and is made again by the name that it has now; one that was there before
        us, which the configuration may name, loses our addresses."""
        if not self.host.has(network.interface):
            return
        make, *_ = plan.network(network, self.firewall.table)
        if isinstance(make, MakeBridge) and self.host.mac(network.interface) == make.mac:
            make.undo(self.site())
            return
        for address in plan.addresses(network):
            self.host.remove_address(f"take {address} from {network.interface}", self.host.index(network.interface),
                                     address)

    def bury(self, network: Network, every: Sequence[Endpoint], living: Sequence[Endpoint]) -> None:
        """Lead no port to the dead any more: their addresses are going to be others'. Before they are taken out, or
        whoever is killed in between leaves a port that nobody knows of. Raises PydockerError."""
        if dead := [(network, one) for one in every if one not in living and one.published]:
            self.firewall.rewrite(dead)

    def site(self) -> Site:
        """The stage for steps."""
        return Site(self.host, self.firewall)

    @property
    def narrowed(self) -> str:
        """The host's address for ports that name none; "" for all."""
        return self._config.ip

    # Looking

    def list(self) -> Sequence[Network]:
        """All of them, the oldest first; `bridge`, `host` and `none` are always there."""
        return self._store.with_predefined(self._default)

    def find(self, ref: str) -> Network:
        """By id, name, or unambiguous prefix of an id. Raises NotFound, InvalidParameter."""
        self.list()
        return self._store.find(ref)

    def members(self, network: Network) -> tuple[Endpoint, ...]:
        """The running containers in it."""
        return self.endpoints.living(network.id)

    # Making and removing

    def create(self, asked: Asked) -> Network:
        """Raises Conflict (the name is taken), Forbidden (a subnet is), InvalidParameter, NotFound (no such driver)."""
        self.list()
        with self._store.locked():
            others = self._store.all()
            asked = requests.completed(asked, others)
            requests.check(asked)
            made = requests.decide(asked, new_id(), time.time(), others, self.host.routes(), self._sources(others),
                                   [name for _, name in socket.if_nameindex()])
            self._check_link(made)
            self._store.add(made)
            try:
                if not made.config_only:
                    self.ready(made, new=True)
            except PydockerError:
                self._store.remove(made.id)
                self.endpoints.forget(made.id)
                raise
        self.journal.network(made, "create")
        return made

    def _check_link(self, network: Network) -> None:
        """A bridge that is there already is somebody else's."""
        if network.driver == BRIDGE and self.host.has(network.interface):
            raise Conflict(f"cannot create network {network.name}: the host has a link {network.interface} already")

    def remove(self, ref: str) -> Network:
        """Raises Forbidden: it is predefined, or in use."""
        network = self.find(ref)
        if network.name in PREDEFINED:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        with self._store.locked(), self.endpoints.locked(network.id, first=True):
            if network.config_only and any(one.config_from == network.name for one in self._store.all()):
                raise Forbidden(f'error while removing network: configuration network "{network.name}" is in use')
            if active := self.members(network):
                who = ", ".join(f'name:"{one.name}" id:"{one.id[:12]}"' for one in active)
                raise Forbidden(f"error while removing network: network {network.name} has active endpoints ({who})")
            self._take_down(network)
            self._store.remove(network.id)
            self.endpoints.forget(network.id)
        self.journal.network(network, "destroy")
        return network

    def _take_down(self, network: Network) -> None:
        self._checked.pop(network.id, None)
        steps = plan.network(network, self.firewall.table)
        shared = any(one.interface == network.interface for one in self._store.all() if one.id != network.id)
        if steps and not shared and self.host.has(network.interface):
            steps[0].undo(self.site())
        self.firewall.dismiss(network)

    def prune(self, wanted: Callable[[Network], bool]) -> Sequence[str]:
        """Remove the networks that nobody is in and that are `wanted` away; their names."""
        removed = []
        for network in self.list():
            kept = network.name in PREDEFINED or network.config_only
            if not kept and wanted(network) and not self.members(network):
                with contextlib.suppress(PydockerError):  # somebody was faster, one way or the other
                    removed.append(self.remove(network.id).name)
        self.journal.pruned(Kind.NETWORK, 0)
        return removed

    def ready(self, network: Network, *, new: bool = False) -> Network:
        """Have the host's part of it there: after a boot, or when somebody has taken it away, it is made again.

        Returns the network, as the default one may get another subnet when its own has become a route of the host's.
        """
        if network.config_only:
            raise Forbidden("cannot create endpoint on configuration-only network")
        if network.driver in (HOST, options.NULL):
            return network
        self._look_after_rules()
        if self._checked.get(network.id) and self._index(network) == self._checked[network.id]:
            return network
        with self.endpoints.locked(network.id, first=True):
            network = self._made(network, new=new)
            self._checked[network.id] = self._index(network)
        return network

    def _look_after_rules(self) -> None:
        """Between two starts somebody may have changed the firewall, and no container may have run to notice."""
        if self._rules is None:
            self._rules = RuleWatch()
        elif not self._rules.changed():
            self.firewall.look_after_legacy()
            return
        self.firewall.mend(time.time(), wait=True)

    def owner(self, protocol: str, address: str, port: int) -> str:
        """The container that has this port of the host's published; "" for none."""
        for network in self.list():
            for endpoint in self.members(network):
                if any((one.protocol, one.host_port) == (protocol, port) and collide(address, one.host_ip)
                       for one in endpoint.published):
                    return endpoint.name
        return ""

    def examine(self, endpoints: Sequence[Endpoint], pid: int) -> Sequence[doctor.Finding]:
        """Who can reach what these endpoints publish. `pid`: the container's process."""
        table, directory = self.firewall.table, self.firewall.directory
        return [doctor.examine(network, endpoint, one, doctor.look(table, directory, network, endpoint, one, pid))
                for endpoint in endpoints for network in (self._store.get(endpoint.network),)
                for one in endpoint.published]

    def _index(self, network: Network) -> int:
        return self.host.index(network.interface) if self.host.has(network.interface) else 0

    def _made(self, network: Network, *, new: bool) -> Network:
        site = self.site()
        if not self.host.has(network.interface):
            network = network if new else self._without_clash(network)
            apply(plan.network(network, self.firewall.table), site).pop_all()
        elif network.driver == BRIDGE:
            if (kind := self.host.kind(network.interface)) != "bridge":
                raise Conflict(f"network {network.name}: the host's link {network.interface} is no bridge, but "
                               f"{kind or 'a device'}")
            index = self.host.index(network.interface)
            present = [address for at, address in self.host.addresses() if at == index]
            apply((*plan.addressed(network, present), *plan.network(network, self.firewall.table)[-2:]), site).pop_all()
        return network

    def _without_clash(self, network: Network) -> Network:
        """The subnets were free when they were chosen; the host may have a route there now."""
        if network.driver != BRIDGE:
            return network
        try:
            for pool in network.pools:
                ipam.check_free(ipaddress.ip_network(pool.subnet), (), self.host.routes())
        except Forbidden:
            if network.name != BRIDGE or default.asked(self._config).pools or self.endpoints.read(network.id):
                raise
            network = replace(self._default(network.id), created=network.created)
            self._store.add(network)
        return network

    def _default(self, id: NetworkId) -> Network:
        """The network `bridge`, by the configuration."""
        others = [network for network in self._store.all() if network.id != id]
        routes = [route for route in self.host.routes() if route.interface != self._config.bridge]
        return requests.decide(default.asked(self._config), id, time.time(), others, routes, self._sources(others))

    def _sources(self, networks: Sequence[Network]) -> ipam.Sources:
        seed = next((network.id for network in networks if network.name == NONE), "")
        pools = tuple((pool.base, pool.size) for pool in self._config.default_address_pools)
        return ipam.Sources(pools or ipam.DEFAULT_POOLS, seed)
