"""Containers on networks find each other by name, and the world: asked from inside, answered by their monitors."""

import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import dnslib  # type: ignore[import-untyped]
import pytest

from pydocker.network import packets, resolvconf
from tests.engine import Engine
from tests.peers.nameserver import Behaviour, Nameserver, known, parsed, silent
from tests.root.names.conftest import address, ask, inside, pid, run, told

Network = Callable[..., str]
Outside = Callable[[str, Behaviour], Nameserver]
SERVER = "10.253.1.53"


def test_containers_find_each_other_by_all_their_names(engine: Engine, network: Network) -> None:
    net = network("back")
    one = run(engine, "one", "--network", net)
    run(engine, "two", "--network", net, "--network-alias", "Alias", "--hostname", "box")
    two = address(engine, "two", net)
    id = engine.ok("inspect", "-f", "{{.Id}}", "two").strip()
    for name in ("two", "TWO", "alias", id[:12], "box", "two.back", "alias.back."):
        assert told(one, name) == [two], name
    assert told(one, "one") == [address(engine, "one", net)]
    assert told(one, ".".join(reversed(two.split("."))) + ".in-addr.arpa", "PTR") == ["two.back."]
    assert told(one, "two", "AAAA") == told(one, "two", "MX") == "NOERROR"
    assert ask(one, "two").rr[0].ttl <= 60
    assert engine.ok("exec", "one", "nslookup", "two").count(two) == 1
    assert engine.ok("exec", "one", "ping", "-c1", "-W30", "alias")


def test_addresses_of_ipv6(engine: Engine, network: Network) -> None:
    net = network("six", "--ipv6")
    one = run(engine, "one", "--network", net)
    six = address(engine, "one", net, 6)
    assert told(one, "one", "AAAA") == [six]
    assert told(one, dnslib.DNSLabel(_reverse(six)), "PTR") == ["one.six."]


def _reverse(six: str) -> str:
    return ".".join(reversed(socket.inet_pton(socket.AF_INET6, six).hex())) + ".ip6.arpa"


def test_a_network_of_ipv6_alone(engine: Engine, network: Network) -> None:
    net = network("six", "--ipv4=false", "--ipv6")
    run(engine, "one", "--network", net)
    two = run(engine, "two", "--network", net)
    assert told(two, "one", "AAAA") == [address(engine, "one", net, 6)] and told(two, "one") == "NOERROR"
    assert address(engine, "one", net) == ""
    engine.ok("exec", "two", "ping6", "-c1", "-W30", "one")


def test_glibc_finds_them_too(engine: Engine, network: Network) -> None:
    """The host's own getent, with the host's libraries."""
    net = network("back")
    run(engine, "two", "--network", net)
    paths = [path for path in ("/usr", "/lib", "/lib64") if os.path.exists(path)]
    libraries = [word for path in paths for word in ("-v", f"{path}:{path}:ro")]
    found = engine.ok("run", "--rm", "--network", net, *libraries, "busybox", "/usr/bin/getent", "ahosts", "two")
    assert found.split()[0] == address(engine, "two", net)


def test_who_shares_a_name_is_named_in_turn(engine: Engine, network: Network) -> None:
    net = network("back")
    one = run(engine, "one", "--network", net, "--network-alias", "both")
    run(engine, "two", "--network", net, "--network-alias", "both")
    first = [told(one, "both")[0] for _ in range(4)]
    assert first == [first[0], first[1]] * 2 and first[0] != first[1]


def test_port_53_is_the_containers_own(engine: Engine, network: Network) -> None:
    one = run(engine, "one", "--network", network("back"))
    found: list[bytes] = []

    def work() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp, \
                socket.socket(type=socket.SOCK_DGRAM) as client:
            udp.bind(("0.0.0.0", 53))
            tcp.bind(("0.0.0.0", 53))
            client.sendto(b"to itself", ("127.0.0.1", 53))
            udp.settimeout(60)
            found.append(udp.recv(100))
            found.append(told(one, "one"))  # type: ignore[arg-type]

    inside(one, work)
    assert found == [b"to itself", [address(engine, "one", "back")]]


