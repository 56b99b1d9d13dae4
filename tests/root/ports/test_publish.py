"""Published ports from every side: who reaches them, and whom the container sees."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from pydocker.storage import locks
from tests.engine import Engine
from tests.root.ports.conftest import Boxes, nft, parent
from tests.root.ports.hosts import (
    CLIENT,
    CLIENT6,
    ENGINE,
    ENGINE6,
    ROUTER,
    Host,
    Surroundings,
    ask,
    ask_udp,
    connect,
)
from tests.waiting import PATIENCE, stop, wait_until

GATEWAY = "172.17.0.1"


def test_from_everywhere(around: Surroundings, box: Boxes) -> None:
    """IPv4 goes by the kernel, which keeps the client's address (CVE-2021-20199: everybody was 127.0.0.1); IPv6 is
    carried to a container that has none."""
    web = box("-p", "8080:80").serve(80)
    other = box()
    assert around.client.ask(ENGINE, 8080).strip() == CLIENT
    assert around.router.ask(ENGINE, 8080).strip() == ROUTER
    assert ask(ENGINE, 8080).strip() == ENGINE
    assert ask("127.0.0.1", 8080).strip() == GATEWAY
    assert ask("::1", 8080).strip() == GATEWAY
    assert around.client.ask(ENGINE6, 8080).strip() == GATEWAY
    assert ask(ENGINE6, 8080).strip() == GATEWAY
    for inside in (other, web):  # another container, and itself, by the host's address: hairpin
        assert inside.host.ask(ENGINE, 8080).strip() == GATEWAY
        assert inside.host.ask(GATEWAY, 8080).strip() == GATEWAY


def test_datagrams_from_everywhere(around: Surroundings, box: Boxes) -> None:
    box("-p", "5353:53/udp").serve_udp(53)
    other = box()
    assert around.client.ask_udp(ENGINE, 5353) == CLIENT
    assert ask_udp("127.0.0.1", 5353) == GATEWAY
    assert ask_udp("::1", 5353) == GATEWAY
    assert around.client.ask_udp(ENGINE6, 5353) == GATEWAY
    assert other.host.ask_udp(ENGINE, 5353) == GATEWAY


def test_ipv6_keeps_the_clients_address_too(engine: Engine, around: Surroundings, box: Boxes, networks: None) -> None:
    engine.ok("network", "create", "--ipv6", "--subnet", "fd77::/64", "six")
    web = box("--network", "six", "-p", "8080:80", "-p", "5353:53/udp").serve(80, "::").serve_udp(53, "::")
    assert around.client.ask(ENGINE6, 8080).strip() == CLIENT6
    assert around.client.ask_udp(ENGINE6, 5353) == CLIENT6
    assert ask(ENGINE6, 8080).strip() == ENGINE6
    assert ask("::1", 8080).strip() == "fd77::1"
    assert web.host.ask(ENGINE6, 8080).strip() == "fd77::1"


def test_loopback_is_the_hosts_alone(around: Surroundings, box: Boxes) -> None:
    """A neighbour that sends to 127.0.0.1, or to the container's own address, gets nothing (CVE-2020-8558)."""
    web = box("-p", "127.0.0.1:8080:80", "-p", "[::1]:8081:80").serve(80)
    other = box()
    assert ask("127.0.0.1", 8080).strip() == ask("::1", 8081).strip() == GATEWAY
    for at in (around.client, around.router, other.host):
        with pytest.raises(ConnectionRefusedError):
            at.connect(ENGINE, 8080)
    for neighbour, via in ((around.router, ENGINE), (other.host, GATEWAY)):
        _no_loopback_of_its_own(neighbour, via)
        with pytest.raises(TimeoutError):
            neighbour.connect("127.0.0.1", 8080, 0.5)
    around.router.run("ip", "route", "add", f"{web.address}/32", "via", ENGINE)
    with pytest.raises(TimeoutError):
        around.router.connect(web.address, 80, 0.5)
    _loopback_again(around.router)
    around.router.run("ip", "route", "delete", f"{web.address}/32")


