"""Which server a query is passed on to, for how long, and which is next. Pure: moments come from outside, in seconds.

A dead first server must cost little, and a slow one must not be overtaken by one that knows less (a company's names
are often known to the first server alone). So:

- A server that has answered before is given its time: several of its usual round trips.
- One that has never been heard is given a moment, then the next one is asked as well: whoever answers first is
  believed, unless it says that there is no such name; then the better server is waited for a little longer (`PROOF`).
- One that was silent while another answered is asked after all others, and every `AGAIN` seconds one query is sent to
  it for practice, so that it is found when it is back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydocker.network.resolvconf import Upstream

MOMENT = 0.02  # for a server that has never answered
PROOF = 0.5  # silent for so long while another answered: it is dead
LEAST, MOST = 0.25, 1.0  # for one that has
AGAIN = 10.0
DEADLINE = 4.5  # for all of them: glibc's resolver asks again after 5


@dataclass
class _Known:
    trip: float | None = None  # its usual one, smoothed; None: never heard
    dead: bool = False
    tried: float = 0.0


@dataclass
class Memory:
    """What is known of the servers; `servers` may be replaced by others at any time."""

    servers: tuple[Upstream, ...] = ()
    _known: dict[Upstream, _Known] = field(default_factory=dict)

    def know(self, servers: Sequence[Upstream]) -> None:
        """These are the servers now."""
        self.servers = tuple(servers)
        self._known = {one: self._known.get(one, _Known()) for one in self.servers}

    def order(self) -> tuple[Upstream, ...]:
        """The living ones, as they were given, then the dead ones."""
        return tuple(sorted(self.servers, key=lambda one: self._of(one).dead))

    def patience(self, server: Upstream) -> float:
        """How long to wait before the next one is asked as well."""
        trip = self._of(server).trip
        return MOMENT if trip is None else min(MOST, max(LEAST, 4 * trip))

    def practice(self, now: float) -> Iterator[Upstream]:
        """Dead ones whose turn it is to be asked again, besides the others."""
        for server, known in self._known.items():
            if known.dead and now - known.tried >= AGAIN:
                known.tried = now
                yield server

    def answered(self, server: Upstream, took: float) -> None:
        known = self._of(server)
        known.trip = took if known.trip is None else 0.75 * known.trip + 0.25 * took
        known.dead = False

    def silent(self, server: Upstream, waited: float, now: float) -> None:
        """It has not answered for so long, and another one has."""
        known = self._of(server)
        if waited >= (PROOF if known.trip is None else max(PROOF, self.patience(server))):
            known.dead, known.tried = True, now

    def refused(self, server: Upstream, now: float) -> None:
        """Nobody listens there, as the kernel or the network says at once."""
        known = self._of(server)
        known.dead, known.tried = True, now

    def _of(self, server: Upstream) -> _Known:
        return self._known.get(server) or _Known()
