"""kill -9 of the whole engine (server, spawner, unpackers) at random moments of pull, load, rmi and prune.

After each: every image that is listed is whole, `system check` is clean or mends itself, and `system df` is what `du`
finds. A dozen moments here; PYDOCKER_KILLS=200 for more, PYDOCKER_SEED for others.
"""

import json
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pydocker.client.address import connect, parse
from pydocker.client.api import Client
from pydocker.errors import PydockerError
from pydocker.paths import Paths
from tests.engine import Engine
from tests.root.images.conftest import Push
from tests.root.layers.archive import entry, folder

ROUNDS = int(os.environ.get("PYDOCKER_KILLS", "12"))
SEED = int(os.environ.get("PYDOCKER_SEED", "1"))
PRUNE = {"filters": '{"dangling":["false"]}'}

# What may lie in a data root beside blobs, layers and containers.
NOTES = re.compile(r"images\.lock|(names|networks)/\.lock|events\.jsonl|images/(index\.json|oci-layout)|"
                   r"layers/[0-9a-f]{64}/record\.json")


def layers(mark: int) -> list[list[Any]]:
    """Three layers of several hundred files, and some megabytes that do not compress."""
    noise = random.Random(mark)
    return [[folder("."), folder(f"d{layer}"), folder("shared"),
             *(entry(f"d{layer}/{at}", content=noise.randbytes(900), uid=at) for at in range(300)),
             entry(f"large{layer}", content=noise.randbytes(2 << 20)), entry("shared/x", content=bytes([layer]))]
            for layer in range(3)]


@dataclass
class World:
    """An engine, and what it is asked for: `pulled` comes from a registry, `loaded` from an archive."""

    engine: Engine
    pulled: str
    loaded: str
    archive: Path
    durations: dict[str, float] = field(default_factory=dict)

    def client(self) -> Client:
        return Client(lambda: connect(parse(self.engine.host)), "1.47")

    def ask(self, what: str) -> None:
        """One request, to its end."""
        client = self.client()
        if what == "pull":
            repository, _, tag = self.pulled.rpartition(":")
            client.send("POST", "/images/create", {"fromImage": repository, "tag": tag}).read()
        elif what == "load":
            with open(self.archive, "rb") as file:
                client.upload("/images/load", {}, iter(lambda: file.read(1 << 18), b"")).read()
        elif what == "prune":
            client.post("/images/prune", PRUNE)
        else:
            client.send("DELETE", f"/images/{self.pulled}", {"force": True}).read()

    def prepared(self, what: str) -> None:
        """Let there be something to do."""
        names = self.engine.ok("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        if what in ("rmi", "prune") and self.pulled not in names:
            self.ask("pull")
        if what == "pull" and self.pulled in names:
            self.ask("rmi")
        if what == "load" and self.loaded in names:
            self.engine.ok("rmi", "-f", self.loaded)
        if what == "prune" and self.loaded not in names:
            self.ask("load")

    def timed(self, what: str) -> None:
        self.prepared(what)
        began = time.monotonic()
        self.ask(what)
        self.durations[what] = time.monotonic() - began


@pytest.fixture
def world(make_engine: Callable[..., Engine], push: Push, session_directory: Path) -> Iterator[World]:
    engine = make_engine(**{"idle-timeout": 0})
    pulled, loaded = push("killed:1", *layers(1), Cmd=["x"]), push("loaded:1", *layers(1)[:2], *layers(2), Cmd=["x"])
    archive = session_directory / "killed.tar"
    subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false", f"docker://{loaded}",
                    f"docker-archive:{archive}:loaded:1"], check=True)
    engine.start()
    world = World(engine, pulled, "loaded:1", archive)
    for what in ("pull", "load", "rmi", "prune"):
        world.timed(what)
    yield world
    archive.unlink()


@pytest.mark.timeout(120 + 20 * ROUNDS)
def test_killed_at_any_moment(world: World) -> None:
    moments = random.Random(SEED)
    found = []
    for number in range(ROUNDS):
        asked = [moments.choice(("pull", "load", "rmi", "prune"))]
        if moments.random() < 0.3:  # and something else at the same time
            asked.append(moments.choice(("pull", "load", "prune")))
        story = f"seed {SEED}, round {number}: {asked}"
        for what in asked:
            world.prepared(what)
        kill_during(world, asked, moments.random())
        said = world.engine.pydocker("system", "check")
        if said.code == 2:
            found.append(f"{asked}: {said.out}")
            said = world.engine.pydocker("system", "check", "--repair")
            assert said.code == 0, f"{story}: {said.out}{said.err}"
            said = world.engine.pydocker("system", "check")
        assert said.code == 0, f"{story}: {said.out}{said.err}"
        assert_counted(world.engine, story)
    print(f"seed {SEED}: {ROUNDS} moments, {len(found)} of them left something to mend", *found, sep="\n")
    for what in ("pull", "load", "rmi", "prune"):
        world.prepared(what)
        world.ask(what)
    assert_counted(world.engine, f"seed {SEED}: at the end")
    assert json.loads(world.client().send("GET", "/system/df").read())["LayersSize"] == 0


def kill_during(world: World, asked: list[str], moment: float) -> None:
    """Begin, wait for a part of the time that it takes, and kill every process of the engine at once."""
    askers = [threading.Thread(target=ask_in_vain, args=(world, what)) for what in asked]
    for asker in askers:
        asker.start()
    time.sleep(moment * max(world.durations[what] for what in asked))
    for pid in world.engine.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while any(alive(pid) for pid in world.engine.processes()):
        time.sleep(0.01)
    for asker in askers:
        asker.join()


def ask_in_vain(world: World, what: str) -> None:
    with suppress(PydockerError, OSError):  # the server is gone, or another request has taken what this one wanted
        world.ask(what)


def alive(pid: int) -> bool:
    """A first thread may be a zombie while the others, on their way out, still hold the socket that listens."""
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    return False


def assert_counted(engine: Engine, story: str) -> None:
    """`system df` is what `du` finds, and there is nothing else."""
    paths = Paths(*engine.roots)
    usage = json.loads(Client(lambda: connect(parse(engine.host)), "1.47").send("GET", "/system/df").read())
    sizes: dict[str, int] = {}
    told = subprocess.run(["find", paths.data, "-type", "f", "-printf", "%P\t%D:%i\t%s\n"], check=True,
                          capture_output=True, text=True).stdout
    for line in told.splitlines():
        name, inode, size = line.split("\t")
        if not NOTES.fullmatch(name):
            assert re.match(r"images/blobs/sha256/[0-9a-f]{64}$|layers/[0-9a-f]{64}/diff/|tmp/partial-", name), (
                f"{story}: {name} is left")
            sizes[inode] = int(size)
    assert usage["LayersSize"] == sum(sizes.values()), story


