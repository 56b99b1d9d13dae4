"""A host's resolv.conf, and what containers get of it."""

from pathlib import Path

from pydocker.network import resolvconf
from pydocker.network.resolvconf import ResolvConf, Upstream

HOST = """\
# the host's
; and more
domain first.example
search second.example third.example
nameserver 127.0.0.1
nameserver 192.0.2.1
nameserver 2001:db8::1
nameserver nonsense
nameserver
options edns0 ndots:2
options timeout:1
sortlist 130.155.160.0
"""


def lines(it: ResolvConf) -> list[str]:
    return [line for line in resolvconf.text(it).splitlines() if line and not line.startswith("#")]


def test_every_directive_is_understood_or_kept() -> None:
    found = resolvconf.parse(HOST)
    assert found.servers == ("127.0.0.1", "192.0.2.1", "2001:db8::1")
    assert found.search == ("second.example", "third.example")
    assert found.options == ("edns0", "ndots:2", "timeout:1")
    assert found.other == ("sortlist 130.155.160.0",)
    assert found.invalid == ("nonsense",)
    assert resolvconf.parse(resolvconf.text(found)).servers == found.servers


def test_the_default_bridge_gets_servers_that_it_can_reach() -> None:
    host = resolvconf.parse(HOST)
    assert resolvconf.for_default_bridge(host, ipv6=False).servers == ("192.0.2.1",)
    assert resolvconf.for_default_bridge(host, ipv6=True).servers == ("192.0.2.1", "2001:db8::1")


def test_without_any_server_left_there_is_dockers_fallback() -> None:
    alone = resolvconf.parse("nameserver 127.0.0.1\nnameserver ::1\n")
    found = resolvconf.for_default_bridge(alone, ipv6=False)
    assert found.servers == ("8.8.8.8", "8.8.4.4") and "# Used default nameservers." in resolvconf.text(found)
    assert len(resolvconf.for_default_bridge(alone, ipv6=True).servers) == 4
    asked = resolvconf.overridden(alone, ["127.0.0.1"], [], [])
    assert resolvconf.for_default_bridge(asked, ipv6=False).servers == ("127.0.0.1",)  # the user knows


def test_user_networks_ask_the_monitor_and_the_monitor_the_others() -> None:
    found = resolvconf.for_internal_resolver(resolvconf.parse(HOST))
    assert found.upstreams == (Upstream("127.0.0.1"), Upstream("192.0.2.1"), Upstream("2001:db8::1"))
    assert lines(found) == ["nameserver 127.0.0.11", "search second.example third.example",
                            "options edns0 ndots:2 timeout:1", "sortlist 130.155.160.0"]
    assert "# ExtServers: [host(127.0.0.1) host(192.0.2.1) host(2001:db8::1)]" in resolvconf.text(found)


def test_names_are_asked_for_as_they_are_unless_somebody_says_otherwise() -> None:
    assert resolvconf.for_internal_resolver(ResolvConf()).options == ("ndots:0",)
    wrong = ResolvConf(options=("ndots:-1", "ndots:x"))
    assert resolvconf.for_internal_resolver(wrong).options == ("ndots:0",)
    assert resolvconf.for_internal_resolver(ResolvConf(options=("ndots:5",))).options == ("ndots:5",)


def test_what_the_user_asks_for_replaces_the_hosts_line() -> None:
    asked = resolvconf.overridden(resolvconf.parse(HOST), ["192.0.2.53", "127.0.0.11"], ["."], ["rotate"])
    found = resolvconf.for_internal_resolver(asked)
    assert found.upstreams == (Upstream("192.0.2.53", host=False),)  # not the resolver itself
    assert lines(found) == ["nameserver 127.0.0.11", "options rotate ndots:0", "sortlist 130.155.160.0"]
    assert "# Overrides: [nameservers search options]" in resolvconf.text(found)


def test_the_servers_behind_systemd_resolved_are_found(tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\noptions edns0\n")
    assert resolvconf.load(str(stub), str(real)).servers == ("127.0.0.53",)
    real.write_text("nameserver 192.0.2.7\n")
    assert resolvconf.load(str(stub), str(real)).servers == ("192.0.2.7",)
    stub.write_text("nameserver 192.0.2.1\n")
    assert resolvconf.load(str(stub), str(real)).servers == ("192.0.2.1",)
    assert resolvconf.load(str(tmp_path / "none")) == ResolvConf(source=str(tmp_path / "none"))