def _no_loopback_of_its_own(host: Host, via: str) -> None:
    """A neighbour whose 127.0.0.1 is the engine's host."""
    device = host.run("ip", "route", "get", via).split(" dev ")[1].split()[0]
    for path in ("all", device):
        host.run("sysctl", "-qw", f"net.ipv4.conf.{path}.route_localnet=1")
    host.run("ip", "address", "delete", "127.0.0.1/8", "dev", "lo")
    host.run("ip", "route", "add", "127.0.0.0/8", "via", via)


def _loopback_again(host: Host) -> None:
    host.run("ip", "route", "delete", "127.0.0.0/8")
    host.run("ip", "address", "add", "127.0.0.1/8", "dev", "lo")


def test_a_networks_own_address_for_ports(engine: Engine, around: Surroundings, box: Boxes, networks: None) -> None:
    engine.ok("network", "create", "-o", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1", "narrow")
    box("--network", "narrow", "-p", "8080:80").serve(80)
    assert ask("127.0.0.1", 8080)
    with pytest.raises(ConnectionRefusedError):
        around.client.connect(ENGINE, 8080)


def test_what_is_shown(engine: Engine, box: Boxes) -> None:
    """By our client and Docker's alike."""
    web = box("--name", "web", "-p", "8080:80", "-p", "127.0.0.1:7000-7001:90-91/udp", "-p", "7100-7102:7100-7102",
              "--expose", "99")
    assert engine.ok("port", "web").splitlines() == [
        "80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080", "90/udp -> 127.0.0.1:7000", "91/udp -> 127.0.0.1:7001",
        *(f"{port}/tcp -> {address}:{port}" for port in (7100, 7101, 7102) for address in ("0.0.0.0", "[::]"))]
    assert engine.ok("port", "web", "90/udp") == "127.0.0.1:7000"
    column = engine.ok("ps", "--format", "{{.Ports}}")
    assert column == engine.docker("ps", "--format", "{{.Ports}}").out.strip()
    assert column == ("99/tcp, 0.0.0.0:7100-7102->7100-7102/tcp, [::]:7100-7102->7100-7102/tcp, 0.0.0.0:8080->80/tcp, "
                      "[::]:8080->80/tcp, 127.0.0.1:7000->90/udp, 127.0.0.1:7001->91/udp")
    assert web.settings["Ports"]["99/tcp"] is None
    assert web.settings["Ports"]["80/tcp"] == [{"HostIp": "0.0.0.0", "HostPort": "8080"},
                                               {"HostIp": "::", "HostPort": "8080"}]
    assert engine.docker("port", "web", "80").out.splitlines() == ["0.0.0.0:8080", "[::]:8080"]
    bindings = json.loads(engine.ok("inspect", "-f", "{{json .HostConfig.PortBindings}}", "web"))
    assert bindings["80/tcp"] == [{"HostIp": "", "HostPort": "8080"}]


def test_all_exposed_ports(engine: Engine, around: Surroundings, box: Boxes) -> None:
    web = box("-P", "--expose", "80", "--expose", "53/udp").serve(80)
    port = int(web.settings["Ports"]["80/tcp"][0]["HostPort"])
    assert around.client.ask(ENGINE, port).strip() == CLIENT
    assert web.settings["Ports"]["53/udp"][0]["HostPort"] != str(port)


def test_who_has_a_port(engine: Engine, box: Boxes) -> None:
    box("--name", "web", "-p", "8080:80")
    refused = engine.pydocker("run", "-d", "-p", "8080:80", "busybox", "true")
    assert refused.code == 125
    assert "Bind for 0.0.0.0:8080 failed: port is already allocated: container web has it" in refused.err
    with socket.create_server((ENGINE_ANY, 8090)):
        refused = engine.pydocker("run", "-d", "-p", "8090:80", "busybox", "true")
    assert f"failed to bind host port 0.0.0.0:8090/tcp: address already in use: {_comm()} (pid {os.getpid()}) has" in (
        refused.err)
    assert engine.pydocker("run", "-d", "-p", "8091:80", "-p", "8091:81", "busybox", "true").code == 125
    assert not engine.ok("ps", "-q", "-f", "status=running", "-f", "publish=8090")


ENGINE_ANY = "0.0.0.0"


def _comm() -> str:
    with open("/proc/self/comm", encoding="utf-8") as file:
        return file.read().strip()


@pytest.mark.parametrize(("flags", "complaint"), [
    (("-p", "80:90-80"), "invalid containerPort: 90-80"),
    (("-p", "0"), 'invalid port specification: "0/tcp"'),
    (("-p", "8080:80", "--network", "container:xx"), "conflicting options: port publishing and the container type"),
])
def test_what_cannot_be_published(engine: Engine, box: Boxes, flags: tuple[str, ...], complaint: str) -> None:
    box("--name", "xx")
    refused = engine.pydocker("create", *flags, "busybox")
    assert refused.code != 0
    assert complaint in refused.err


def test_ports_of_the_hosts_network_are_discarded(engine: Engine) -> None:
    made = engine.pydocker("create", "--network", "host", "-p", "8080:80", "busybox")
    assert "Published ports are discarded when using host network mode" in made.err


def test_update_of_a_running_container(engine: Engine, around: Surroundings, box: Boxes) -> None:
    box("--name", "web", "-p", "8080:80").serve(80).serve_udp(53)
    with around.client.connect(ENGINE, 8080) as kept:
        engine.ok("update", "--publish-add", "8081:80", "--publish-add", "5353:53/udp", "web")
        assert around.client.ask(ENGINE, 8081).strip() == CLIENT
        assert around.client.ask_udp(ENGINE, 5353) == CLIENT
        engine.ok("update", "--publish-rm", "8080:80", "--publish-rm", "53/udp", "web")
        assert kept.recv(100).strip() == CLIENT.encode()  # what was connected stays so
    for address in (ENGINE, "127.0.0.1", "::1"):
        with pytest.raises(ConnectionRefusedError):
            ask(address, 8080)
    with pytest.raises((TimeoutError, ConnectionRefusedError)):
        around.client.ask_udp(ENGINE, 5353, 1)
    refused = engine.pydocker("update", "--publish-rm", "8080:80", "web")
    assert (refused.code, refused.err.strip()) == (
        1, "Error response from daemon: container web does not publish 80/tcp at 8080")
    engine.ok("restart", "-t", "0", "web")
    assert engine.ok("port", "web").splitlines() == ["80/tcp -> 0.0.0.0:8081", "80/tcp -> [::]:8081"]


def test_update_that_fails_changes_nothing(engine: Engine, box: Boxes) -> None:
    box("--name", "web", "-p", "8080:80").serve(80)
    box("--name", "other", "-p", "8082:80")
    before = engine.ok("port", "web")
    refused = engine.pydocker("update", "--publish-add", "8081:80", "--publish-add", "8082:80", "web")
    assert "Bind for 0.0.0.0:8082 failed: port is already allocated: container other has it" in refused.err
    assert engine.ok("port", "web") == before
    socket.create_server((ENGINE_ANY, 8081)).close()


def test_a_container_that_rests_is_given_no_port_that_it_has_already(engine: Engine) -> None:
    """It could not be started any more."""
    engine.ok("create", "--name", "web", "-p", "8080:80", "busybox", "true")
    for again in ("8080:80", "127.0.0.1:8080:81"):
        refused = engine.pydocker("update", "--publish-add", "8081:80", "--publish-add", again, "web")
        assert refused.code == 1
        assert ":8080 failed: port is already allocated: container web asks for it already" in refused.err
    engine.ok("update", "--publish-add", "8080:80/udp", "--publish-add", "8081:80", "web")
    assert json.loads(engine.ok("inspect", "-f", "{{json .HostConfig.PortBindings}}", "web")) == {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}, {"HostIp": "", "HostPort": "8081"}],
        "80/udp": [{"HostIp": "", "HostPort": "8080"}]}
    engine.ok("start", "web")
    engine.ok("rm", "-f", "web")


