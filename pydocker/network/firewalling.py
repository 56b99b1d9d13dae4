"""The firewall in the kernel: `firewall` decides what has to be there, this brings it there, and back.

A change is one transaction of a few elements. It fails when the table is not what it should be: not made yet (a boot),
flushed by somebody, or with an element left by a monitor that was killed. Then the whole table is written again from
what is on disk; so no change needs to look first.

What the table looked like (without the contents of its sets) is kept in `firewall.txt`: by that, whoever is told that
somebody has changed some rules (`rulewatch`) knows whether they were ours. It also tells the table's name: that stays,
whatever the configuration calls it by now, or two tables would be kept up against each other.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from pydocker.errors import PydockerError
from pydocker.model.network import BRIDGE, Endpoint, Network
from pydocker.network import conntrack, engines, firewall, foreign, forwarding, legacy, nft, ruleset
from pydocker.network.endpoints import Endpoints
from pydocker.network.firewall import Element
from pydocker.network.programs import Refused
from pydocker.network.store import Store
from pydocker.storage import documents, locks

SHAPE = "firewall.txt"
_SEEN = "legacy.txt"
_NOTE = "unsettled-"  # and the endpoint's id
_LOCK = "firewall.lock"  # its time: when somebody last looked whether the table is what it should be

_LOOKS = 5

Whole = Callable[[], tuple[Element, ...]]


class Firewall:
    """One table, and what has to be remembered about it in `directory` (<run root>/firewall).

    `named` is what the table is called when it is made.
    `whole`: all that the table has to hold, from the documents on disk. They are changed before the kernel is.
    `opened`: the host may be a router for everybody, once it is one for us (only who admits networks has to know).
    """

    def __init__(self, named: str, directory: Path, whole: Whole, *, opened: bool = False) -> None:
        self._named = named
        self.directory = directory
        self._whole = whole
        self._opened = opened

    @property
    def table(self) -> str:
        """Its name."""
        first, _, _ = self._shape().partition("{")  # table inet pydocker0 {
        return first.split()[-1] if first else self._named

    def admit(self, network: Network) -> None:
        """A network is there: its bridge is up. Raises PydockerError."""
        elements = tuple(firewall.of_network(network))
        if not elements:
            return
        versions = () if network.internal else firewall.versions(network)
        with self._locked():
            for _ in range(_LOOKS):
                self._admit(elements, versions)
                if all(map(forwarding.is_on, versions)):  # or another engine has turned it off before it saw our table
                    break

    def _admit(self, elements: Sequence[Element], versions: Sequence[int]) -> None:
        with contextlib.ExitStack() as undo:
            new = {version: False for version in versions if forwarding.foresee(self.directory, version)}
            new |= dict.fromkeys(self._inherited(versions), True)
            for version, used in new.items():
                undo.callback(forwarding.restore, self.directory, version, partial(bool, used))
            if forwarding.decide(self.directory, self._opened) or new:
                self._write()
            else:
                self._apply(firewall.add(self.table, elements), with_exceptions=True)
            for version in new:  # also where another engine has just turned it off
                forwarding.enable(self.directory, version)
            undo.pop_all()

    def _inherited(self, versions: Iterable[int]) -> list[int]:
        """As far as it was another engine that made the host a router: now we know what it was before, too."""
        known = forwarding.remembered(self.directory).versions
        unknown = [version for version in versions if version not in known]
        places = [*engines.directories(engines.others(self.table, nft.chains()))] if unknown else []
        return [version for place in places for version in unknown
                if forwarding.inherit(self.directory, place, version)]

    def dismiss(self, network: Network) -> None:
        """It is gone. With the last one goes everything, as if we had never been here. Raises PydockerError."""
        elements = tuple(firewall.of_network(network))
        if elements:
            with self._locked():
                left = self._whole()
                needed = {version for version in (4, 6) if any(one.where == f"subnets{version}" for one in left)}
                unneeded = set(forwarding.remembered(self.directory).versions) - needed
                if unneeded:  # before it is looked who needs it: of two engines that let it go, each would leave it
                    self._apply(firewall.delete(self.table, elements))
                for version in unneeded:
                    forwarding.restore(self.directory, version, partial(self._is_used, version))
                if not left:
                    self._close()
                elif unneeded:
                    self._write()
                else:
                    self._apply(firewall.delete(self.table, elements), with_exceptions=True)

    def _is_used(self, version: int) -> bool:
        """Whether another engine has networks of this kind, or somebody else rules for what the host forwards. A chain
        that is empty says nothing, nor do exceptions for networks of other engines: they may be about to go."""
        chains = nft.chains()
        neighbours = engines.others(self.table, chains)
        ours = (self.table, *neighbours)
        others = [one for one in foreign.forwarding(chains, self.table) if (one.family, one.table) not in [
            ("inet", table) for table in ours]]
        return (any(engines.routes(table, version) for table in neighbours)
                or any(foreign.others(ours, nft.rules(chain)) for chain in others)
                or legacy.has_others(ours))

    def publish(self, network: Network, endpoint: Endpoint) -> None:
        """Its published ports lead there from now on. Raises PydockerError."""
        elements = tuple(firewall.of_endpoint(network, endpoint))
        if elements:
            with self._locked():
                self._apply(firewall.add(self.table, elements))
            _forget_strayed(elements)

    def unpublish(self, network: Network, endpoint: Endpoint) -> None:
        """They do no more. Raises PydockerError."""
        elements = tuple(firewall.of_endpoint(network, endpoint))
        if elements:
            with self._locked():
                self._apply(firewall.delete(self.table, elements))
            _forget_led(elements)

    @contextlib.contextmanager
    def unsettled(self, endpoint: Endpoint) -> Iterator[None]:
        """While the documents and the kernel tell different things about a running container's endpoint (as it was
        before). Whoever is killed in this block, or fails, leaves a note of it."""
        note = self.directory / f"{_NOTE}{endpoint.id}"
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        documents.write(note, endpoint, durable=False)
        yield
        os.unlink(note)

    def settle(self, networks: Iterable[Network]) -> None:
        """Make good what the notes tell of. Call it when nobody else changes endpoints. Raises PydockerError."""
        if notes := list(self.directory.glob(f"{_NOTE}*")):
            known = {network.id: network for network in networks}
            self.rewrite((known[one.network], one) for note in notes for one in _noted(note) if one.network in known)
        for note in notes:
            os.unlink(note)

    def rewrite(self, gone: Iterable[tuple[Network, Endpoint]] = ()) -> None:
        """Whatever is there now, it shall be what the documents say. `gone`: who was killed. Raises PydockerError.

        Their ports were free at once, and may lead to others by now: so no element is deleted by its name.
        """
        with self._locked():
            if self._whole():
                self._write()
        _forget_led(one for each in gone for one in firewall.of_endpoint(*each))

    def mend(self, since: float, *, wait: bool = False) -> bool:
        """Write everything again, if somebody has changed it. `since`: when that may have been (time.time()).

        False: somebody else is writing, ask again. Raises PydockerError.
        """
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        lock = locks.acquire(self.directory / _LOCK, blocking=wait)
        if lock is None:
            return False
        try:
            if os.fstat(lock).st_mtime <= since:
                now = time.time()
                os.utime(lock, (now, now))
                self._mend()
        finally:
            os.close(lock)
        return True

    def _mend(self) -> None:
        elements = self._whole()
        if not elements:
            return
        if self._shape() != (nft.shape(self.table) or None):
            self._write()
            _forget_strayed(elements)
        elif commands := self._exceptions(elements):
            with contextlib.suppress(Refused):  # somebody is at it, and will be heard of again
                nft.apply(commands)
        self._adjust(elements)

    def look_after_legacy(self) -> None:
        """Of changes to iptables-legacy's rules, not everybody is told."""
        if legacy.programs():
            with self._locked():
                self._adjust(self._whole())

    def _adjust(self, elements: Iterable[Element]) -> None:
        """iptables-legacy's rules. What was seen of them is kept, lest its program be run in vain: other monitors would
        hear that, and look, too."""
        bridges, note = _bridges(elements), self.directory / _SEEN
        seen = " ".join((legacy.state(), *sorted(bridges)))
        with contextlib.suppress(PydockerError):  # `doctor` tells of it
            if _text(note) != seen:
                legacy.adjust(self.table, bridges)
                note.write_text(seen)

    def _apply(self, commands: str, *, with_exceptions: bool = False) -> None:
        try:
            nft.apply(commands + (self._exceptions(self._whole()) if with_exceptions else ""))
        except Refused:
            self._write()
        else:
            if with_exceptions:
                self._adjust(self._whole())

    def _write(self) -> None:
        """Write everything, and keep what it looks like then: what is seen twice. Somebody may flush the table before
        we have looked, and that must not count as what it should be."""
        known = self._shape()
        for _ in range(_LOOKS):
            self._write_once()
            known, before = nft.shape(self.table), known
            if known == before:
                break
        (self.directory / SHAPE).write_text(known)

    def _write_once(self) -> None:
        """The whole table, and the exceptions in other people's chains, in one transaction."""
        elements = self._whole()
        closed = forwarding.remembered(self.directory).closed
        self._apply_with_exceptions(ruleset.ruleset(self.table, elements, closed, str(self.directory)), elements)
        self._adjust(elements)

    def _close(self) -> None:
        self._adjust(())  # before: by our table, another engine knows that such exceptions are ours
        self._apply_with_exceptions(f"add table inet {self.table}\ndelete table inet {self.table}\n", ())
        for name in (SHAPE, _SEEN):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.directory / name)

    def _apply_with_exceptions(self, ours: str, elements: Sequence[Element]) -> None:
        """In one transaction. Other people's chains and tables may be others by then: so again, as long as they are;
        what is refused twice is its owner's alone, and `doctor` tells of it. Raises PydockerError."""
        tried = None
        while (exceptions := self._exceptions(elements)) != tried:
            with contextlib.suppress(Refused):
                nft.apply(ours + exceptions)
                return
            tried = exceptions
        nft.apply(ours)

    def _exceptions(self, elements: Iterable[Element]) -> str:
        bridges = _bridges(elements)
        chains = nft.chains()
        return "".join((*(foreign.exceptions(self.table, chain, nft.rules(chain), bridges)
                          for chain in foreign.forwarding(chains, self.table)),
                        *engines.neighbours(self.table, engines.others(self.table, chains), bridges)))

    def _shape(self) -> str:
        """As it was when it was written."""
        return _text(self.directory / SHAPE)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time writes: whoever writes the whole table has read the disk before, and must not overwrite what
        came in between."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        with locks.held(self.directory / _LOCK):
            yield


def on_disk(networks: Store, endpoints: Endpoints) -> Whole:
    """What the documents say, of the networks whose bridges are there, and of the containers that live."""
    def whole() -> tuple[Element, ...]:
        there = [one for one in networks.all() if one.driver == BRIDGE and engines.exists(one.interface)]
        return tuple(firewall.everything(there, (each for one in there for each in endpoints.living(one.id))))

    return whole


def _noted(note: Path) -> Iterator[Endpoint]:
    """None, if the note is damaged: then too, the table has to be written again."""
    with contextlib.suppress(PydockerError):
        yield documents.read(note, Endpoint)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def _bridges(elements: Iterable[Element]) -> list[str]:
    return [one.key.strip('"') for one in elements if one.where == "bridges"]


def _forget_strayed(elements: Iterable[Element]) -> None:
    """Flows that began before their port was led anywhere."""
    if ports := firewall.datagram_ports(elements):
        conntrack.forget(conntrack.strayed(ports))


def _forget_led(elements: Iterable[Element]) -> None:
    """Flows to where ports were led that are led no more."""
    if targets := firewall.datagram_targets(elements):
        conntrack.forget(conntrack.led(targets))
