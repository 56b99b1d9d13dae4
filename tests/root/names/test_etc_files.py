"""/etc/hosts, /etc/resolv.conf and /etc/hostname, as the container's programs read them."""

from collections.abc import Callable

import pytest

from pydocker.network import resolvconf
from tests.engine import Engine
from tests.root.names.conftest import address, run
from tests.root.network.conftest import eventually

Network = Callable[..., str]
LOCAL = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", "fe00::\tip6-localnet",
         "ff00::\tip6-mcastprefix", "ff02::1\tip6-allnodes", "ff02::2\tip6-allrouters"]


def lines(engine: Engine, container: str, file: str = "hosts") -> list[str]:
    text = engine.ok("exec", container, "cat", f"/etc/{file}")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_hosts_and_hostname(engine: Engine) -> None:
    run(engine, "box", "--hostname", "web", "--domainname", "lan.example", "--add-host", "db:10.0.0.9",
        "--add-host", "six=[2001:db8::9]")
    assert lines(engine, "box") == [*LOCAL, "10.0.0.9\tdb", "2001:db8::9\tsix",
                                    f"{address(engine, 'box', 'bridge')}\tweb.lan.example web"]
    assert lines(engine, "box", "hostname") == ["web"]
    assert engine.ok("inspect", "-f", "{{json .HostConfig.ExtraHosts}}", "box") == '["db:10.0.0.9","six:2001:db8::9"]'


def test_the_host_by_name(engine: Engine, network: Network) -> None:
    run(engine, "box", "--network", network("back"), "--add-host", "host.docker.internal:host-gateway")
    gateway = engine.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge")
    assert f"{gateway}\thost.docker.internal" in lines(engine, "box")
    assert engine.ok("exec", "box", "ping", "-c1", "-W30", "host.docker.internal")


def test_the_default_network_asks_the_hosts_servers(engine: Engine) -> None:
    run(engine, "box")
    wanted = resolvconf.for_default_bridge(resolvconf.load(), ipv6=False)
    assert [line.split()[1] for line in lines(engine, "box", "resolv.conf") if line.startswith("nameserver")] == [
        *wanted.servers]
    run(engine, "asked", "--dns", "127.0.0.1", "--dns", "10.0.0.53", "--dns-search", ".", "--dns-option", "rotate")
    assert lines(engine, "asked", "resolv.conf") == ["nameserver 127.0.0.1", "nameserver 10.0.0.53", "options rotate"]
    assert engine.ok("inspect", "-f", "{{json .HostConfig.Dns}}{{json .HostConfig.DnsOptions}}", "asked") == (
        '["127.0.0.1","10.0.0.53"]["rotate"]')


def test_on_the_hosts_network_the_files_are_the_hosts(engine: Engine) -> None:
    with open("/etc/hosts") as file:
        assert engine.ok("run", "--rm", "--network", "host", "busybox", "cat", "/etc/hosts") == file.read().rstrip("\n")
    found = engine.ok("run", "--rm", "--network", "host", "--add-host", "a:10.0.0.1", "busybox", "cat", "/etc/hosts")
    assert found.splitlines() == [*LOCAL, "10.0.0.1\ta"]
    servers = engine.ok("run", "--rm", "--network", "host", "busybox", "cat", "/etc/resolv.conf")
    assert resolvconf.parse(servers).servers == resolvconf.load().servers


def test_in_another_containers_network_its_files_are_there(engine: Engine, network: Network) -> None:
    net = network("back")
    run(engine, "one", "--network", net, "--hostname", "first")
    run(engine, "two", "--network", "container:one")
    engine.ok("exec", "two", "sh", "-c", "echo 10.0.0.1 shared >> /etc/hosts")
    assert lines(engine, "one") == lines(engine, "two") and "10.0.0.1 shared" in lines(engine, "one")
    assert lines(engine, "two", "hostname") == ["first"]
    assert engine.ok("exec", "two", "nslookup", "-type=a", "one").count(address(engine, "one", net)) == 1


