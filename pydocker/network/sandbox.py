"""A container's network: its namespace and its places, made for a start, and changed while it runs.

    open     at start: reserve an address in every network, then make namespace and interfaces
    plug     `network connect` on a running container
    unplug   `network disconnect`

The reservation comes first, and is taken back last: so an address that an interface has is never free.
"""

import contextlib
import errno
import logging
import os
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from pydocker.errors import Forbidden, NotFound, PydockerError
from pydocker.model.container import Record
from pydocker.model.network import HOST, NONE, Endpoint, EndpointConfig, Network, NetworkId, Published
from pydocker.network import options, plan, publishing
from pydocker.network.naming import Listen
from pydocker.network.netlink import NetlinkError
from pydocker.network.plan import Place, Steps
from pydocker.network.ports import Held
from pydocker.network.service import Networks
from runtime.step import apply

_log = logging.getLogger(__name__)

FAILED = "failed to set up container networking"


@dataclass
class Sandbox:
    """What a start has made: its descriptors are to be handed to the monitor; then these here are closed.

    Leaving the context without `keep` takes everything back.
    """

    namespace: int
    listening: tuple[int, ...]  # where names are asked for: by UDP, by TCP
    endpoints: tuple[Endpoint, ...]
    ports: Held
    undo: ExitStack

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *problem: object) -> None:
        self.undo.close()

    def keep(self) -> None:
        """The container runs: its monitor takes everything down at its end."""
        self.undo.pop_all()
        self.ports.close()
        for fd in (self.namespace, *self.listening):
            os.close(fd)


class Plugged(NamedTuple):
    """One more place; and, where names are to be answered from now on, the sockets for that, which are the caller's."""

    endpoint: Endpoint
    listening: tuple[int, ...]


def real(record: Record) -> tuple[str, ...]:
    """The networks that a container has an interface in; without one, its namespace is the runtime's affair."""
    return tuple(name for name in record.networks if name not in (HOST, NONE))


