"""The default network, by the keys of the configuration file."""

import pytest

from pydocker.config import Config
from pydocker.model.network import Network, Pool
from pydocker.network import asked as requests
from pydocker.network import default, ipam
from pydocker.network.store import new_id


def made(config: Config) -> Network:
    return requests.decide(default.asked(config), new_id(), 1.0, (), (), ipam.Sources(seed="s"))


@pytest.mark.parametrize(("config", "pools"), [
    (Config(), (Pool("172.17.0.0/16", "172.17.0.1"),)),
    (Config(bip="10.1.0.1/16", fixed_cidr="10.1.4.0/24"), (Pool("10.1.0.0/16", "10.1.0.1", "10.1.4.0/24"),)),
    (Config(fixed_cidr="10.1.4.0/24"), (Pool("10.1.4.0/24", "10.1.4.1"),)),
    (Config(bip="10.1.0.1/16", default_gateway="10.1.0.9"),
     (Pool("10.1.0.0/16", "10.1.0.1", auxiliary={"DefaultGatewayIPv4": "10.1.0.9"}),)),
    (Config(bip="10.1.0.1/16", default_gateway="10.1.0.1"), (Pool("10.1.0.0/16", "10.1.0.1"),)),
    (Config(fixed_cidr="10.1.4.0/24", ipv6=True, bip6="fd01::5/64", fixed_cidr_v6="fd01::100/120",
            default_gateway_v6="fd01::9"),
     (Pool("10.1.4.0/24", "10.1.4.1"),
      Pool("fd01::/64", "fd01::5", "fd01::100/120", {"DefaultGatewayIPv6": "fd01::9"}))),
])
def test_what_the_configuration_makes_of_it(config: Config, pools: tuple[Pool, ...]) -> None:
    assert made(config).pools == pools
    assert default.follows(made(config), default.asked(config))


def test_one_that_was_made_by_another_configuration() -> None:
    before = made(Config(bip="10.1.0.1/16"))
    assert default.follows(before, default.asked(Config()))  # which leaves the subnet open
    for config in (Config(bip="10.1.0.2/16"), Config(bip="10.2.0.1/16"), Config(icc=False), Config(ip_masq=False),
                   Config(ipv6=True), Config(mtu=1400), Config(bip="10.1.0.1/16", fixed_cidr="10.1.4.0/24")):
        assert not default.follows(before, default.asked(config))
    assert not default.follows(made(Config(bip="10.1.0.1/16", fixed_cidr="10.1.4.0/24")), default.asked(Config()))