def test_a_users_lines_stay_while_it_runs(engine: Engine, network: Network) -> None:
    """Through connecting and disconnecting; the next start writes the files anew, as Docker does."""
    net = network("back")
    run(engine, "box", "--hostname", "web")
    engine.ok("exec", "box", "sh", "-c", "echo 10.0.0.1 mine >> /etc/hosts; echo '# mine' >> /etc/resolv.conf")
    before = lines(engine, "box"), lines(engine, "box", "resolv.conf")
    engine.ok("network", "connect", net, "box")
    assert lines(engine, "box") == [*before[0], f"{address(engine, 'box', net)}\tweb"]
    assert lines(engine, "box", "resolv.conf") == before[1]  # it was edited: it stays as it is
    engine.ok("network", "disconnect", net, "box")
    assert (lines(engine, "box"), lines(engine, "box", "resolv.conf")) == before
    engine.ok("restart", "-t", "0", "box")
    assert "10.0.0.1 mine" not in lines(engine, "box")


def test_a_restart_by_policy_is_a_start(engine: Engine, network: Network) -> None:
    """Whatever starts it, the files are as the engine wrote them, with what has been connected since."""
    net = network("back")
    run(engine, "data")
    engine.ok("run", "-d", "--name", "box", "--hostname", "web", "--restart", "always", "--link", "data:db", "busybox",
              "sh", "-c", "trap exit TERM; echo ready; while :; do sleep 0.1; done")
    eventually(lambda: engine.ok("logs", "box") == "ready")
    engine.ok("network", "connect", net, "box")
    before = [lines(engine, "box", file) for file in ("hosts", "hostname", "resolv.conf")]
    at = address(engine, "data", "bridge")
    engine.ok("exec", "box", "sh", "-c", "for f in hosts hostname resolv.conf; do echo mine >> /etc/$f; done")
    engine.ok("stop", "-t", "0", "data")
    run(engine, "other")
    engine.ok("start", "data")  # with another address
    before[0] = [line.replace(at, address(engine, "data", "bridge")) for line in before[0]]
    engine.ok("exec", "box", "kill", "1")
    eventually(lambda: engine.ok("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "box") == "1 running")
    assert [lines(engine, "box", file) for file in ("hosts", "hostname", "resolv.conf")] == before


def test_no_way_into_the_host_by_these_files(engine: Engine, network: Network) -> None:
    """The container may make them whatever it likes; the engine writes to its own file, and reads with a limit."""
    net = network("back")
    run(engine, "box")
    engine.ok("exec", "box", "sh", "-c", "yes | head -c 3000000 > /etc/hosts; printf '\\377\\376' > /etc/resolv.conf")
    engine.ok("network", "connect", net, "box")
    assert engine.ok("exec", "box", "wc", "-c", "/etc/hosts").split()[0] == "3000000"
    engine.ok("network", "disconnect", net, "box")


def test_links_of_the_default_network(engine: Engine) -> None:
    run(engine, "data", "--hostname", "store", "--expose", "5432", "--expose", "5433", "-e", "MODE=test")
    found = engine.ok("run", "--rm", "--name", "app", "--link", "data:my-db", "busybox", "sh", "-c",
                      "grep my-db /etc/hosts; env | grep MY_DB | sort; ping -c1 -W30 my-db >/dev/null && echo reached")
    at = address(engine, "data", "bridge")
    assert found.splitlines() == [
        f"{at}\tmy-db store data", "MY_DB_ENV_MODE=test", "MY_DB_NAME=/app/my-db", f"MY_DB_PORT=tcp://{at}:5432",
        *(f"MY_DB_PORT_{port}_TCP{rest}" for port in (5432, 5433) for rest in _told(at, port)), "reached"]


def _told(at: str, port: int) -> list[str]:
    """One port's variables, in the order of `sort`; the first one tells the range, too."""
    one = [f"=tcp://{at}:{port}", f"_ADDR={at}", f"_PORT={port}", "_PROTO=tcp"]
    if port == 5432:
        one[2:3] = [f"_END=tcp://{at}:5433", "_PORT=5432", "_PORT_END=5433", "_PORT_START=5432"]
        one.append(f"_START=tcp://{at}:5432")
    return one


def test_links_are_shown_and_hold(engine: Engine) -> None:
    run(engine, "data")
    engine.ok("create", "--name", "app", "--link", "data:db", "--link", "data", "busybox", "cat", "/etc/hosts")
    assert engine.ok("inspect", "-f", "{{json .HostConfig.Links}}", "app") == '["/data:/app/db","/data:/app/data"]'
    engine.ok("stop", "-t", "0", "data")
    result = engine.pydocker("start", "app")
    assert result.code == 1 and "Cannot link to a non running container: /data AS /app/db" in result.err


def test_a_linked_container_that_has_moved_is_found(engine: Engine) -> None:
    run(engine, "data")
    run(engine, "app", "--link", "data:db")
    before = address(engine, "data", "bridge")
    engine.ok("stop", "-t", "0", "data")
    run(engine, "other")  # takes its address
    assert address(engine, "other", "bridge") == before
    engine.ok("start", "data")
    assert f"{address(engine, 'data', 'bridge')}\tdb" in "\n".join(lines(engine, "app"))
    engine.ok("rm", "--link", "/app/db")
    assert engine.ok("inspect", "-f", "{{json .HostConfig.Links}}", "app") == "null"
    assert engine.pydocker("rm", "--link", "/app/db").err.endswith("No such link: /app/db\n")


def test_a_linked_container_may_be_renamed(engine: Engine) -> None:
    run(engine, "data")
    run(engine, "app", "--link", "data:db")
    engine.ok("rename", "data", "store")
    engine.ok("rename", "app", "shop")
    assert engine.ok("inspect", "-f", "{{json .HostConfig.Links}}", "shop") == '["/store:/shop/db"]'
    engine.ok("restart", "-t", "0", "shop")
    (line,) = (line for line in lines(engine, "shop") if "\tdb " in line)
    assert line.startswith(address(engine, "store", "bridge")) and line.endswith(" store")
    run(engine, "data")  # another one of that name is not meant
    engine.ok("rm", "-f", "store")
    assert engine.pydocker("restart", "-t", "0", "shop").code == 1


def test_links_of_other_networks_are_names_for_one_alone(engine: Engine, network: Network) -> None:
    net = network("back")
    run(engine, "data", "--network", net)
    run(engine, "app", "--network", net, "--link", "data:db")
    run(engine, "other", "--network", net)
    at = address(engine, "data", net)
    assert at in engine.ok("exec", "app", "nslookup", "-type=a", "db")
    assert at not in engine.pydocker("exec", "other", "nslookup", "-type=a", "db.back").out
    assert engine.ok("inspect", "-f", "{{json .NetworkSettings.Networks.back.Links}}", "app") == '["data:db"]'


@pytest.mark.parametrize(("flags", "code", "words"), [
    (("--link", "nobody:a"), 1, "could not get container for nobody: No such container: nobody"),
    (("--link", "a:b:c"), 125, 'invalid argument "a:b:c" for "--link" flag: bad format for links: a:b:c'),
    (("--network", "host", "--link", "a"), 1, "conflicting options: host type networking can't be used with links."),
    (("--dns", "x"), 125, 'invalid argument "x" for "--dns" flag: IP address is not correctly formatted: x'),
    (("--add-host", "a:b"), 125, 'invalid argument "a:b" for "--add-host" flag: invalid IP address in add-host: "b"'),
])
def test_bad_input(engine: Engine, flags: tuple[str, ...], code: int, words: str) -> None:
    result = engine.pydocker("create", *flags, "busybox")
    assert result.code == code and words in result.err
