"""The firewall beside other people's, and after somebody has emptied it: with a server and without one."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.peers.firewalld import Firewalld
from tests.peers.ufw import Ufw
from tests.root.ports.conftest import Boxes, nft, parent
from tests.root.ports.hosts import CLIENT, ENGINE, WAN, Server, Surroundings, ask
from tests.root.ports.test_isolation import unreachable
from tests.waiting import stop

PATIENCE = 60.0


def iptables(*words: str) -> str:
    return subprocess.run(("iptables", *words), check=True, capture_output=True, text=True).stdout


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def answers(around: Surroundings, port: int = 8080) -> Callable[[], bool]:
    def ask() -> bool:
        with contextlib.suppress(OSError):
            return around.client.ask(ENGINE, port, 0.5).strip() == CLIENT
        return False

    return ask


@pytest.fixture
def foreign() -> Iterator[None]:
    """Whatever other rules a test makes go with it; ours stay."""
    yield
    for family, table in (("ip", "filter"), ("ip6", "filter"), ("inet", "theirs"), ("inet", "firewalld")):
        subprocess.run(("nft", "delete", "table", family, table), capture_output=True, check=False)


@pytest.mark.parametrize("theirs", [
    (("-P", "FORWARD", "DROP"),),
    (("-A", "FORWARD", "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT"),
     ("-A", "FORWARD", "-j", "REJECT")),
], ids=["policy drop", "last rule rejects"])
@pytest.mark.usefixtures("foreign")
def test_who_drops_what_is_forwarded(engine: Engine, around: Surroundings, box: Boxes, server: int,
                                     theirs: tuple[tuple[str, ...], ...]) -> None:
    """Before us or after us; iptables shows the exceptions, and what is not ours stays dropped."""
    first = box("-p", "8080:80").serve(80)
    for words in theirs:
        time.sleep(0.3)  # each by itself: what was looked at after the one before is out of date
        iptables(*words)
    assert eventually(answers(around))
    assert eventually(lambda: engine.bridge in iptables("-S", "FORWARD"))
    assert first.host.ask(CLIENT, server).strip() == ENGINE
    assert f"-A FORWARD -i {engine.bridge} -m comment --comment" in iptables("-S", "FORWARD")
    box("-p", "8081:80").serve(80)  # one that comes later
    assert around.client.ask(ENGINE, 8081).strip() == CLIENT
    nft("flush", "chain", "ip", "filter", "FORWARD")
    iptables("-P", "FORWARD", "ACCEPT")
    assert eventually(lambda: engine.bridge not in iptables("-S", "FORWARD"))


@pytest.mark.usefixtures("foreign", "networks")
def test_exceptions_go_with_their_network(engine: Engine, around: Surroundings, box: Boxes) -> None:
    iptables("-P", "FORWARD", "DROP")
    before = iptables("-S")
    engine.ok("network", "create", "-o", "com.docker.network.bridge.name=pd-other", "other")
    box("--network", "other", "-p", "8080:80").serve(80)
    assert around.client.ask(ENGINE, 8080).strip() == CLIENT
    engine.ok("rm", "-f", *engine.ok("ps", "-q").split())
    engine.ok("network", "rm", "other")
    assert "pd-other" not in iptables("-S")
    assert engine.bridge in before or engine.bridge in iptables("-S")


def test_a_flush_is_made_good(engine: Engine, around: Surroundings, box: Boxes, server: int) -> None:
    """Of everything, of our table's rules alone, of one chain. Another container's rules come back as well."""
    web = box("-p", "8080:80").serve(80)
    box("-p", "8081:80").serve(80)
    ruleset = nft("-s", "list", "ruleset")
    nft("flush", "ruleset")
    assert eventually(answers(around)) and eventually(answers(around, 8081))
    assert web.host.ask(CLIENT, server).strip() == ENGINE
    assert eventually(lambda: nft("-s", "list", "ruleset") == ruleset)
    for words in (("flush", "table", "inet", engine.bridge), ("delete", "chain", "inet", engine.bridge, "prerouting")):
        nft(*words)
        assert eventually(lambda: nft("-s", "list", "ruleset") == ruleset)


def test_a_flush_while_nothing_runs(engine: Engine, around: Surroundings, box: Boxes, server: int) -> None:
    box()
    engine.ok("rm", "-f", *engine.ok("ps", "-q").split())
    nft("flush", "ruleset")
    assert box().host.ask(CLIENT, server).strip() == ENGINE
    assert ask("127.0.0.1", _published(box))


def _published(box: Boxes) -> int:
    web = box("-p", "80").serve(80)
    return int(web.settings["Ports"]["80/tcp"][0]["HostPort"])


@pytest.mark.usefixtures("foreign")
def test_the_doctor_sees_what_stands_in_the_way(engine: Engine, around: Surroundings, box: Boxes) -> None:
    box("--name", "web", "-p", "8080:80").serve(80)
    assert engine.pydocker("network", "doctor", "web").code == 0
    path = Path("/proc/sys/net/ipv4/ip_forward")
    path.write_text("0")
    sick = engine.pydocker("network", "doctor", "web")
    path.write_text("1")
    assert (sick.code, "NO  0.0.0.0: the host is an IPv4 router: net.ipv4.ip_forward is off" in sick.out) == (2, True)
    nft("add table inet theirs; add chain inet theirs f { type filter hook forward priority 0; }; "
        "add rule inet theirs f tcp dport 80 drop")
    engine.ok("network", "create", "named")  # where the monitor listens, too, for names
    box("--name", "idle", "--network", "named", "-p", "8081:80")
    assert "nobody listens at 80/tcp (ports with a listener: none at all)" in engine.pydocker(
        "network", "doctor", "idle").out
    seen = engine.ok("network", "doctor", "web")
    assert "as far as can be told: chain f of table inet theirs may drop some of it" in seen


@pytest.mark.usefixtures("networks")
def test_the_host_becomes_a_router_for_our_networks_alone(engine: Engine, around: Surroundings, box: Boxes) -> None:
    """It did not forward IPv6 before. It does while a network needs it, and drops what is not for that one: even for a
    bridge, if that was there before. One that comes later has rules of its own. Afterwards, all is what it was."""
    forwarding = Path("/proc/sys/net/ipv6/conf/all/forwarding")
    assert forwarding.read_text().strip() == "0"
    box()
    _bridge("leg0", "fd55::")
    conf = Path("/proc/sys/net/ipv6/conf")
    for name in ("leg0", WAN):
        (conf / name / "forwarding").write_text("1")  # without the switch for all, it forwards nothing
    if (conf / "leg0/force_forwarding").exists():
        (conf / "leg0/force_forwarding").write_text("1")  # that one does
    before = _settings()
    engine.ok("network", "create", "--ipv6", "--subnet", "fd74::/64", "six")
    assert forwarding.read_text().strip() == "1"
    _bridge("leg1", "fd56::")
    for subnet in ("fd55::/64", "fd56::/64"):
        around.router.run("ip", "route", "add", subnet, "via", "fd99::1")
    assert unreachable(around.router, "fd55::9", 80)
    already = _dropped(engine)
    assert already > 0
    assert unreachable(around.router, "fd56::9", 80)
    assert _dropped(engine) == already
    _without("leg1")
    for subnet in ("fd55::/64", "fd56::/64"):
        around.router.run("ip", "route", "delete", subnet)
    engine.ok("network", "rm", "six")
    assert _settings() == before
    _without("leg0")
    (conf / WAN / "forwarding").write_text("0")


def _without(name: str) -> None:
    for link in (f"{name}p", name):
        subprocess.run(("ip", "link", "delete", link), check=True)


def _bridge(name: str, prefix: str) -> None:
    """With a host at its other end that nobody has ever heard of."""
    for words in (f"link add {name} type bridge", f"link add {name}p type veth peer name {name}q",
                  f"link set {name}p master {name} up", f"link set {name}q up", f"link set {name} up",
                  f"address add {prefix}1/64 dev {name} nodad",
                  f"neigh add {prefix}9 lladdr 02:00:00:00:00:09 dev {name}"):
        subprocess.run(("ip", *words.split()), check=True)


def _settings() -> dict[Path, str]:
    """What the host does with packets of others, and with what routers tell."""
    folder = Path("/proc/sys/net/ipv6/conf")
    return {path: path.read_text() for name in ("forwarding", "force_forwarding", "accept_ra")
            for path in folder.glob(f"*/{name}")}


def _dropped(engine: Engine) -> int:
    """Packets of others that were to be forwarded, of IPv6: IPv4 may be forwarded here, or not."""
    line = next(one for one in nft("list", "chain", "inet", engine.bridge, "others").splitlines()
                if "nfproto ipv6" in one and " drop" in one)
    return int(line.partition("packets ")[2].split()[0])


def test_two_engines(make_engine: Callable[..., Engine], around: Surroundings, server: int) -> None:
    """The first one makes the host a router for its own networks; the second one's are none of its business."""
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    before = forwarding.read_text()
    forwarding.write_text("0")
    first, second = make_engine(bip="10.71.0.1/24"), make_engine(bip="10.72.0.1/24")
    with contextlib.ExitStack() as undo:
        for port, own in ((8080, first), (8081, second)):
            own.import_busybox()
            web = Boxes(own, undo)("-p", f"{port}:80").serve(80)
            assert eventually(answers(around, port)) and web.host.ask(CLIENT, server).strip() == ENGINE
        assert "ipv4" in nft("list", "chain", "inet", first.bridge, "others")
        nft("flush", "table", "inet", first.bridge)
        assert eventually(answers(around)) and around.client.ask(ENGINE, 8081).strip() == CLIENT
        second.ok("network", "create", "more")
        second.ok("network", "rm", "more")
        known = nft("list", "set", "inet", first.bridge, "neighbours")
        assert second.bridge in known and "br-" not in known
    forwarding.write_text(before)


