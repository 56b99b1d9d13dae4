"""What other clients may send of names: refused where it cannot be, or could become another line of a file."""

import pytest

from pydocker.containers import links, namesettings
from pydocker.errors import InvalidParameter
from pydocker.model.container import HostConfig


@pytest.mark.parametrize(("host", "words"), [
    (HostConfig(dns=("10.0.0.1", "x")), "IP address is not correctly formatted: x"),
    (HostConfig(dns=("10.0.0.1\nnameserver 6.6.6.6",)), "IP address is not correctly formatted"),
    (HostConfig(dns=("fe80::1%\n",)), "IP address is not correctly formatted"),
    (HostConfig(dns_search=("a\nnameserver 6.6.6.6",)), "invalid dns-search"),
    (HostConfig(dns_search=("",)), "invalid dns-search"),
    (HostConfig(dns_options=("rotate\n",)), "invalid dns-option"),
    (HostConfig(extra_hosts=("a",)), 'bad format for add-host: "a"'),
    (HostConfig(extra_hosts=("a\n6.6.6.6 b:10.0.0.1",)), "bad format for add-host"),
    (HostConfig(extra_hosts=("a:1.2.3",)), 'invalid IP address in add-host: "1.2.3"'),
    (HostConfig(extra_hosts=("a:1.2.3.4\n",)), "invalid IP address in add-host"),
    (HostConfig(links=("",)), "empty string specified for links"),
    (HostConfig(links=("a:b:c",)), "bad format for links: a:b:c"),
])
def test_what_cannot_be(host: HostConfig, words: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        namesettings.check(host)
    assert str(caught.value).startswith(words)


def test_what_can_be() -> None:
    namesettings.check(HostConfig(
        dns=("10.0.0.1", "fe80::1%eth0"), dns_search=(".", "lan"), dns_options=("ndots:2",), links=("a", "/a:/me/b"),
        extra_hosts=("a:10.0.0.1", "b:fd00::1", "c:host-gateway", "with_underscore:10.0.0.1")))


def test_how_links_are_written() -> None:
    assert links.parse("web") == ("web", "web") and links.parse("web:db") == ("web", "db")
    assert links.parse("/web:/me/db") == ("web", "db")
