"""The default network as the configuration file has it, and what becomes of it when the file changes."""

import json
import subprocess
from collections.abc import Callable

from tests.engine import Engine
from tests.root.network.conftest import addresses, ip, links, pid


def reconfigured(engine: Engine, **keys: object) -> None:
    """Another configuration file, and a server that reads it."""
    kept = json.loads(engine.config.read_text())
    engine.config.write_text(json.dumps(kept | keys))
    engine.stop()


def test_addresses_and_ways_out_by_the_configuration(make_engine: Callable[..., Engine]) -> None:
    own = make_engine(**{
        "bip": "10.79.0.1/16", "fixed-cidr": "10.79.4.0/24", "default-gateway": "10.79.0.9", "ipv6": True,
        "bip6": "fd79::1/64", "fixed-cidr-v6": "fd79::100/120", "default-gateway-v6": "fd79::9"})
    own.import_busybox()
    own.ok("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    inside = pid(own, "one")
    assert addresses(own.bridge) == ["10.79.0.1/16", "fd79::1/64"]
    assert addresses("eth0", inside) == ["10.79.4.0/16", "fd79::100/64"]
    for family, gateway in (("-4", "10.79.0.9"), ("-6", "fd79::9")):
        assert [one["gateway"] for one in ip(family, "route", "show", "default", of=inside)] == [gateway]
    own.ok("exec", "one", "ping", "-c1", "-W30", "10.79.0.1")
    own.ok("exec", "one", "ping6", "-c1", "-W30", "fd79::1")


def test_the_file_holds_from_the_start_on_at_which_nobody_is_in_it(make_engine: Callable[..., Engine]) -> None:
    own = make_engine(bip="10.79.0.1/24")
    own.import_busybox()
    id = own.ok("network", "inspect", "-f", "{{.Id}}", "bridge")
    own.ok("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    reconfigured(own, **{"bip": "10.80.0.1/24", "ip-masq": False})
    own.ok("exec", "one", "ping", "-c1", "-W30", "10.79.0.1")
    assert addresses(own.bridge) == ["10.79.0.1/24"]
    own.ok("rm", "-f", "one")
    own.stop()
    own.ok("run", "--rm", "busybox", "ping", "-c1", "-W30", "10.80.0.1")
    assert addresses(own.bridge) == ["10.80.0.1/24"] and own.ok("network", "inspect", "-f", "{{.Id}}", "bridge") == id
    table = subprocess.run(("nft", "list", "table", "inet", own.bridge), capture_output=True, text=True, check=True)
    assert "10.80.0." in table.stdout and "10.79.0." not in table.stdout


def test_another_name_for_the_bridge(make_engine: Callable[..., Engine]) -> None:
    """The firewall's table keeps its own as long as it is there: those who run look after it by that."""
    own = make_engine(bip="10.79.0.1/24")
    own.import_busybox()
    own.ok("network", "create", "net")
    own.ok("run", "-d", "--network", "net", "-p", "127.0.0.1:8079:80", "busybox", "sleep", "1000")
    own.ok("run", "--rm", "busybox", "true")
    before, renamed = tables(), f"{own.bridge[:13]}-r"
    reconfigured(own, bridge=renamed)
    own.ok("run", "--rm", "busybox", "ping", "-c1", "-W30", "10.79.0.1")
    own.ok("run", "-d", "--network", "net", "-p", "127.0.0.1:8080:80", "busybox", "sleep", "1000")
    assert addresses(renamed) == ["10.79.0.1/24"] and own.bridge not in links() and tables() == before
    told = subprocess.run(("nft", "list", "map", "inet", own.bridge, "ports4_at"), capture_output=True, text=True,
                          check=True).stdout
    assert "8079" in told and "8080" in told
    own.clear()
    subprocess.run(("ip", "link", "delete", renamed), check=True)


def tables() -> str:
    return subprocess.run(("nft", "list", "tables"), capture_output=True, text=True, check=True).stdout


def test_a_bridge_that_was_there_before_stays(make_engine: Callable[..., Engine]) -> None:
    """The configuration may name one."""
    subprocess.run(("ip", "link", "add", "own0", "type", "bridge"), check=True)
    own = make_engine(bip="10.79.0.1/24", bridge="own0")
    own.import_busybox()
    own.ok("run", "--rm", "busybox", "ping", "-c1", "-W30", "10.79.0.1")
    reconfigured(own, bip="10.80.0.1/24")
    index = ip("link", "show", "own0")[0]["ifindex"]
    own.ok("run", "--rm", "busybox", "ping", "-c1", "-W30", "10.80.0.1")
    assert addresses("own0") == ["10.80.0.1/24"] and ip("link", "show", "own0")[0]["ifindex"] == index
    subprocess.run(("ip", "link", "delete", "own0"), check=True)


def test_a_user_network_may_name_its_containers_way_out(engine: Engine) -> None:
    engine.ok("network", "create", "--subnet", "10.87.0.0/24", "--aux-address", "DefaultGatewayIPv4=10.87.0.9", "net")
    engine.ok("run", "-d", "--name", "one", "--network", "net", "busybox", "sleep", "1000")
    assert [one["gateway"] for one in ip("route", "show", "default", of=pid(engine, "one"))] == ["10.87.0.9"]