def test_a_network_of_dockers_beside_ours(engine: Engine, around: Surroundings, box: Boxes, server: int) -> None:
    """Rules as iptables-nft writes them for dockerd: FORWARD drops, and docker0's own chains are before ours."""
    web = box("-p", "8080:80").serve(80)
    for words in (("-P", "FORWARD", "DROP"), ("-N", "DOCKER-USER"), ("-A", "DOCKER-USER", "-j", "RETURN"),
                  ("-I", "FORWARD", "-j", "DOCKER-USER"), ("-A", "FORWARD", "-i", "docker0", "-j", "ACCEPT")):
        iptables(*words)
    theirs = [line for line in iptables("-S").splitlines() if engine.bridge not in line]
    assert eventually(answers(around))
    assert web.host.ask(CLIENT, server).strip() == ENGINE
    assert [line for line in iptables("-S").splitlines() if engine.bridge not in line] == theirs
    subprocess.run(("nft", "delete", "table", "ip", "filter"), check=True)


@pytest.mark.usefixtures("foreign")
def test_ufw(engine: Engine, around: Surroundings, box: Boxes, server: int, session_directory: Path) -> None:
    """Whose policy for FORWARD is DROP. It comes, is loaded again, and goes, while a container runs."""
    with tempfile.TemporaryDirectory(dir=session_directory) as directory:
        ufw = Ufw(Path(directory))
        web = box("-p", "8080:80").serve(80)
        ufw("--force", "enable")
        assert "-P FORWARD DROP" in iptables("-S", "FORWARD")
        assert eventually(answers(around))
        assert web.host.ask(CLIENT, server).strip() == ENGINE
        ufw("reload")
        assert eventually(answers(around))
        assert unreachable(around.client, ENGINE, 22)
        ufw("--force", "disable")
        assert eventually(answers(around))