def test_two_thousand_ports_of_udp(engine: Engine, box: Boxes) -> None:
    """All at once: also when they go, and their flows with them, rm -f need not give the monitor up."""
    box("--name", "web", "-p", "20000-21999:20000-21999/udp").serve_udp(21234)
    assert ask_udp("127.0.0.1", 21234) == GATEWAY
    assert len(engine.ok("port", "web").splitlines()) == 4000
    engine.ok("rm", "-f", "web")
    socket.create_server((ENGINE_ANY, 21234)).close()


def test_a_port_is_free_when_its_container_has_ended(engine: Engine, around: Surroundings, box: Boxes) -> None:
    box("--name", "web", "-p", "8080:80").serve(80)
    engine.ok("stop", "-t", "0", "web")
    socket.create_server((ENGINE_ANY, 8080)).close()
    assert json.loads(engine.ok("inspect", "-f", "{{json .NetworkSettings.Ports}}", "web")) == {}
    engine.ok("start", "web")
    box.of("web").serve(80)
    assert around.client.ask(ENGINE, 8080).strip() == CLIENT


def test_a_namespace_that_outlives_its_container_answers_no_more(engine: Engine, around: Surroundings,
                                                                 box: Boxes) -> None:
    """Held by a socket outside, as by this test's own; the next container has the address to itself."""
    before = box("--name", "web").serve(80)
    assert ask(before.address, 80)
    engine.ok("stop", "-t", "0", "web")
    engine.ok("start", "web")
    assert box.of("web").address == before.address
    with pytest.raises(ConnectionRefusedError):
        connect(before.address, 80)
    ports = subprocess.run(("ip", "-br", "link", "show", "master", engine.bridge), stdout=subprocess.PIPE, check=True)
    assert len(ports.stdout.splitlines()) == 1


