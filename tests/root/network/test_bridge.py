"""Bridges, as the kernel and the containers on them see them."""

import json
import os
import subprocess
from contextlib import closing

import docker
import pytest

from tests.engine import BUSYBOX, Engine
from tests.root.network.conftest import addresses, eventually, ip, links, pid, state_of_the_host


def places(engine: Engine, container: str) -> dict[str, dict[str, object]]:
    found = json.loads(engine.ok("inspect", "-f", "{{json .NetworkSettings.Networks}}", container))
    assert isinstance(found, dict)
    return found


def reaches(engine: Engine, container: str, address: str, *, within: int = 30) -> bool:
    return engine.pydocker("exec", container, "ping", "-c1", f"-W{within}", address).code == 0


def test_the_default_network(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    (place,) = places(engine, "web").values()
    inside = pid(engine, "web")
    assert addresses("eth0", inside) == [f"{place['IPAddress']}/{place['IPPrefixLen']}"]
    (link,) = ip("link", "show", "dev", "eth0", of=inside)
    assert (link["address"], link["linkinfo"]["info_kind"]) == (place["MacAddress"], "veth")
    (default,) = ip("route", "show", "default", of=inside)
    assert (default["gateway"], default["dev"]) == (place["Gateway"], "eth0")
    assert [f"{place['Gateway']}/16"] == addresses(engine.bridge)
    ports = [one for one in ip("link") if one.get("master") == engine.bridge]
    assert [one["linkinfo"]["info_slave_kind"] for one in ports] == ["bridge"]
    binary = next(path for path in BUSYBOX if os.path.exists(path))
    subprocess.run((binary, "ping", "-c1", "-W30", str(place["IPAddress"])), capture_output=True, check=True)


def test_a_network_of_ones_own(engine: Engine) -> None:
    id = engine.ok("network", "create", "--subnet", "10.61.0.0/24", "--gateway", "10.61.0.254", "--ip-range",
                   "10.61.0.128/25", "--aux-address", "printer=10.61.0.128", "-o", "com.docker.network.driver.mtu=1400",
                   "--label", "tier=1", "front")
    bridge = f"br-{id[:12]}"
    assert addresses(bridge) == ["10.61.0.254/24"] and ip("link", "show", "dev", bridge)[0]["mtu"] == 1400
    engine.ok("run", "-d", "--name", "web", "--network", "front", "busybox", "sleep", "1000")
    assert addresses("eth0", pid(engine, "web")) == ["10.61.0.129/24"]
    assert ip("link", "show", "dev", "eth0", of=pid(engine, "web"))[0]["mtu"] == 1400
    shown = json.loads(engine.ok("network", "inspect", "front"))[0]
    assert [one["IPv4Address"] for one in shown["Containers"].values()] == ["10.61.0.129/24"]
    assert shown["IPAM"]["Config"] == [{"Subnet": "10.61.0.0/24", "IPRange": "10.61.0.128/25",
                                        "Gateway": "10.61.0.254", "AuxiliaryAddresses": {"printer": "10.61.0.128"}}]
    assert reaches(engine, "web", "10.61.0.254")


def test_two_containers_reach_each_other_unless_that_is_switched_off(engine: Engine) -> None:
    engine.ok("network", "create", "--subnet", "10.62.0.0/24", "open")
    engine.ok("network", "create", "--subnet", "10.63.0.0/24", "-o", "com.docker.network.bridge.enable_icc=false",
              "shut")
    for name in ("one", "two"):
        engine.ok("run", "-d", "--name", name, "--network", "open", "--network", "shut", "busybox", "sleep", "1000")
    theirs = places(engine, "two")
    assert reaches(engine, "one", str(theirs["open"]["IPAddress"]))
    assert not reaches(engine, "one", str(theirs["shut"]["IPAddress"]), within=2)
    assert reaches(engine, "one", "10.63.0.1")  # the host they do reach


def test_both_versions_of_ip(engine: Engine) -> None:
    engine.ok("network", "create", "--ipv6", "--subnet", "fd61::/64", "--subnet", "10.64.0.0/24", "dual")
    engine.ok("run", "-d", "--name", "one", "--network", "name=dual,ip6=fd61::77", "busybox", "sleep", "1000")
    assert sorted(addresses("eth0", pid(engine, "one"))) == ["10.64.0.2/24", "fd61::77/64"]
    (default,) = [one for one in ip("-6", "route", "show", "default", of=pid(engine, "one")) if one["dev"] == "eth0"]
    assert default["gateway"] == "fd61::1"
    assert engine.pydocker("exec", "one", "ping", "-6", "-c1", "-W30", "fd61::1").code == 0
    engine.ok("network", "create", "--ipv4=false", "--ipv6", "six")
    (pool,) = json.loads(engine.ok("network", "inspect", "-f", "{{json .IPAM.Config}}", "six"))
    assert pool["Subnet"].startswith("fd")


def test_an_mtu_that_is_too_small_for_ipv6(engine: Engine) -> None:
    """Such a link has no IPv6, which a network without it does not miss."""
    small = ("-o", "com.docker.network.driver.mtu=576")
    engine.ok("network", "create", *small, "small")
    engine.ok("run", "-d", "--name", "one", "--network", "small", "busybox", "sleep", "1000")
    assert ip("link", "show", "dev", "eth0", of=pid(engine, "one"))[0]["mtu"] == 576
    assert reaches(engine, "one", engine.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "small"))
    refused = engine.pydocker("network", "create", "--ipv6", *small, "six")
    assert (refused.code, "IPv6 needs an MTU of at least 1280" in refused.err) == (1, True)
    refused = engine.pydocker("network", "create", "-o", "com.docker.network.driver.mtu=67", "tiny")
    assert (refused.code, 'invalid value "67"' in refused.err) == (1, True)


