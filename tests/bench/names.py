"""How fast names are answered when the first name server is dead: 1,000 questions from three containers.

    python -m tests.bench.names      as root; an engine of its own, in a network of its own

Asked by threads of this process in the containers' network namespaces, so that no program's start is timed. What is
printed includes the work of the asking and of the answering server, which share the processors with the monitors.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import dnslib  # type: ignore[import-untyped]

from tests import leaks
from tests.engine import Engine
from tests.peers.nameserver import Nameserver, known, silent
from tests.root.names.conftest import RESOLVER, inside, pid

DEAD, ALIVE = "10.253.1.53", "10.253.2.53"
CONTAINERS, EACH = ("one", "two", "three"), 334


def lookups(process: int, names: Sequence[str]) -> list[float]:
    """The seconds of each question, asked one after the other. Raises TimeoutError, AssertionError: no answer."""
    took: list[float] = []

    def work() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.connect(RESOLVER)
            for name in names:
                query = dnslib.DNSRecord.question(name).pack()
                begun = time.perf_counter()
                client.send(query)
                reply = client.recv(4096)
                took.append(time.perf_counter() - begun)
                assert reply[:2] == query[:2] and dnslib.DNSRecord.parse(reply).rr, name

    inside(process, work)
    return took


def together(processes: Sequence[int], names: Sequence[str]) -> list[float]:
    """From all of them at the same time."""
    took: list[float] = []
    threads = [threading.Thread(target=lambda one=one: took.extend(lookups(one, names))) for one in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == len(processes) * len(names), "a question was not answered"
    return sorted(took)


def told(what: str, took: Sequence[float]) -> None:
    middle, late, last = (took[min(len(took) - 1, int(len(took) * part))] * 1000 for part in (0.5, 0.99, 1))
    print(f"{what:42} {len(took):5} answers   median {middle:6.2f} ms   p99 {late:6.2f} ms   slowest {last:6.2f} ms")


def main() -> int:
    token = f"pydocker-bench-{os.getpid()}"
    os.environ[leaks.MARKER] = token
    leaks.isolate_network()
    for address in (DEAD, ALIVE):
        subprocess.run(("ip", "address", "add", f"{address}/32", "dev", "lo"), check=True)
    with tempfile.TemporaryDirectory() as directory, Engine(Path(directory), token) as engine, \
            Nameserver(silent, DEAD, 53), Nameserver(known, ALIVE, 53):
        engine.import_busybox()
        engine.ok("network", "create", "back")
        for name in CONTAINERS:
            engine.ok("run", "-d", "--name", name, "--network", "back", "--dns", DEAD, "--dns", ALIVE, "busybox",
                      "sleep", "1000")
        processes = [pid(engine, name) for name in CONTAINERS]
        outside = [f"{number}.example" for number in range(EACH)]
        told("outside, the first server dead", together(processes, outside))
        told("the same, once more", together(processes, outside))
        told("each other", together(processes, CONTAINERS * (EACH // 3)))
        engine.ok("rm", "-f", *CONTAINERS)
        engine.ok("network", "rm", "back")
    leaks.remove_parents(token)
    return 0


if __name__ == "__main__":
    sys.exit(main())
