"""Who may be spoken to in plain HTTP, and who has to show a certificate that is believed."""

import pytest

from pydocker.errors import Unavailable
from pydocker.registry import hosts
from pydocker.registry.hosts import INSECURE, LOOPBACK, PUBLIC, Access
from pydocker.registry.message import Request, Unreachable
from tests.unit.registry.conftest import Open

NAMES = {"registry.lan": ["10.1.2.3"], "sneaky.test": ["127.0.0.1"], "six.lan": ["fd00::5"]}


@pytest.mark.parametrize(("authority", "insecure", "expected"), [
    ("registry-1.docker.io", (), PUBLIC),
    ("localhost", (), LOOPBACK),
    ("localhost:5000", (), LOOPBACK),
    ("127.0.0.1:5000", (), LOOPBACK),
    ("127.255.255.254", (), LOOPBACK),
    ("[::1]:5000", (), LOOPBACK),
    ("localhost.evil.test", (), PUBLIC),
    ("127.0.0.1.evil.test", (), PUBLIC),
    ("sneaky.test", (), PUBLIC),
    ("0.0.0.0", (), PUBLIC),
    ("128.0.0.1", (), PUBLIC),
    ("registry.lan:5000", ("registry.lan:5000",), INSECURE),
    ("Registry.LAN:5000", ("registry.lan:5000",), INSECURE),
    ("registry.lan:5000", ("registry.lan",), PUBLIC),
    ("registry.lan", ("registry.lan:5000",), PUBLIC),
    ("registry.lan:5000", ("10.0.0.0/8",), INSECURE),
    ("registry.lan:5000", ("10.0.0.0/16",), PUBLIC),
    ("10.9.9.9:5000", ("10.0.0.0/8",), INSECURE),
    ("six.lan", ("fd00::/8",), INSECURE),
    ("[fd00::9]:5000", ("fd00::/8",), INSECURE),
    ("unknown.lan", ("10.0.0.0/8", "not/a/network"), PUBLIC),
    ("localhost:5000", ("localhost:5000",), INSECURE),
])
def test_access(authority: str, insecure: tuple[str, ...], expected: Access) -> None:
    assert hosts.access(authority, insecure, lambda host: NAMES.get(host, [])) == expected


def test_no_name_server_is_asked_without_need() -> None:
    def never(host: str) -> list[str]:
        raise AssertionError(host)

    assert hosts.access("registry.lan", ("other.lan",), never) == PUBLIC


def test_docker_hub_has_another_address() -> None:
    assert hosts.registry("docker.io") == "registry-1.docker.io"
    assert hosts.registry("ghcr.io") == "ghcr.io"


@pytest.mark.parametrize(("one", "other", "same"), [
    ("https://a/x", "https://a:443/y", True), ("https://A/", "https://a/", True), ("http://a/", "https://a/", False),
    ("https://a/", "https://a:444/", False), ("https://a/", "https://a.b/", False),
    ("http://[::1]/", "http://[::1]:80/", True),
])
def test_origins(one: str, other: str, same: bool) -> None:
    assert (hosts.origin(one) == hosts.origin(other)) is same


@pytest.mark.parametrize("url", [
    "", "x", "ftp://a/", "file:///x", "http://", "http://a:b@c/", "http://a@b/", "http://a:99999/", "http://a:0/",
    "http://a:-1/", "http://[::1/", "http://[::::]/", "http://../x", "http://a b/", "http://a\\b/", "http://ä/", "//a/",
])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(Unreachable, match="unsupported address"):
        Request(url)


@pytest.mark.parametrize("name", ["host.test:99999/a/b", "[::::]/a/b", "host.test:0/a"])
def test_references_that_lead_nowhere(repository: Open, name: str) -> None:
    with pytest.raises(Unavailable, match="unsupported address"):
        repository(name).manifest("1")