class Sandboxes:
    """Connects containers to networks."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._endpoints = networks.endpoints

    def open(self, record: Record) -> Sandbox:
        """Make the network of a container that is about to start. Call it with its monitor.lock held.

        Raises PydockerError, after undoing what was done.
        """
        wanted = [(self._networks.find(name), record.networks[name]) for name in real(record)]
        with ExitStack() as undo:
            self._endpoints.announce(record.id, (network.id for network, _ in wanted))
            undo.callback(self._endpoints.release, record.id)
            places: list[Place] = []
            for network, config in wanted:
                ready = self._networks.ready(network)
                used = [endpoint.interface for _, endpoint, _ in places]
                places.append((ready, self._reserve(ready, config, record, used), config))
            held = publishing.hold(record, places, self._networks.narrowed, self._networks.owner)
            undo.callback(held.close)
            places = [*self._arrange(places, held.published)]
            site = self._networks.site()
            try:
                apply(plan.sandbox(record.id[:12], places), site).pop_all()  # it all goes with the namespace
                undo.push(apply(plan.led(self._networks.firewall.table, places), site))
            except PydockerError:
                if site.namespace >= 0:
                    os.close(site.namespace)
                raise
            finally:
                site.leave()
            for fd in (site.namespace, *site.listening):
                undo.callback(os.close, fd)
            undo = undo.pop_all()
        return Sandbox(site.namespace, site.listening, tuple(endpoint for _, endpoint, _ in places), held, undo)

    def _arrange(self, places: Sequence[Place], published: Sequence[Published]) -> Sequence[Place]:
        """Enter into the networks through which of them each port is led."""
        after = publishing.arranged(places, published)
        for (_, before, _), (_, endpoint, _) in zip(places, after, strict=True):
            if endpoint != before:
                self._endpoints.replace(endpoint)
        return after

    def rehearse(self, record: Record) -> Steps:
        """The steps of `open`, with the addresses that are free now; nothing is done."""
        places: list[Place] = []
        missing: list[Steps] = []
        for name in real(record):
            network, config = self._networks.find(name), record.networks[name]
            if not self._networks.host.has(network.interface):
                missing.append(plan.network(network, self._networks.firewall.table))
            used = [endpoint.interface for _, endpoint, _ in places]
            taken = self._networks.members(network)
            places.append((network, self._decide(network, config, record, used, taken), config))
        held = publishing.hold(record, places, self._networks.narrowed, self._networks.owner)
        held.close()
        shown = publishing.arranged(places, held.published)
        return (*(step for steps in missing for step in steps), *plan.sandbox(record.id[:12], shown),
                *plan.led(self._networks.firewall.table, shown))

    def plug(self, record: Record, network: Network, config: EndpointConfig, namespace: int) -> Plugged:
        """One more network for a running container. Raises PydockerError, after undoing what was done."""
        network = self._networks.ready(network)
        before = self.places(record)
        known = self._endpoints.networks(record.id)
        with ExitStack() as undo:
            self._endpoints.announce(record.id, dict.fromkeys((*known, network.id)))
            undo.callback(self._endpoints.announce, record.id, known)
            undo.callback(self._endpoints.leave, network.id, record.id)
            used = [endpoint.interface for _, endpoint, _ in before]
            endpoint = self._reserve(network, config, record, used)
            netns, after = record.id[:12], (*before, (network, endpoint, config))
            listen = (Listen(netns),) if plan.named(after) and not plan.named(before) else ()
            listening = self._work(namespace, (*listen, *plan.connected(netns, network, endpoint, config),
                                               *plan.ways_out(netns, before, after)))
            undo.pop_all()
        return Plugged(endpoint, listening)

    def unplug(self, record: Record, network: Network, namespace: int) -> None:
        """One network less. What is gone already is no error.

        Nor is a way out that the container itself has blocked (CAP_NET_ADMIN): as in Docker, that keeps it nowhere. If
        anything else fails, the next call finishes it."""
        before = self.places(record)
        left = [endpoint for one, endpoint, _ in before if one.id == network.id]
        after = [place for place in before if place[0].id != network.id]
        for step in plan.ways_out(record.id[:12], before, after):
            try:
                self._work(namespace, (step,))
            except NetlinkError as error:
                _log.warning("disconnect %s from network %s: %s", record.name, network.name, error)
        for endpoint in left:
            self._remove_interface(namespace, endpoint.interface)
        with ExitStack() as notes:
            for endpoint in left:
                notes.enter_context(self._networks.firewall.unsettled(endpoint))
            for endpoint in self._endpoints.leave(network.id, record.id):
                self._networks.firewall.unpublish(network, endpoint)
        self._endpoints.announce(record.id, [id for id in self._endpoints.networks(record.id) if id != network.id])

    def rearrange(self, record: Record, places: Sequence[Place], published: Sequence[Published],
                  undo: ExitStack) -> None:
        """Lead these published ports, and no others, through the networks where they belong now.

        Raises PydockerError; `undo` then takes back what was done.
        """
        after = publishing.arranged(places, published)
        changes = [(network, before, endpoint) for (network, before, _), (_, endpoint, _) in zip(
            places, after, strict=True) if before.published != endpoint.published]
        firewall = self._networks.firewall
        undo.callback(self._forget_gone, [(network, endpoint) for network, _, endpoint in changes])
        with ExitStack() as notes:
            for _, before, endpoint in changes:
                notes.enter_context(firewall.unsettled(before))
                undo.callback(self._endpoints.replace, before)
                self._endpoints.replace(endpoint)
            for network, before, endpoint in changes:
                undo.callback(firewall.publish, network, before)
                firewall.unpublish(network, _less(before, endpoint))
            for network, before, endpoint in changes:
                self._give_back(network, endpoint)
                undo.callback(firewall.unpublish, network, _less(endpoint, before))
                firewall.publish(network, _less(endpoint, before))

    def _forget_gone(self, changed: Sequence[tuple[Network, Endpoint]]) -> None:
        """Its monitor takes the ports of a container that ends out of the firewall: perhaps before they were put in."""
        if gone := [(network, endpoint) for network, endpoint in changed if not self._endpoints.has(endpoint)]:
            self._networks.firewall.rewrite(gone)

    def _give_back(self, network: Network, endpoint: Endpoint) -> None:
        """Its port of the bridge gives back what the container sends to itself by way of the host (plan.Plug)."""
        if endpoint.published and endpoint.host_interface:
            host = self._networks.host
            host.port(f"change {endpoint.host_interface}", host.index(endpoint.host_interface),
                      isolated=not options.enabled(network, options.ICC), hairpin=True)

    def places(self, record: Record) -> list[Place]:
        """Where a running container is now."""
        found: list[Place] = []
        for endpoint in self._endpoints.of(record.id):
            with contextlib.suppress(NotFound):
                network = self._networks.find(endpoint.network)
                found.append((network, endpoint, record.networks.get(network.name, EndpointConfig())))
        return found

    def _work(self, namespace: int, steps: Steps) -> tuple[int, ...]:
        site = self._networks.site()
        site.enter(namespace)
        try:
            apply(steps, site).pop_all()
        finally:
            site.leave()
        return site.listening

    def _remove_interface(self, namespace: int, name: str) -> None:
        site = self._networks.site()
        site.enter(namespace)
        try:
            site.there.delete(f"remove the container's {name}", site.there.index(name))
        except NetlinkError as error:
            if error.number != errno.ENODEV:
                raise
        finally:
            site.leave()

    def _reserve(self, network: Network, config: EndpointConfig, record: Record, used: Sequence[str]) -> Endpoint:
        """Enter a new endpoint into the network. Only when no address is free is it looked who still lives: what a
        killed monitor has left is taken away then."""
        try:
            with self._endpoints.locked(network.id):
                self._exists(network.id)
                taken = every = tuple(one for one in self._endpoints.read(network.id) if one.container != record.id)
                try:
                    endpoint = self._decide(network, config, record, used, taken)
                except PydockerError:
                    taken = tuple(one for one in self._endpoints.living(network.id) if one.container != record.id)
                    endpoint = self._decide(network, config, record, used, taken)
                    self._networks.bury(network, every, taken)
                self._endpoints.write(network.id, (*taken, endpoint))
        except FileNotFoundError:
            raise NotFound(f"network {network.id} not found") from None
        return endpoint

    def _exists(self, id: NetworkId) -> None:
        """Raises NotFound: it was removed while we waited for its lock."""
        self._networks.find(id)

    def _decide(self, network: Network, config: EndpointConfig, record: Record, used: Sequence[str],
                taken: Sequence[Endpoint]) -> Endpoint:
        interface = plan.interface(network, config, used)
        if interface in used:
            raise Forbidden(f"interface name {interface} is used by another network of container {record.id[:12]}")
        names = plan.names(network, record.name, record.id, record.config.hostname, config.aliases or ())
        return plan.endpoint(network, config, taken, interface, id=secrets.token_hex(32), container=record.id,
                             name=record.name, names=names)


def _less(one: Endpoint, other: Endpoint) -> Endpoint:
    """The endpoint with what it publishes and the other does not."""
    return msgspec.structs.replace(one, published=tuple(it for it in one.published if it not in other.published))
