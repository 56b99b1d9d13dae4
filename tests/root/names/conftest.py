"""A client that asks as a container's programs would, but sees every bit of the answer; and servers outside."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import dnslib  # type: ignore[import-untyped]
import pytest

from runtime.linux import namespaces
from tests.engine import Engine
from tests.peers.nameserver import Behaviour, Nameserver

RESOLVER = ("127.0.0.11", 53)


def pid(engine: Engine, container: str) -> int:
    return int(engine.ok("inspect", "-f", "{{.State.Pid}}", container))


def inside(pid: int, work: Callable[[], None]) -> None:
    """Do it in the network namespace of a process: in a thread, which ends there."""
    failures: list[BaseException] = []

    def there() -> None:
        try:
            with open(f"/proc/{pid}/ns/net", "rb") as namespace:
                namespaces.setns(namespace.fileno(), namespaces.CLONE_NEWNET)
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def ask(pid: int, name: str, type: str = "A", *, tcp: bool = False, edns: int = 0) -> dnslib.DNSRecord:
    """The resolver's answer to one question."""
    query = dnslib.DNSRecord.question(name, type)
    if edns:
        query.add_ar(dnslib.EDNS0(udp_len=edns))
    answers: list[dnslib.DNSRecord] = []

    def work() -> None:
        with socket.socket(type=socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as client:
            client.settimeout(60)
            client.connect(RESOLVER)
            packet = query.pack()
            client.sendall(len(packet).to_bytes(2, "big") + packet if tcp else packet)
            if tcp:
                length = int.from_bytes(client.recv(2, socket.MSG_WAITALL), "big")
                answers.append(dnslib.DNSRecord.parse(client.recv(length, socket.MSG_WAITALL)))
            else:
                answers.append(dnslib.DNSRecord.parse(client.recv(65535)))

    inside(pid, work)
    assert answers[0].header.id == query.header.id
    return answers[0]


def told(pid: int, name: str, type: str = "A", **how: object) -> str | list[str]:
    """The data of an answer's records; without any, its code."""
    found = ask(pid, name, type, **how)  # type: ignore[arg-type]
    return [str(one.rdata) for one in found.rr] or dnslib.RCODE.get(found.header.rcode)


def address(engine: Engine, container: str, network: str, version: int = 4) -> str:
    place = f'(index .NetworkSettings.Networks "{network}").{"IPAddress" if version == 4 else "GlobalIPv6Address"}'
    return engine.ok("inspect", "-f", "{{" + place + "}}", container).strip()


@pytest.fixture
def network(engine: Engine) -> Callable[..., str]:
    """Makes networks, which go with the test, as its containers do."""
    def make(name: str, *flags: str) -> str:
        engine.ok("network", "create", *flags, name)
        return name

    return make


@pytest.fixture
def outside() -> Iterator[Callable[[str, Behaviour], Nameserver]]:
    """Name servers at port 53 of addresses that this host is given for the test."""
    with ExitStack() as undo:
        def serve(at: str, behaviour: Behaviour) -> Nameserver:
            if not at.startswith("127."):
                subprocess.run(("ip", "address", "add", f"{at}/32", "dev", "lo"), check=True)
                undo.callback(subprocess.run, ("ip", "address", "delete", f"{at}/32", "dev", "lo"), check=True)
            return undo.enter_context(Nameserver(behaviour, at, 53))

        yield serve


def run(engine: Engine, name: str, *flags: str) -> int:
    """A container that sleeps; its process."""
    engine.ok("run", "-d", "--name", name, *flags, "busybox", "sleep", "1000")
    return pid(engine, name)