@pytest.mark.parametrize("theirs", [
    (("-P", "FORWARD", "DROP"),),
    (("-A", "FORWARD", "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT"),
     ("-A", "FORWARD", "-j", "REJECT")),
], ids=["policy drop", "last rule rejects"])
@pytest.mark.usefixtures("networks")
def test_iptables_legacy(engine: Engine, around: Surroundings, box: Boxes, server: int,
                         theirs: tuple[tuple[str, ...], ...]) -> None:
    """Of whose rules nft knows nothing, and the kernel tells nothing: a monitor hears of it all the same, and until it
    does, the doctor says what is the matter. What starts later has its own."""
    if legacy("-S", "FORWARD").returncode:
        pytest.skip("this host has no iptables-legacy")
    monitor = parent(box("--name", "web", "-p", "8080:80").serve(80))
    stop(monitor)
    for words in theirs:
        assert legacy(*words).returncode == 0
    before = legacy("-S").stdout
    sick = engine.pydocker("network", "doctor", "web").out
    assert "NO  0.0.0.0: no other firewall drops it: chain FORWARD of iptables-legacy drops what comes through" in sick
    assert not answers(around)()
    os.kill(monitor, signal.SIGCONT)
    assert eventually(answers(around))
    other = box("-p", "8081:80").serve(80)
    assert around.client.ask(ENGINE, 8080).strip() == around.client.ask(ENGINE, 8081).strip() == CLIENT
    assert other.host.ask(CLIENT, server).strip() == ENGINE
    assert "NO" not in engine.ok("network", "doctor", "web")
    engine.ok("network", "create", "-o", "com.docker.network.bridge.name=pd-other", "other")
    assert "-i pd-other" in legacy("-S").stdout
    engine.ok("network", "rm", "other")
    assert [one for one in legacy("-S").stdout.splitlines() if engine.bridge not in one] == before.splitlines()
    legacy("-F", "FORWARD")
    legacy("-P", "FORWARD", "ACCEPT")


@pytest.mark.usefixtures("networks")
def test_iptables_legacy_while_no_server_runs(make_engine: Callable[..., Engine], around: Surroundings,
                                              server: int) -> None:
    """Not even a monitor that is awake: of two that sleep, one does it."""
    if legacy("-S", "FORWARD").returncode:
        pytest.skip("this host has no iptables-legacy")
    own = make_engine(bip="10.77.0.1/24")
    own.import_busybox()
    with contextlib.ExitStack() as undo:
        boxes = Boxes(own, undo)
        first, _ = boxes(), boxes()
        own.stop()
        legacy("-P", "FORWARD", "DROP")
        assert eventually(lambda: own.bridge in legacy("-S", "FORWARD").stdout)
        assert first.host.ask(CLIENT, server).strip() == ENGINE
        legacy("-P", "FORWARD", "ACCEPT")
        assert eventually(lambda: own.bridge not in legacy("-S", "FORWARD").stdout)
        own.ok("rm", "-f", *own.ok("ps", "-q").split())