def test_connecting_and_disconnecting(engine: Engine, network: Network) -> None:
    """A container of the default network has no resolver, until it is in another network, too."""
    net, other = network("back"), network("front")
    one = run(engine, "one", "--network", net)
    late = run(engine, "late")
    assert "nameserver 127.0.0.11" not in engine.ok("exec", "late", "cat", "/etc/resolv.conf")
    for _ in range(2):
        engine.ok("network", "connect", "--alias", "later", net, "late")
        assert "nameserver 127.0.0.11" in engine.ok("exec", "late", "cat", "/etc/resolv.conf")
        assert told(late, "one") == [address(engine, "one", net)]
        assert told(one, "later") == told(one, "late") == [address(engine, "late", net)]
        engine.ok("network", "disconnect", net, "late")
        assert not isinstance(told(one, "late.back"), list)
    engine.ok("network", "connect", other, "one")
    assert told(one, "one.front") == [address(engine, "one", other)]


def test_a_new_name_holds_at_once(engine: Engine, network: Network) -> None:
    net = network("back")
    one = run(engine, "one", "--network", net)
    run(engine, "two", "--network", net)
    engine.ok("rename", "two", "second")
    assert told(one, "second") == [address(engine, "second", net)]
    assert not isinstance(told(one, "two.back"), list)