def test_what_was_asked_for_an_endpoint(engine: Engine) -> None:
    engine.ok("network", "create", "--subnet", "10.65.0.0/24", "--internal", "net")
    engine.ok("run", "-d", "--name", "one", "--network", "net", "--ip", "10.65.0.77", "--mac-address",
              "02:00:00:00:00:77", "--network-alias", "db", "busybox", "sleep", "1000")
    inside = pid(engine, "one")
    assert addresses("eth0", inside) == ["10.65.0.77/24"]
    assert ip("link", "show", "dev", "eth0", of=inside)[0]["address"] == "02:00:00:00:00:77"
    assert ip("route", "show", "default", of=inside) == []  # --internal
    place = places(engine, "one")["net"]
    assert place["IPAMConfig"] == {"IPv4Address": "10.65.0.77"}
    assert place["DNSNames"] == ["one", "db", engine.ok("inspect", "-f", "{{.Id}}", "one")[:12]]
    named = "name=net,driver-opt=com.docker.network.endpoint.ifname=wan0," \
            "driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1"
    engine.ok("run", "-d", "--name", "two", "--network", named, "busybox", "sleep", "1000")
    assert addresses("wan0", pid(engine, "two")) == ["10.65.0.2/24"]
    assert engine.ok("exec", "two", "cat", "/proc/sys/net/ipv4/conf/wan0/log_martians") == "1"
    for asked, words in (("ipv4.conf.IFNAME.log_martians=99999999999", "invalid argument"),
                         ("ipv6.conf.IFNAME.nonesuch=1", "the kernel has no such parameter")):
        named = f"name=net,driver-opt=com.docker.network.endpoint.sysctls=net.{asked}"
        refused = engine.pydocker("run", "--network", named, "busybox", "true")
        path = "net/" + asked.partition("=")[0].replace(".", "/").replace("IFNAME", "eth0")
        assert (refused.code, f"/proc/sys/{path}: {words}" in refused.err) == (125, True), refused.err