def test_ports_stay_through_a_restart_by_policy(engine: Engine, around: Surroundings, box: Boxes) -> None:
    """The monitor holds the namespace and the sockets: even a random port is the same, and nobody else had a part."""
    before = box("--restart", "always", "-p", "80")
    port = int(before.settings["Ports"]["80/tcp"][0]["HostPort"])
    os.kill(before.pid, signal.SIGKILL)
    wait_until(lambda: engine.ok("inspect", "-f", "{{.State.Pid}}", before.id) not in (str(before.pid), "0"))
    again = box.of(before.id).serve(80)
    assert again.settings["Ports"] == before.settings["Ports"]
    assert around.client.ask(ENGINE, port).strip() == CLIENT


def test_a_killed_monitor_leaves_no_port_behind(engine: Engine, around: Surroundings, box: Boxes) -> None:
    first = box("--name", "first", "-p", "8080:80", "-p", "5353:53/udp")
    os.kill(parent(first), signal.SIGKILL)
    wait_until(lambda: engine.ok("inspect", "-f", "{{.State.Status}}", "first") != "running")
    box("--name", "second", "-p", "8080:80", "-p", "5353:53/udp").serve(80).serve_udp(53)
    assert around.client.ask(ENGINE, 8080).strip() == CLIENT
    assert around.client.ask_udp(ENGINE, 5353) == CLIENT


def test_a_monitor_that_was_killed_while_no_server_ran(make_engine: Callable[..., Engine],
                                                       around: Surroundings) -> None:
    """The next container gets its address, and must not get what led there."""
    own = make_engine(bip="10.78.0.1/24")
    own.import_busybox()
    with ExitStack() as undo:
        boxes = Boxes(own, undo)
        before = boxes("-p", "8080:80").serve(80)
        assert around.client.ask(ENGINE, 8080).strip() == CLIENT
        own.stop()
        for pid in (parent(before), before.pid):
            os.kill(pid, signal.SIGKILL)
        after = boxes().serve(80)
        assert after.address == before.address
        with pytest.raises(ConnectionRefusedError):
            around.client.connect(ENGINE, 8080).close()


