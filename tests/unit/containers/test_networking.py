"""What a container may ask for in a network."""

import pytest

from pydocker.containers import networking, validate
from pydocker.errors import InvalidParameter
from pydocker.model.container import Config, HostConfig
from pydocker.model.network import EndpointConfig, IPAMConfig, Network, NetworkId, Pool

SIX = Network(id=NetworkId("0" * 64), name="six", created=1.0, ipv6=True, pools=(Pool("fd00::/64", "fd00::1"),))


@pytest.mark.parametrize("asked", [IPAMConfig(ipv6_address="fd00::5%eth0"), IPAMConfig(link_local_ips=("fe80::5%x",))])
def test_an_address_with_a_zone_is_none(asked: IPAMConfig) -> None:
    """fd00::5 and fd00::5%eth0 would be two containers'."""
    networking.check(SIX, EndpointConfig(ipam_config=IPAMConfig(ipv6_address="fd00::5")))
    with pytest.raises(InvalidParameter, match=r"invalid (IPv6|link-local IP) address: f"):
        networking.check(SIX, EndpointConfig(ipam_config=asked))


def test_a_domain_name_is_no_line_of_hosts() -> None:
    validate.check(Config(domainname="example.org"), HostConfig())
    with pytest.raises(InvalidParameter, match="invalid domain name format"):
        validate.check(Config(domainname="x\n192.0.2.1 bank.example"), HostConfig())


@pytest.mark.parametrize(("config", "host", "words"), [
    (Config(hostname="x"), {}, "hostname"), (Config(), {"dns": ("192.0.2.1",)}, "dns"),
    (Config(), {"extra_hosts": ("db:192.0.2.1",)}, "custom host-to-IP mapping")])
def test_what_belongs_to_the_other_container_cannot_be_asked_for(config: Config, host: dict[str, tuple[str, ...]],
                                                                 words: str) -> None:
    """Its files are used; what is asked for would just not be there."""
    with pytest.raises(InvalidParameter, match=f"conflicting options: {words} and the network mode"):
        networking.check_mode(config, HostConfig(network_mode="container:web", **host))
