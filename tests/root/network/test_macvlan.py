"""macvlan and ipvlan: containers as hosts of their own on a wire of the host's. Not every kernel has them."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.engine import Engine
from tests.root.network.conftest import addresses, eventually, ip, links, pid


def kernel_has(kind: str, on: str = "lo") -> bool:
    parent = ("link", on) if kind != "dummy" else ()
    number = ("id", "5") if kind == "vlan" else ()
    made = subprocess.run(("ip", "link", "add", *parent, "name", "probe", "type", kind, *number), capture_output=True,
                          text=True, check=False)
    if made.returncode == 0:
        subprocess.run(("ip", "link", "delete", "probe"), check=True)
    return "not supported" not in made.stderr and "Unknown device type" not in made.stderr


@pytest.fixture
def wire(links_come_and_go: None) -> Iterator[str]:
    """One end of a cable of the host's; at the other end a neighbour, with an address, in a namespace of its own."""
    subprocess.run(("ip", "link", "add", "wire", "type", "veth", "peer", "name", "far"), check=True)
    for name in ("wire", "far"):
        subprocess.run(("ip", "link", "set", name, "up"), check=True)
    subprocess.run(("ip", "address", "add", "10.81.0.1/24", "dev", "far"), check=True)
    yield "wire"
    subprocess.run(("ip", "link", "delete", "wire"), check=True)


@pytest.mark.parametrize(("kind", "option"), [("macvlan", "macvlan_mode=bridge"), ("ipvlan", "ipvlan_mode=l2")])
def test_a_host_of_its_own_on_the_wire(engine: Engine, wire: str, kind: str, option: str) -> None:
    if not kernel_has(kind):
        pytest.skip(f"this kernel has no {kind}")
    engine.ok("network", "create", "-d", kind, "-o", f"parent={wire}", "-o", option, "--subnet", "10.81.0.0/24",
              "--gateway", "10.81.0.1", "lan")
    engine.ok("run", "-d", "--name", "one", "--network", "name=lan,ip=10.81.0.9", "busybox", "sleep", "1000")
    engine.ok("run", "-d", "--name", "two", "--network", "lan", "busybox", "sleep", "1000")
    inside = pid(engine, "one")
    assert addresses("eth0", inside) == ["10.81.0.9/24"]
    assert ip("link", "show", "dev", "eth0", of=inside)[0]["linkinfo"]["info_kind"] == kind
    assert [one["gateway"] for one in ip("route", "show", "default", of=inside)] == ["10.81.0.1"]
    for address in ("10.81.0.1", "10.81.0.2"):  # the neighbour, and the other container
        engine.ok("exec", "one", "ping", "-c1", "-W30", address)


def test_an_ipvlan_of_layer_three_routes_straight_out(engine: Engine, wire: str) -> None:
    if not kernel_has("ipvlan"):
        pytest.skip("this kernel has no ipvlan")
    engine.ok("network", "create", "-d", "ipvlan", "-o", f"parent={wire}", "-o", "ipvlan_mode=l3", "--subnet",
              "10.82.0.0/24", "routed")
    engine.ok("run", "-d", "--name", "one", "--network", "routed", "busybox", "sleep", "1000")
    (default,) = ip("route", "show", "default", of=pid(engine, "one"))
    assert (default["dev"], default.get("gateway")) == ("eth0", None)


def test_a_parent_that_is_a_vlan_is_made_and_goes_with_the_last_network(engine: Engine, wire: str) -> None:
    if not (kernel_has("vlan", wire) and kernel_has("macvlan")):
        pytest.skip("this kernel has no VLANs, or no macvlan")
    subprocess.run(("ip", "link", "add", "link", "far", "name", "far.10", "type", "vlan", "id", "10"), check=True)
    subprocess.run(("ip", "address", "add", "10.84.0.1/24", "dev", "far.10"), check=True)
    subprocess.run(("ip", "link", "set", "far.10", "up"), check=True)
    for name, subnet in (("one", "10.84.0.0/24"), ("two", "10.85.0.0/24")):
        engine.ok("network", "create", "-d", "macvlan", "-o", f"parent={wire}.10", "--subnet", subnet, name)
    (made,) = ip("link", "show", "dev", f"{wire}.10")
    assert (made["link"], made["linkinfo"]["info_data"]["id"]) == (wire, 10) and "UP" in made["flags"]
    engine.ok("run", "--rm", "--network", "name=one,ip=10.84.0.9", "busybox", "ping", "-c1", "-W30", "10.84.0.1")
    engine.ok("network", "rm", "one")
    assert f"{wire}.10" in links()
    subprocess.run(("ip", "link", "delete", f"{wire}.10"), check=True)  # as a boot does
    engine.ok("run", "--rm", "--network", "two", "busybox", "true")
    assert f"{wire}.10" in links()
    engine.ok("network", "rm", "two")
    eventually(lambda: f"{wire}.10" not in links())


def test_an_ipvlan_keeps_its_containers_apart(engine: Engine, wire: str) -> None:
    if not kernel_has("ipvlan"):
        pytest.skip("this kernel has no ipvlan")
    engine.ok("network", "create", "-d", "ipvlan", "-o", f"parent={wire}", "-o", "ipvlan_flag=private", "--subnet",
              "10.81.0.0/24", "--gateway", "10.81.0.1", "lan")
    for name in ("one", "two"):
        engine.ok("run", "-d", "--name", name, "--network", "lan", "busybox", "sleep", "1000")
    engine.ok("exec", "one", "ping", "-c1", "-W30", "10.81.0.1")
    assert engine.pydocker("exec", "one", "ping", "-c1", "-W1", "10.81.0.3").code == 1


def test_without_a_parent_it_leads_nowhere(engine: Engine) -> None:
    if not (kernel_has("macvlan") and kernel_has("dummy")):
        pytest.skip("this kernel has no macvlan, or no dummy links")
    before = links()
    engine.ok("network", "create", "-d", "macvlan", "alone")
    assert {name[:3] for name in links() - before} == {"dm-"}
    engine.ok("run", "-d", "--name", "one", "--network", "alone", "busybox", "sleep", "1000")
    assert ip("route", "show", "default", of=pid(engine, "one")) == []
    engine.ok("rm", "-f", "one")
    engine.ok("network", "rm", "alone")
    eventually(lambda: links() == before)


def test_a_kernel_without_it_says_so_and_nothing_is_left(engine: Engine, wire: str) -> None:
    if kernel_has("macvlan"):
        pytest.skip("this kernel has macvlan")
    engine.ok("network", "create", "-d", "macvlan", "-o", f"parent={wire}", "--subnet", "10.83.0.0/24", "lan")
    failed = engine.pydocker("run", "--rm", "--network", "lan", "busybox", "true")
    assert failed.code == 125
    assert f"failed to set up container networking: make a macvlan of {wire}: operation not supported" in failed.err
    assert engine.ok("ps", "-aq") == ""
    assert engine.ok("network", "inspect", "-f", "{{len .Containers}}", "lan") == "0"
