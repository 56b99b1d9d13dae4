"""What the kernel says of networks: an oracle that shares no code with the engine (iproute2, nft)."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engine import Engine

PATIENCE = 60.0


def ip(*words: str, of: int | None = None) -> list[dict[str, Any]]:
    """`ip -j WORDS`, in the network namespace of process `of`."""
    inside = ("nsenter", "--net", f"--target={of}") if of else ()
    done = subprocess.run((*inside, "ip", "-j", "-d", *words), capture_output=True, check=True)
    found = json.loads(done.stdout or b"[]")
    return [one for one in found if one]


def links() -> set[str]:
    return {link["ifname"] for link in ip("link")}


def addresses(link: str, of: int | None = None) -> list[str]:
    """With their prefix lengths; without the link-local ones."""
    (found,) = ip("address", "show", "dev", link, of=of)
    return [f"{one['local']}/{one['prefixlen']}" for one in found["addr_info"] if one["scope"] != "link"]


def eventually(holds: Callable[[], object]) -> None:
    """The kernel removes a namespace, and the links in it, a moment after its last user has gone."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"{holds} does not come to hold"
        time.sleep(0.02)


def pid(engine: Engine, container: str) -> int:
    return int(engine.ok("inspect", "-f", "{{.State.Pid}}", container))


def state_of_the_host() -> dict[str, str]:
    """What an engine that has removed its networks must have left as it was. (Rules without their counters.)"""
    commands = {"links": ("ip", "-br", "link"), "addresses": ("ip", "-br", "address"), "routes": ("ip", "route"),
                "routes of IPv6": ("ip", "-6", "route"), "rules": ("nft", "--stateless", "list", "ruleset")}
    return {name: subprocess.run(command, capture_output=True, text=True, check=True).stdout
            for name, command in commands.items()}


@pytest.fixture(autouse=True)
def links_come_and_go(leak_check: None, engine: Engine) -> Iterator[None]:
    """After a test, once its containers and networks are removed, the host's links are those of before."""
    before = links()
    yield
    engine.clear()
    eventually(lambda: links() == before)