def test_several_networks_and_the_way_out(engine: Engine) -> None:
    for number, name in ((66, "alpha"), (67, "beta")):
        engine.ok("network", "create", "--subnet", f"10.{number}.0.0/24", name)
    engine.ok("run", "-d", "--name", "one", "--network", "beta", "--network", "alpha", "busybox", "sleep", "1000")
    inside = pid(engine, "one")
    assert [one["gateway"] for one in ip("route", "show", "default", of=inside)] == ["10.66.0.1"]
    engine.ok("run", "-d", "--name", "two", "--network", "name=beta,gw-priority=1", "--network", "alpha", "busybox",
              "sleep", "1000")
    assert [one["gateway"] for one in ip("route", "show", "default", of=pid(engine, "two"))] == ["10.67.0.1"]


def test_connect_and_disconnect_while_it_runs(engine: Engine) -> None:
    engine.ok("network", "create", "--subnet", "10.68.0.0/24", "net")
    engine.ok("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    inside = pid(engine, "one")
    engine.ok("network", "connect", "--ip", "10.68.0.9", "--alias", "db", "net", "one")
    assert addresses("eth1", inside) == ["10.68.0.9/24"] and reaches(engine, "one", "10.68.0.1")
    again = engine.pydocker("network", "connect", "net", "one")
    assert again.code == 1 and "endpoint with name one already exists in network net" in again.err
    active = engine.pydocker("network", "rm", "net")
    assert active.code == 1 and 'network net has active endpoints (name:"one" id:"' in active.err
    engine.ok("network", "disconnect", "bridge", "one")
    assert "eth0" not in {one["ifname"] for one in ip("link", of=inside)}
    assert [one["gateway"] for one in ip("route", "show", "default", of=inside)] == ["10.68.0.1"]
    engine.ok("restart", "-t", "0", "one")
    assert list(places(engine, "one")) == ["net"] and addresses("eth0", pid(engine, "one")) == ["10.68.0.9/24"]
    engine.ok("network", "disconnect", "net", "one")
    twice = engine.pydocker("network", "disconnect", "-f", "net", "one")
    assert twice.code == 1 and "is not connected to network net" in twice.err
    engine.ok("network", "connect", "bridge", "one")
    assert addresses("eth0", pid(engine, "one"))


def way_out(of: int, *version: str) -> list[str]:
    return [one["gateway"] for one in ip(*version, "route", "show", "default", of=of)]


def test_a_connect_that_fails_leaves_the_way_out(engine: Engine) -> None:
    """Nobody can be routed over an address of multicast, which the kernel finds out last."""
    engine.ok("network", "create", "--subnet", "10.67.1.0/24", "net")
    engine.ok("network", "create", "--subnet", "224.0.5.0/24", "before")
    engine.ok("run", "-d", "--name", "one", "--network", "net", "busybox", "sleep", "1000")
    refused = engine.pydocker("network", "connect", "before", "one")
    assert refused.code == 1 and "route everything else over 224.0.5.1" in refused.err
    assert way_out(pid(engine, "one")) == ["10.67.1.1"]
    assert [*places(engine, "one")] == ["net"]
    assert {one["ifname"] for one in ip("link", "show", of=pid(engine, "one"))} == {"lo", "eth0"}
    engine.ok("network", "rm", "before")


def test_a_container_that_blocks_its_way_out_can_be_disconnected(engine: Engine) -> None:
    for number, name in ((67, "alpha"), (68, "beta")):
        engine.ok("network", "create", "--ipv6", "--subnet", f"10.{number}.0.0/24", "--subnet", f"fd{number}::/64",
                  name)
    engine.ok("run", "-d", "--name", "one", "--cap-add", "NET_ADMIN", "--network", "alpha", "--network", "beta",
              "busybox", "sleep", "1000")
    engine.ok("network", "disconnect", "alpha", "one")
    assert way_out(pid(engine, "one")) == ["10.68.0.1"] and way_out(pid(engine, "one"), "-6") == ["fd68::1"]
    engine.ok("network", "connect", "alpha", "one")
    assert way_out(pid(engine, "one")) == ["10.67.0.1"] and way_out(pid(engine, "one"), "-6") == ["fd67::1"]
    engine.ok("exec", "one", "ip", "link", "set", "eth1", "down")
    engine.ok("network", "disconnect", "alpha", "one")
    assert [*places(engine, "one")] == ["beta"] and way_out(pid(engine, "one")) == []
    engine.ok("network", "rm", "alpha")


def test_connect_and_disconnect_while_it_rests(engine: Engine) -> None:
    engine.ok("network", "create", "--subnet", "10.69.0.0/24", "net")
    engine.ok("create", "--name", "one", "busybox", "sleep", "1000")
    engine.ok("network", "connect", "net", "one")
    engine.ok("network", "disconnect", "bridge", "one")
    engine.ok("start", "one")
    assert addresses("eth0", pid(engine, "one")) == ["10.69.0.2/24"]
    engine.ok("stop", "-t", "0", "one")
    removed = engine.pydocker("network", "rm", "-f", "nothing", "net")
    assert (removed.code, removed.out, removed.err) == (0, "net\n", "")
    gone = engine.pydocker("start", "one")
    assert gone.code == 1 and "network net not found" in gone.err
    assert engine.ok("inspect", "-f", "{{.State.ExitCode}} {{.State.Error}}", "one") == (
        "128 failed to set up container networking: network net not found")
    engine.ok("network", "create", "--subnet", "10.70.0.0/24", "net")
    engine.ok("start", "one")
    assert addresses("eth0", pid(engine, "one")) == ["10.70.0.2/24"]


def test_the_namespace_of_another_container(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "one", "--hostname", "shown", "busybox", "sleep", "1000")
    told = engine.ok("run", "--rm", "--network", "container:one", "busybox", "sh", "-c", "hostname; ip -o -4 address")
    assert told.startswith("shown\n") and places(engine, "one")["bridge"]["IPAddress"] in told
    engine.ok("run", "-d", "--name", "two", "--network", "container:one", "busybox", "sleep", "1000")
    assert engine.ok("run", "--rm", "--network", "container:two", "busybox", "sh", "-c",
                     "hostname; ip -o -4 address; grep -c shown /etc/hosts") == f"{told}\n1"
    engine.ok("stop", "-t", "0", "one")
    down = engine.pydocker("run", "--rm", "--network", "container:one", "busybox", "true")
    assert down.code == 125 and "cannot join network of a non running container" in down.err


def test_addresses_and_interfaces_stay_when_its_policy_starts_it_anew(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    engine.ok("run", "-d", "--name", "one", "--restart", "always", "busybox", "sh", "-c", "sleep 0.2; exit 1")
    before = places(engine, "one")
    port = {one["ifname"] for one in ip("link") if one.get("master") == engine.bridge}
    eventually(lambda: int(engine.ok("inspect", "-f", "{{.RestartCount}}", "one")) >= 2)
    engine.kill()  # and without a server
    eventually(lambda: int(engine.ok("inspect", "-f", "{{.RestartCount}}", "one")) >= 3)
    assert places(engine, "one") == before
    assert {one["ifname"] for one in ip("link") if one.get("master") == engine.bridge} == port


def test_an_address_is_free_again_when_its_container_has_ended(engine: Engine) -> None:
    engine.ok("network", "create", "--subnet", "10.71.0.0/30", "tiny")  # one address besides the gateway's
    for _ in range(3):
        assert "10.71.0.2" in engine.ok("run", "--rm", "--network", "tiny", "busybox", "ip", "-o", "-4", "address")
    engine.ok("run", "-d", "--name", "one", "--network", "tiny", "busybox", "sleep", "1000")
    full = engine.pydocker("run", "--rm", "--network", "tiny", "busybox", "true")
    assert full.code == 125 and "no available IPv4 addresses on this network's address pools: tiny" in full.err
    taken = engine.pydocker("run", "--rm", "--network", "tiny", "--ip", "10.71.0.2", "busybox", "true")
    assert taken.code == 125 and "Address already in use" in taken.err
    assert engine.ok("ps", "-aq", "--no-trunc") == engine.ok("inspect", "-f", "{{.Id}}", "one")


def test_a_bridge_that_somebody_has_taken_away_is_made_again(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    id = engine.ok("network", "create", "--subnet", "10.72.0.0/24", "net")
    subprocess.run(("ip", "link", "delete", f"br-{id[:12]}"), check=True)
    engine.ok("run", "--rm", "--network", "net", "busybox", "ping", "-c1", "-W30", "10.72.0.1")
    subprocess.run(("ip", "address", "flush", "dev", f"br-{id[:12]}"), check=True)
    engine.stop()  # a new server looks at everything once
    engine.ok("run", "--rm", "--network", "net", "busybox", "ping", "-c1", "-W30", "10.72.0.1")
    engine.ok("network", "rm", "net")


@pytest.mark.parametrize(("words", "complaint"), [
    (("--subnet", "10.0.0.0/33", "x"), "invalid subnet 10.0.0.0/33: invalid CIDR block notation"),
    (("--subnet", "192.0.2.0/24", "x"), "192.0.2.0/24 overlaps with the host's route 192.0.2.0/25 dev clash"),
    (("-d", "nix", "x"), 'plugin "nix" not found'),
    (("-o", "nix=1", "x"), 'unknown option "nix"'),
    (("-o", "com.docker.network.bridge.name=clash", "x"), "the host has a link clash already"),
    (("--gateway", "10.1.0.1", "x"), "every ip-range or gateway must have a corresponding subnet"),
    (("--subnet", "10.1.0.0/24", "--gateway", "10.2.0.1", "x"), "no matching subnet for gateway 10.2.0.1"),
    (("--subnet", "10.1.0.0/24", "--aux-address", "a=x", "x"), "no matching subnet for aux-address x"),
    (("--subnet", "10.1.0.0/24", "--subnet", "10.1.0.128/25", "x"), "multiple overlapping subnet configuration is not"),
    (("--subnet", "10.1.0.0/24", "--subnet", "10.1.0.0/24", "x"), "multiple overlapping subnet configuration is not"),
    (("host",), "operation is not permitted on predefined host network"),
    (("-d", "macvlan", "-o", "parent=nix", "x"), "invalid subinterface vlan name nix, example formatting is eth0.10"),
    (("-d", "ipvlan", "-o", "parent=lo", "x"), "loopback interface is not a valid ipvlan parent link"),
    (("--config-only", "--internal", "x"), "configuration network can only contain network specific fields"),
    (("--config-from", "nix", "x"), 'configuration network "nix" does not exist'),
    (("--ingress", "x"), "Ingress network can only be global scope network"),
    (("--scope", "swarm", "x"), "cannot create a swarm scoped network when swarm is not active"),
])
def test_what_cannot_be_created(engine: Engine, words: tuple[str, ...], complaint: str) -> None:
    subprocess.run(("ip", "link", "add", "clash", "type", "bridge"), check=True)
    try:
        subprocess.run(("ip", "address", "add", "192.0.2.1/25", "dev", "clash"), check=True)
        subprocess.run(("ip", "link", "set", "clash", "up"), check=True)
        before = (engine.ok("network", "ls", "-q"), state_of_the_host())
        refused = engine.pydocker("network", "create", *words)
        assert refused.code == 1 and complaint in refused.err
        assert (engine.ok("network", "ls", "-q"), state_of_the_host()) == before
    finally:
        subprocess.run(("ip", "link", "delete", "clash"), check=True)


def test_a_network_that_is_only_a_configuration(engine: Engine) -> None:
    before = links()
    engine.ok("network", "create", "--config-only", "--subnet", "10.76.0.0/24", "--gateway", "10.76.0.254", "--label",
              "tier=1", "-o", "com.docker.network.driver.mtu=1400", "config")
    assert links() == before
    assert engine.ok("network", "inspect", "-f", "{{.ConfigOnly}} {{.Driver}}", "config") == "true null"
    refused = engine.pydocker("run", "--rm", "--network", "config", "busybox", "true")
    assert refused.code == 125 and "cannot create endpoint on configuration-only network" in refused.err
    id = engine.ok("network", "create", "--config-from", "config", "made")
    assert addresses(f"br-{id[:12]}") == ["10.76.0.254/24"]
    shown = "{{.ConfigFrom.Network}} {{.ConfigOnly}} {{.Driver}} {{.Labels.tier}}"
    assert engine.ok("network", "inspect", "-f", shown, "made") == "config false bridge 1"
    engine.ok("run", "-d", "--name", "web", "--network", "made", "busybox", "sleep", "1000")
    assert ip("link", "show", "dev", "eth0", of=pid(engine, "web"))[0]["mtu"] == 1400
    refused = engine.pydocker("network", "rm", "config")
    assert refused.code == 1 and 'configuration network "config" is in use' in refused.err
    engine.ok("rm", "-f", "web")
    assert engine.ok("network", "prune", "-f").splitlines()[1:] == ["made"]
    engine.ok("network", "rm", "config")


def test_who_is_in_the_hosts_network_and_in_none(engine: Engine) -> None:
    for network in ("host", "none"):
        id = engine.ok("run", "-d", "--name", f"in-{network}", "--network", network, "busybox", "sleep", "1000")
        engine.ok("create", "--network", network, "busybox")
        shown = json.loads(engine.ok("network", "inspect", "-f", "{{json .Containers}}", network))
        assert {key: (one["Name"], one["IPv4Address"], one["MacAddress"]) for key, one in shown.items()} == {
            id: (f"in-{network}", "", "")}


def test_two_networks_cannot_have_one_subnet(engine: Engine) -> None:
    engine.ok("network", "create", "--subnet", "10.73.0.0/16", "one")
    refused = engine.pydocker("network", "create", "--subnet", "10.73.9.0/24", "two")
    assert refused.code == 1 and "Pool overlaps with other one on this address space" in refused.err
    twice = engine.pydocker("network", "create", "one")
    assert twice.code == 1 and "network with name one already exists" in twice.err


@pytest.mark.timeout(600)
def test_two_hundred_networks_leave_the_host_as_it_was(engine: Engine) -> None:
    before = state_of_the_host()
    names = [f"net{number}" for number in range(200)]
    with closing(docker.DockerClient(base_url=engine.host)) as sdk:
        for name in names:
            sdk.networks.create(name)
    shown = engine.ok("network", "ls", "--format", "{{.Name}}", "--filter", "type=custom").splitlines()
    assert sorted(shown) == sorted(names)
    pools = json.loads(engine.ok("network", "inspect", "-f", "{{json .IPAM.Config}}", *names[-1:]))
    assert pools[0]["Subnet"].endswith("/24")
    engine.ok("run", "--rm", "--network", names[-1], "busybox", "ping", "-c1", "-W30", pools[0]["Gateway"])
    assert len(links()) > 200
    removed = engine.ok("network", "prune", "-f", timeout=400).splitlines()
    assert sorted(removed[1:]) == sorted(names)
    eventually(lambda: state_of_the_host() == before)


def test_the_map(engine: Engine) -> None:
    engine.ok("network", "create", "--subnet", "10.74.0.0/24", "front")
    engine.ok("run", "-d", "--name", "web", "--network", "front", "busybox", "sleep", "1000")
    drawn = engine.ok("network", "map")
    assert "bridge network front" in drawn and "10.74.0.2/24" in drawn and "═ eth0  web (" in drawn
    assert f"namespace /proc/{pid(engine, 'web')}/ns/net" in drawn
    picture = engine.root / "map.svg"
    engine.ok("network", "map", "--svg", str(picture))
    assert "10.74.0.2/24" in picture.read_text()
    picture.unlink()


def test_stats_count_what_goes_over_the_interfaces(engine: Engine) -> None:
    engine.ok("run", "-d", "--name", "web", "busybox", "sleep", "1000")
    engine.ok("exec", "web", "ping", "-c1", "-s", "1200", "-W30", str(places(engine, "web")["bridge"]["Gateway"]))
    (link,) = ip("-s", "link", "show", "dev", "eth0", of=pid(engine, "web"))
    assert link["stats64"]["tx"]["bytes"] > 1200
    received, sent = engine.ok("stats", "--no-stream", "--format", "{{.NetIO}}", "web").split(" / ")
    assert received.endswith("kB") and sent.endswith("kB")