def test_a_monitor_that_was_killed_half_through_its_end(engine: Engine, around: Surroundings, box: Boxes) -> None:
    """Its endpoint is out of the network, and its port still in the firewall."""
    before = box("--name", "first", "-p", "8080:80").serve(80)
    assert around.client.ask(ENGINE, 8080).strip() == CLIENT
    monitor = parent(before)
    stop(monitor)
    for document in engine.roots[1].glob("networks/*/endpoints.json"):
        document.write_text("[]")
    os.kill(monitor, signal.SIGKILL)
    wait_until(lambda: engine.ok("inspect", "-f", "{{.State.Status}}", "first") != "running")
    after = box().serve(80)
    assert after.address == before.address
    with pytest.raises(ConnectionRefusedError):
        around.client.connect(ENGINE, 8080).close()


@pytest.mark.parametrize("change", ["disconnect", "update"])
def test_a_server_that_was_killed_while_a_port_went(make_engine: Callable[..., Engine], around: Surroundings,
                                                    change: str) -> None:
    """The documents know the port no more, and the firewall still does: the next server takes it out."""
    own = make_engine(bip="10.79.0.1/24")
    own.import_busybox()
    words = {"disconnect": ("network", "disconnect", "net", "first"),
             "update": ("update", "--publish-rm", "80", "--publish-rm", "53/udp", "first")}[change]
    with ExitStack() as undo:
        own.ok("network", "create", "net")
        before = Boxes(own, undo)("--name", "first", "--network", "net", "-p", "8080:80", "-p", "5353:53/udp").serve(80)
        assert around.client.ask(ENGINE, 8080).strip() == CLIENT
        with locks.held(own.roots[1] / "firewall/firewall.lock"):
            client = own.popen(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_until(lambda: not any("8080" in document.read_text()
                                       for document in own.roots[1].glob("networks/*/endpoints.json")))
            own.kill()
            assert f": {before.address} . 80" in nft("list", "map", "inet", own.bridge, "ports4")
        client.wait()
        own.ok("version")
        assert before.address not in nft("list", "map", "inet", own.bridge, "ports4")
        if change == "disconnect":
            after = Boxes(own, undo)("--network", "net").serve(80)
            assert after.address == before.address
        with pytest.raises(OSError, match=r"reset|refused"):
            around.client.ask(ENGINE, 8080)
        own.ok("rm", "-f", "first")
        assert "8080" not in nft("list", "table", "inet", own.bridge)


def test_a_client_that_goes_on_sending_reaches_the_next_container(engine: Engine, around: Surroundings,
                                                                  box: Boxes) -> None:
    """One socket, so one flow for the kernel: where it was led once, it would be led for minutes."""
    with around.client.inside():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.connect((ENGINE, 5353))
        client.settimeout(0.2)
        for name in ("first", "second"):
            box("--name", name, "-p", "5353:53/udp").serve_udp(53)
            assert _answer(client) == CLIENT
            engine.ok("rm", "-f", name)


def _answer(client: socket.socket) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            client.send(b"?")
            return client.recv(100).decode()
        except (TimeoutError, ConnectionRefusedError):
            continue
    raise TimeoutError


def test_the_doctor(engine: Engine, box: Boxes) -> None:
    web = box("--name", "web", "-p", "127.0.0.1:8080:80")
    sick = engine.pydocker("network", "doctor", "web")
    assert sick.code == 2
    assert "NO  a program listens in the container: nobody listens at 80/tcp" in sick.out
    assert "reachable from nowhere" in sick.out
    web.serve(80)
    well = engine.pydocker("network", "doctor")
    assert (well.code, "NO" in well.out) == (0, False)
    assert "reachable from this host, by 127.0.0.1" in well.out
    box("--name", "wrong", "-p", "8081:81").serve(81, "127.0.0.1")
    assert "only at 127.0.0.1:81, which" in engine.pydocker("network", "doctor", "wrong").out


def test_the_doctor_where_nothing_is_published(engine: Engine, box: Boxes, networks: None) -> None:
    def words(*flags: str) -> tuple[int, str]:
        web = box(*flags)
        seen = engine.pydocker("network", "doctor", web.id)
        return seen.code, seen.out.removeprefix(f"{web.id}: ").strip()

    engine.ok("network", "create", "--internal", "inner")
    assert words() == (0, "it asks for no port to be published")
    assert words("--network", "host")[0] == 0
    assert words("--network", "inner", "-p", "80") == (
        2, "none of its ports is published: no network of it leads out of the host")
    box("--name", "web", "-p", "8080:80")
    engine.ok("stop", "-t", "0", "web")
    stopped = engine.pydocker("network", "doctor", "web")
    assert (stopped.code, stopped.out) == (2, "web: it does not run: its ports are published while it does\n")


def test_the_configurations_address_for_ports(make_engine: Callable[..., Engine], around: Surroundings) -> None:
    """Ports that name no address are the host's own; those that name one are not narrowed."""
    own = make_engine(bip="10.74.0.1/24", ip="127.0.0.1")
    own.import_busybox()
    with ExitStack() as undo:
        web = Boxes(own, undo)("--name", "web", "-p", "8080:80", "-p", "0.0.0.0:8081:80").serve(80)
        own.ok("update", "--publish-add", "8082:80", "web")
        assert {*own.ok("port", "web", "80").splitlines()} == {"127.0.0.1:8080", "0.0.0.0:8081", "127.0.0.1:8082"}
        assert around.client.ask(ENGINE, 8081).strip() == CLIENT
        for port in (8080, 8082):
            assert ask("127.0.0.1", port).strip() == "10.74.0.1"
            with pytest.raises(ConnectionRefusedError):
                around.client.connect(ENGINE, port)
        around.router.run("ip", "route", "add", f"{web.address}/32", "via", ENGINE)
        with pytest.raises(TimeoutError):
            around.router.connect(web.address, 80, 0.5)
        around.router.run("ip", "route", "delete", f"{web.address}/32")


def test_sctp(engine: Engine, around: Surroundings, box: Boxes) -> None:
    try:
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    except OSError:
        refused = engine.pydocker("run", "-d", "-p", "8080:80/sctp", "busybox", "true")
        assert refused.code == 125
        assert "publish a port of sctp: protocol not supported (socket(2), EPROTONOSUPPORT)" in refused.err
        return
    server.close()
    web = box("-p", "8080:80/sctp")
    with web.host.inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    server.bind((ENGINE_ANY, 80))
    server.listen()
    with around.client.inside():
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    client.settimeout(60)
    client.connect((ENGINE, 8080))
    connection, peer = server.accept()
    assert peer[0] == CLIENT
    for one in (connection, client, server):
        one.close()


def test_five_hundred_ports(engine: Engine, around: Surroundings, box: Boxes) -> None:
    """Made, used, and gone again: the firewall is what it was."""
    def rules() -> str:
        return subprocess.run(("nft", "-s", "list", "ruleset"), capture_output=True, text=True, check=True).stdout

    box()  # so that the table is there
    before = rules()
    many = box("--name", "many", "-p", "20000-20499:1000-1499").serve(1000).serve(1499)
    assert around.client.ask(ENGINE, 20000).strip() == around.client.ask(ENGINE, 20499).strip() == CLIENT
    assert ask("::1", 20499).strip() == GATEWAY
    assert rules().count(f": {many.address} . 1") == 500
    engine.ok("rm", "-f", "many")
    assert rules() == before
