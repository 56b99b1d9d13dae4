"""`pydocker network doctor`: who can reach the published ports, and what stands in the way, hop by hop.

The status: 0 every port leads to a program; 1 it could not be looked at; 2 something is in the way.
"""

from pydocker.cli.command import Arity, Command
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.client.reachability import Hop, Port, Wish, reachability, wish

WRONG = 2


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
        for port in ports:
            session.write(told(name, port))
            good &= all(hop.good for hop in port.hops)
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


def told(name: str, port: Port) -> str:
    """A port in some lines; the last one is the answer."""
    lines = [f"{name}: {port.port} (network {port.network})", *map(_hop, port.hops)]
    lines += [f"      reachable from {who}" for who in port.reachable_from] or ["      reachable from nowhere"]
    return "".join(f"{line}\n" for line in lines)


def _hop(hop: Hop) -> str:
    return f"  {'ok' if hop.good else 'NO'}  {hop.what}: {hop.detail}"


DOCTOR = Command(
    "doctor", doctor, synopsis="[CONTAINER...]", arity=Arity(0, None),
    help="Explain who can reach the published ports of containers, and what stands in the way",
    details="Every hop between a client and the program is looked at: who holds the host's port, where the firewall\n"
            "leads it, whether the host forwards, who else may drop it, and whether a program listens.\n"
            "Exit status: 0 every port leads to a program, 1 it could not be looked at, 2 something is in the way.")