def legacy(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(("iptables-legacy", *words), check=False, capture_output=True, text=True)


@pytest.mark.usefixtures("foreign", "networks")
def test_firewalld(engine: Engine, around: Surroundings, box: Boxes, server: int, session_directory: Path) -> None:
    """Its last rule for what is forwarded rejects. It comes, loads its rules again, by halves and completely, and goes,
    while containers run. One that comes after it is as well off, what is not ours is as it says, and no reload opens
    what was closed (CVE-2025-54388: what is published on 127.0.0.1; CVE-2025-54410: networks to each other)."""
    with tempfile.TemporaryDirectory(dir=session_directory) as directory, contextlib.ExitStack() as undo:
        web = box("--name", "web", "-p", "8080:80").serve(80)
        narrow = box("-p", "127.0.0.1:8082:80").serve(80)
        around.router.run("ip", "route", "add", f"{narrow.address}/32", "via", ENGINE)
        undo.callback(around.router.run, "ip", "route", "delete", f"{narrow.address}/32")
        firewalld = Firewalld(Path(directory))
        undo.callback(firewalld.close)
        assert "reject" in nft("list", "chain", "inet", "firewalld", "filter_FORWARD")
        engine.ok("network", "create", "later")
        later = box("--network", "later", "-p", "8081:80").serve(80)
        for words in ((), ("--reload",), ("--complete-reload",)):
            if words:
                firewalld(*words)
            assert unreachable(around.router, narrow.address, 80)
            assert unreachable(web.host, later.address, 80)
            assert eventually(answers(around))
            assert web.host.ask(CLIENT, server).strip() == ENGINE
            assert ask("127.0.0.1", 8080)
            with (pytest.raises(OSError, match=r"prohibited|unreachable|No route"),
                  contextlib.closing(Server("0.0.0.0", 2222))):
                around.client.connect(ENGINE, 2222).close()
            assert around.client.ask(ENGINE, 8081).strip() == CLIENT
            assert later.host.ask(CLIENT, server).strip() == ENGINE
            assert eventually(lambda: engine.pydocker("network", "doctor", "web").code == 0)
    assert "firewalld" not in nft("list", "tables")
    assert eventually(answers(around)) and web.host.ask(CLIENT, server).strip() == ENGINE


def test_the_monitors_alone(session_directory: Path, token: str, around: Surroundings, server: int) -> None:
    """No server runs: its containers look after the firewall themselves."""
    root = Path(tempfile.mkdtemp(dir=session_directory))
    with Engine(root, token, bip="10.77.0.1/24") as own, contextlib.ExitStack() as undo:
        own.import_busybox()
        web = Boxes(own, undo)("-p", "8080:80").serve(80)
        ruleset = nft("-s", "list", "ruleset")
        own.kill()
        assert not own.server()
        nft("flush", "ruleset")
        assert eventually(answers(around))
        assert web.host.ask(CLIENT, server).strip() == ENGINE
        assert not own.server()
        assert f"table inet {own.bridge} " in nft("list", "ruleset") and own.bridge in ruleset
        own.ok("rm", "-f", web.id)


def test_a_table_that_nobody_else_may_change(engine: Engine, around: Surroundings, box: Boxes) -> None:
    """As a recent firewalld's (flags owner): ours is written all the same, and the doctor says who is in the way."""
    box("--name", "web", "-p", "8080:80").serve(80)
    commands = ("add table inet theirs { flags owner; }",
                "add chain inet theirs f { type filter hook forward priority 10; policy accept; }",
                "add rule inet theirs f ct state established accept", "add rule inet theirs f reject")
    with subprocess.Popen(("nft", "-i"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as owner:
        assert owner.stdin is not None
        owner.stdin.write("\n".join(commands) + "\n")
        owner.stdin.flush()
        assert eventually(lambda: "reject" in nft("list", "ruleset"))
        nft("flush", "table", "inet", engine.bridge)
        assert eventually(lambda: "counter" in nft("list", "chain", "inet", engine.bridge, "incoming"))
        engine.ok("run", "--rm", "-p", "8081:80", "busybox", "true")
        sick = engine.pydocker("network", "doctor", "web")
        assert "NO  0.0.0.0: no other firewall drops it: chain f of table inet theirs drops" in sick.out
        owner.kill()  # its table goes with it
    assert eventually(answers(around))
