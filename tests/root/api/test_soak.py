"""Containers by the hundred, eight at a time: afterwards the host and the engine are what they were.

`make test` makes 48 of them, `make soak` a thousand.
"""

import contextlib
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker as docker_py
import pytest

from tests import leaks
from tests.engine import Engine
from tests.root.containers.room import wait_until

CYCLES = 1000 if os.environ.get("PYDOCKER_SOAK") == "1" else 48
AT_ONCE = 8
WARM = 3 * AT_ONCE  # cycles until everything has been loaded, and each kind of cache is as large as it gets
GROWTH = 4 << 20  # bytes that memory may be larger by at the end: a leak of one page a cycle would be that much


def processes(engine: Engine) -> dict[str, int]:
    """The server's pid and the spawner's."""
    [server] = engine.server()
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    named = {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in children}
    return {"server": server, "spawner": named["pydocker-spawn"]}


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def at_rest(pid: int) -> int:
    """As many as there are when no connection of a client that is gone is still being closed."""
    counts = [descriptors(pid)]
    while len(counts) < 10 or counts[-1] < counts[-10]:
        time.sleep(0.05)
        counts.append(descriptors(pid))
    return counts[-1]


def memory(pid: int) -> int:
    """Private bytes: what others do with the pages that are shared is not this process's growth."""
    found = re.findall(r"^Private_\w+: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return sum(map(int, found)) << 10


def cycle(client: docker_py.DockerClient, number: int) -> None:
    """run, exec, rm; of every eight, some end in other ways."""
    container = client.containers.run("busybox", ["sh", "-c", "echo begun; exec sleep 1000"], detach=True,
                                      auto_remove=number % 4 == 0)
    # Its output is not compared: docker-py loses what comes along with the head of the answer (it has a buffer there).
    assert container.exec_run(["sh", "-c", f"echo {number}; exit 3"]).exit_code == 3
    match number % 4:
        case 0:
            container.kill()
        case 1:
            container.stop(timeout=0)
            assert container.logs() == b"begun\n"
            container.remove()
        case _:
            container.remove(force=True)


@pytest.mark.timeout(3600 if CYCLES == 1000 else 180)
def test_cycles_leave_nothing(engine: Engine, scope: leaks.Scope) -> None:
    def cycles(numbers: range) -> None:
        client = docker_py.DockerClient(base_url=engine.host, max_pool_size=AT_ONCE)
        with contextlib.closing(client), ThreadPoolExecutor(AT_ONCE) as pool:  # its connections are the server's, too
            list(pool.map(lambda number: cycle(client, number), numbers))
        wait_until(lambda: not engine._containers())

    cycles(range(WARM))
    alive, host = processes(engine), leaks.snapshot(scope)
    wait_until(lambda: not leaks.settled(host, scope))
    before = {name: (at_rest(pid), memory(pid)) for name, pid in alive.items()}
    cycles(range(CYCLES))
    assert processes(engine) == alive
    assert not leaks.settled(host, scope)
    for name, pid in alive.items():
        fds, size = before[name]
        wait_until(lambda pid=pid, fds=fds: descriptors(pid) <= fds,
                   lambda name=name, pid=pid: f"{name}: {[*map(os.readlink, Path(f'/proc/{pid}/fd').iterdir())]}")
        assert memory(pid) - size < GROWTH, f"{name}: {size >> 10} KiB before, {memory(pid) >> 10} KiB after"