def test_names_are_answered_without_a_server_and_across_restarts(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    engine.ok("network", "create", "back")
    run(engine, "one", "--network", "back", "--restart", "always")
    two = run(engine, "two", "--network", "back")
    before = address(engine, "one", "back")
    first = pid(engine, "one")
    engine.kill()
    assert told(two, "one") == [before]
    os.kill(first, signal.SIGKILL)
    assert told(two, "one") == [before]
    deadline = time.monotonic() + 60
    while pid(engine, "one") in (0, first):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert told(pid(engine, "one"), "two") == [address(engine, "two", "back")]
    engine.ok("restart", "-t", "0", "two")
    assert told(pid(engine, "one"), "two") == [address(engine, "two", "back")]
    engine.ok("rm", "-f", "one", "two")
    engine.ok("network", "rm", "back")


def test_who_was_killed_with_its_monitor_is_not_named(engine: Engine, network: Network) -> None:
    net = network("back")
    one = run(engine, "one", "--network", net)
    victim = run(engine, "victim", "--network", net)
    with open(f"/proc/{victim}/stat") as stat:
        monitor = int(stat.read().rpartition(")")[2].split()[1])
    for process in (monitor, victim):
        os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while isinstance(told(one, "victim.back"), list):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_is_asked_outside_for_an_internal_network(engine: Engine, network: Network, outside: Outside) -> None:
    """CVE-2024-29018. What --dns names is asked from inside, where nothing leads out either."""
    hosts = _hosts_servers(outside)
    server = outside(SERVER, known)
    net, way_out = network("inner", "--internal"), network("outer")
    one, two = run(engine, "one", "--network", net), run(engine, "two", "--network", net, "--dns", SERVER)
    for process in (one, two):
        for tcp in (False, True):
            assert told(process, "secret.example", tcp=tcp) == "SERVFAIL"
    assert told(one, "two") == [address(engine, "two", net)]
    assert not server.queries and not any(one.queries for one in hosts)
    engine.ok("network", "connect", way_out, "two")
    assert told(two, "public.example") == ["192.0.2.1"]


def _hosts_servers(outside: Outside) -> list[Nameserver]:
    """A server at each address that this host's resolv.conf names."""
    return [outside(at, known) for at in resolvconf.load().servers if ":" not in at]


def test_the_hosts_servers_are_asked_as_the_host_asks_them(engine: Engine, network: Network, outside: Outside) -> None:
    servers = _hosts_servers(outside)
    if not servers:
        pytest.skip("this host's resolv.conf names no server")
    one = run(engine, "one", "--network", network("back"))
    assert told(one, "a.example") == told(one, "a.example", tcp=True) == ["192.0.2.1"]
    assert sum(len(server.queries) for server in servers) >= 2


def test_long_answers(engine: Engine, network: Network, outside: Outside) -> None:
    outside(SERVER, lambda query: [packets.answer(parsed(query), [f"192.0.2.{one}" for one in range(100)], udp=False)])
    one = run(engine, "one", "--network", network("back"), "--dns", SERVER)
    assert len(told(one, "many.example", tcp=True)) == 100
    assert len(told(one, "many.example", edns=4096)) == 100


def test_a_thousand_lookups_with_the_first_server_dead(engine: Engine, network: Network, outside: Outside) -> None:
    dead, good = outside(SERVER, silent), outside("10.253.2.53", known)
    net = network("back")
    flags = ("--network", net, "--dns", SERVER, "--dns", "10.253.2.53")
    processes = [run(engine, name, *flags) for name in ("c1", "c2", "c3")]

    def lookups(process: int) -> set[str]:
        return {str(told(process, f"{number}.example")) for number in range(334)}

    with ThreadPoolExecutor(3) as pool:
        assert [*pool.map(lookups, processes)] == [{"['192.0.2.1']"}] * 3
    assert len(good.queries) >= 1000 and len(dead.queries) < 300


def test_search_domains_and_options(engine: Engine, network: Network, outside: Outside) -> None:
    def search(query: bytes) -> list[bytes]:
        name = parsed(query).name
        return known(query) if name == "web.corp.example" else [packets.refusal(parsed(query), packets.NXDOMAIN)]

    server = outside(SERVER, search)
    net = network("back")
    flags = ("--network", net, "--dns", SERVER, "--dns-search", "corp.example")
    run(engine, "one", *flags, "--dns-option", "ndots:1", "--dns-option", "timeout:3")
    assert _lines(engine, "one") == ["nameserver 127.0.0.11", "search corp.example", "options ndots:1 timeout:3"]
    assert "192.0.2.1" in engine.ok("exec", "one", "nslookup", "-type=a", "web.corp.example")
    assert told(pid(engine, "one"), "web") == "NOERROR"  # a name without a dot stays here, for the search domain
    assert {parsed(query).name for query in server.queries} == {"web.corp.example"}


def _lines(engine: Engine, container: str) -> list[str]:
    text = engine.ok("exec", container, "cat", "/etc/resolv.conf")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_many_questions_in_one_connection(engine: Engine, network: Network) -> None:
    net = network("back")
    one = run(engine, "one", "--network", net)
    found: list[int] = []

    def work() -> None:
        with socket.create_connection(("127.0.0.11", 53), 60) as client:
            query = dnslib.DNSRecord.question("one").pack()
            client.sendall((len(query).to_bytes(2, "big") + query) * 200)
            for _ in range(200):
                length = int.from_bytes(client.recv(2, socket.MSG_WAITALL), "big")
                found.append(len(dnslib.DNSRecord.parse(client.recv(length, socket.MSG_WAITALL)).rr))

    inside(one, work)
    assert found == [1] * 200


def test_garbage_harms_nobody(engine: Engine, network: Network) -> None:
    net = network("back")
    one = run(engine, "one", "--network", net)

    def work() -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.connect(("127.0.0.11", 53))
            tcp.connect(("127.0.0.11", 53))
            for size in (0, 1, 11, 12, 40, 5000, 60000):
                udp.send(os.urandom(size))
            with suppress(ConnectionError):  # it may have had enough before it has heard all
                tcp.sendall(b"\xff\xff" + os.urandom(65535) + os.urandom(1000))

    inside(one, work)
    clients = []

    def idle() -> None:
        for _ in range(100):
            clients.append(socket.create_connection(("127.0.0.11", 53), 60))

    inside(one, idle)
    assert told(one, "one") == [address(engine, "one", net)]
    for client in clients:
        client.close()
    assert engine.ok("exec", "one", "echo", "alive") == "alive"
