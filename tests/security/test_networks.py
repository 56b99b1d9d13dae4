"""Containers that try to change their neighbours' and the host's network: rows of our notes' fifth table.

Each case has the advisory that it repeats. The canary is the kernel's own account of the host's links and routes.
"""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydocker.network import resolvconf
from tests.engine import Engine
from tests.peers.nameserver import Nameserver, known
from tests.root.network.conftest import ip, pid, state_of_the_host

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: sudo make test")


@pytest.fixture(scope="module")
def engine(session_directory: Path, token: str, compiled: tuple[str, ...]) -> Iterator[Engine]:
    with Engine(Path(tempfile.mkdtemp(dir=session_directory)), token, compiled) as engine:
        engine.import_busybox()
        yield engine


def test_without_ipv6_there_is_none_of_it(engine: Engine) -> None:
    """CVE-2024-32473: a link-local address would be a way to the neighbours, past every rule for IPv4."""
    engine.ok("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    families = {one["family"] for one in ip("address", "show", "dev", "eth0", of=pid(engine, "web"))[0]["addr_info"]}
    assert families == {"inet"}
    bridges = ip("address", "show", "dev", engine.bridge)[0]["addr_info"]
    (port,) = [one["ifname"] for one in ip("link") if one.get("master") == engine.bridge]
    assert {one["family"] for one in (*bridges, *ip("address", "show", "dev", port)[0]["addr_info"])} == {"inet"}
    engine.ok("rm", "-f", "web")


def test_nothing_is_asked_outside_for_an_internal_network(engine: Engine) -> None:
    """CVE-2024-29018: a name is a message, and a name server outside is somebody who reads it."""
    at = [one for one in resolvconf.load().servers if ":" not in one and not one.startswith("127.")]
    with contextlib.ExitStack() as undo:
        for address in at:
            subprocess.run(("ip", "address", "add", f"{address}/32", "dev", "lo"), check=True)
            undo.callback(subprocess.run, ("ip", "address", "delete", f"{address}/32", "dev", "lo"), check=True)
        outside = [undo.enter_context(Nameserver(known, address, 53)) for address in at]
        engine.ok("network", "create", "--internal", "inner")
        engine.ok("run", "-d", "--name", "spy", "--network", "inner", "busybox", "sleep", "1000")
        assert engine.pydocker("exec", "spy", "nslookup", "secret.example").code != 0
        engine.ok("rm", "-f", "spy")
        engine.ok("network", "rm", "inner")
        assert not any(server.queries for server in outside)


def test_router_advertisements_change_nothing(engine: Engine) -> None:
    """CVE-2020-13401: whoever may send raw packets in a container could else become the host's default route."""
    engine.ok("network", "create", "--ipv6", "six")
    engine.ok("run", "-d", "--name", "evil", "--network", "six", "busybox", "sleep", "1000")
    (bridge,) = [one["ifname"] for one in ip("link", "show", "type", "bridge") if one["ifname"].startswith("br-")]
    before = state_of_the_host()["routes of IPv6"]
    # Type 134, a router for half an hour, with a prefix to make an address of (RFC 4861, 4.2, RFC 8106).
    packet = ("86000000" "40000708" "00000000" "00000000"
              "0304" "40" "c0" "00015180" "00003840" "00000000" "20010db8000000000000000000000000")
    program = ("import socket, struct, sys\n"
               "s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)\n"
               "s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)\n"
               f"s.sendto(bytes.fromhex('{packet}'), ('ff02::1', 0, 0, socket.if_nametoindex('eth0')))\n")
    subprocess.run(("nsenter", "--net", f"--target={pid(engine, 'evil')}", "python3", "-c", program), check=True)
    time.sleep(0.3)
    assert state_of_the_host()["routes of IPv6"] == before
    with open(f"/proc/sys/net/ipv6/conf/{bridge}/accept_ra") as setting:
        assert setting.read() == "0\n"
    engine.ok("rm", "-f", "evil")
    engine.ok("network", "rm", "six")
