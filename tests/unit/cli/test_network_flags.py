"""`--network` in both of its forms, and the flags that speak of the first network."""

from typing import Any

import pytest

from pydocker.cli.errors import CommandError
from pydocker.cli.network_flags import OWN_ADDRESS, attachment, fields

NOTHING: dict[str, Any] = {"network": (), "ip": None, "ip6": None, "link_local_ip": (), "mac_address": None,
                           "network_alias": (), "link": ()}


def built(*networks: str, **given: Any) -> dict[str, object]:
    return dict(fields({**NOTHING, "network": tuple(map(attachment, networks)), **given}))


def test_in_short_and_at_length() -> None:
    assert attachment("front") == ("front", {})
    assert attachment("container:web") == ("container:web", {})
    long = "name=front,alias=a, alias=b,ip=10.1.0.9,ip6=fd00::0:9,gw-priority=-2,driver-opt=k=v"
    assert attachment(long) == ("front", {
        "Aliases": ["a", "b"], "IPAMConfig": {"IPv4Address": "10.1.0.9", "IPv6Address": "fd00::9"}, "GwPriority": -2,
        "DriverOpts": {"k": "v"}})


@pytest.mark.parametrize(("text", "words"), [
    ("alias=a", "network name/id is not specified"), ("name=x,colour=red", "invalid field key colour"),
    ("name=x,ip=10.1.0.999", "invalid IP address: 10.1.0.999"), ("name=x,driver-opt=k", "invalid key value pair"),
    ("name=x,gw-priority=high", "invalid gw-priority"), ("name=x,alias", "invalid field alias"),
])
def test_what_cannot_be_read(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        attachment(text)


def test_an_empty_address_is_none() -> None:
    """`--ip "$ADDRESS"` of a script: as if the flag were not there."""
    assert [OWN_ADDRESS(text) for text in ("", "10.1.0.9", "fd00::0:9")] == ["", "10.1.0.9", "fd00::9"]
    assert built("front", ip="", ip6="") == built("front")


def test_only_what_was_asked_for_is_sent() -> None:
    assert built() == {}
    assert built("none") == {"HostConfig.NetworkMode": "none"}
    assert built(mac_address="02:00:00:00:00:01") == {
        "NetworkingConfig.EndpointsConfig": {"default": {"MacAddress": "02:00:00:00:00:01"}}}
    assert built("front", "name=back,alias=db", ip="10.1.0.9", network_alias=("www",)) == {
        "HostConfig.NetworkMode": "front", "NetworkingConfig.EndpointsConfig": {
            "front": {"IPAMConfig": {"IPv4Address": "10.1.0.9"}, "Aliases": ["www"]}, "back": {"Aliases": ["db"]}}}


@pytest.mark.parametrize(("networks", "given", "words"), [
    (("name=x,ip=10.1.0.9",), {"ip": "10.1.0.8"}, "cannot specify both --ip and per-network IPv4 address"),
    (("name=x,alias=a",), {"network_alias": ("b",)}, "both --network-alias and per-network alias"),
    (("x", "host"), {}, "cannot attach both user-defined and non-user-defined network-modes"),
    (("x", "x"), {}, 'network "x" is specified multiple times'),
])
def test_what_goes_not_together(networks: tuple[str, ...], given: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=words) as caught:
        built(*networks, **given)
    assert caught.value.exit_code == 125
