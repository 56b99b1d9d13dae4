"""The configuration file: defaults, Docker's keys, and faults that are named."""

from pathlib import Path

import pytest

from pydocker import config
from pydocker.errors import InvalidParameter


def test_without_a_file_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "DEFAULT_FILE", "/nonexistent/daemon.json")
    assert config.load({}) == config.Config()


def test_dockers_keys_are_read(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"data-root": "/a", "exec-root": "/b", "insecure-registries": ["r:5000"], "idle-timeout": 0}')
    found = config.load({"PYDOCKER_CONFIG": str(file)})
    assert (found.paths.data, found.paths.run) == (Path("/a"), Path("/b"))
    assert found.insecure_registries == ("r:5000",) and found.idle_timeout == 0


@pytest.mark.parametrize(("content", "words"), [
    ('{"insecure-registry": []}', "unknown field `insecure-registry`"),
    ('{"hosts": "unix:///x"}', r"\$\.hosts"),
    ("{", "truncated"),
    ('{"bip": "fd00::1/64"}', "bip 'fd00::1/64' is no IPv4 address with a prefix length"),
    ('{"bip": "10.1.0.1/24", "fixed-cidr": "10.2.0.0/25"}', "fixed-cidr 10.2.0.0/25 is no part of the subnet of bip"),
    ('{"fixed-cidr": "10.1.0.7/24"}', "has host bits set"),
    ('{"default-gateway": "10.1.0.1"}', "default-gateway 10.1.0.1 is in no subnet that bip or fixed-cidr names"),
    ('{"bip6": "fd00::1/64"}', 'bip6 needs "ipv6": true'),
    ('{"ipv6": true, "fixed-cidr-v6": "10.1.0.0/24"}', "is no IPv6 subnet"),
])
def test_a_fault_names_the_file_and_the_place(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "daemon.json"
    file.write_text(content)
    with pytest.raises(InvalidParameter, match=f"configuration file .*daemon.json: .*{words}"):
        config.load({"PYDOCKER_CONFIG": str(file)})


def test_a_named_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="no such file or directory"):
        config.load({"PYDOCKER_CONFIG": str(tmp_path / "no")})
