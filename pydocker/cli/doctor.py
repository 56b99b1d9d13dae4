"""`pydocker network doctor`: who can reach the published ports, and what stands in the way, hop by hop.

The status: 0 every port leads to a program; 1 it could not be looked at; 2 something is in the way.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from pydocker.cli.command import Arity, Command
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.client.reachability import Hop, Port, Wish, reachability, wish

WRONG = 2
_TO = " -> "


def doctor(session: Session, arguments: tuple[str, ...]) -> int:
    """Of these containers, or of all that run."""
    client = session.client()
    names = arguments or tuple(one.names[0].removeprefix("/") for one in containers.listed(client, {}) if one.names)
    good = True
    for name in names:
        ports = reachability(client, name)
        if not ports and arguments:
            asked = wish(client, name)
            session.say(f"{name}: {unpublished(asked)}")
            good &= not asked.publishes
        for together in by_number(ports):
            session.write(told(name, together))
        good &= all(hop.good for port in ports for hop in port.hops)
    return 0 if good else WRONG


def unpublished(asked: Wish) -> str:
    """Why there is nothing to be looked at."""
    mode = asked.host_config.network_mode
    if mode == "host":
        return "it is in the host's network: where its programs listen, the host does"
    if mode.startswith("container:"):
        return "it is in another container's network: ports are published by that one"
    if not asked.publishes:
        return "it asks for no port to be published"
    if not asked.state.running:
        return "it does not run: its ports are published while it does"
    return "none of its ports is published: no network of it leads out of the host"


def by_number(ports: Iterable[Port]) -> list[list[Port]]:
    """Those together that differ in the addresses alone, as those of one -p do."""
    found: dict[tuple[str, ...], list[Port]] = {}
    for port in ports:
        found.setdefault((port.network, *(_parted(end)[1] for end in port.port.split(_TO))), []).append(port)
    return [*found.values()]


def told(name: str, ports: Sequence[Port]) -> str:
    """A port, at one or more addresses of the host's, in some lines; the last ones are the answer."""
    insides: dict[str, list[str]] = {}
    for port in ports:
        outside, _, inside = port.port.partition(_TO)
        insides.setdefault(inside, []).append(outside)
    title = ", ".join(f"{', '.join(outsides)}{_TO}{inside}" for inside, outsides in insides.items())
    lines = [f"{name}: {title} (network {ports[0].network})", *_hops(ports), *_answers(ports)]
    return "".join(f"{line}\n" for line in lines)


def _hops(ports: Sequence[Port]) -> Iterator[str]:
    """What is the same for all addresses once, at its place; of the rest it is said which address it is about."""
    common = [hop for hop in ports[0].hops if all(hop in port.hops for port in ports)]
    left = [(f"{_parted(port.port.partition(_TO)[0])[0]}: ", [*port.hops]) for port in ports]
    for shared in (*common, None):
        for at, hops in left:
            while hops and (hop := hops.pop(0)) != shared:
                yield _hop(at, hop)
        if shared is not None:
            yield _hop("", shared)


def _hop(at: str, hop: Hop) -> str:
    return f"  {'ok' if hop.good else 'NO'}  {at}{hop.what}: {hop.detail}"


def _answers(ports: Sequence[Port]) -> Iterator[str]:
    ranks = zip_longest(*(port.reachable_from for port in ports))
    for who in dict.fromkeys(who for rank in ranks for who in rank if who):
        yield f"      reachable from {who}"
    nowhere = [_parted(port.port.partition(_TO)[0])[0] for port in ports if not port.reachable_from]
    if nowhere:
        yield "      reachable from nowhere" + (f" by {', '.join(nowhere)}" if len(nowhere) < len(ports) else "")


def _parted(end: str) -> tuple[str, str]:
    """`[::]`, `80/tcp` of `[::]:80/tcp`."""
    address, _, number = end.rpartition(":")
    return address, number


DOCTOR = Command(
    "doctor", doctor, synopsis="[CONTAINER...]", arity=Arity(0, None),
    help="Explain who can reach the published ports of containers, and what stands in the way",
    details="Every hop between a client and the program is looked at: who holds the host's port, where the firewall\n"
            "leads it, whether the host forwards, who else may drop it, and whether a program listens.\n"
            "Exit status: 0 every port leads to a program, 1 it could not be looked at, 2 something is in the way.")
