"""`/networks…`: statuses, shapes and filters."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from pydocker.model.network import Endpoint, EndpointConfig, IPAMConfig
from tests.unit.api.fakes import Engine

Ask = Callable[..., Any]


@pytest.fixture
def ask(handle: Callable[..., Any]) -> Ask:
    def run(method: str, target: str, body: object = None) -> Any:
        answer = handle(method, target, body)
        return answer.status, json.loads(answer.content) if answer.content else b""

    return run


def names(found: tuple[int, list[dict[str, Any]]]) -> list[str]:
    assert found[0] == 200
    return [one["Name"] for one in found[1]]


def listed(ask: Ask, **filters: list[str]) -> list[str]:
    return names(ask("GET", f"/networks?filters={quote(json.dumps(filters))}"))


def test_three_are_always_there(ask: Ask) -> None:
    found = ask("GET", "/networks")[1]
    assert [(one["Name"], one["Driver"], one["Scope"]) for one in found] == [
        ("bridge", "bridge", "local"), ("host", "host", "local"), ("none", "null", "local")]
    assert found[0]["IPAM"] == {"Driver": "default", "Options": None,
                                "Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]}


def test_create_inspect_remove(ask: Ask) -> None:
    body = {"Name": "net", "CheckDuplicate": True, "Driver": "bridge", "EnableIPv6": None, "Labels": {"a": "b"},
            "IPAM": {"Driver": "default", "Options": {}, "Config": [
                {"Subnet": "10.1.0.0/24", "IPRange": "10.1.0.128/25", "Gateway": "10.1.0.1",
                 "AuxiliaryAddresses": {"printer": "10.1.0.9"}}]}}
    status, made = ask("POST", "/networks/create", body)
    assert status == 201 and made["Warning"] == ""
    status, shown = ask("GET", f"/networks/{made['Id'][:64]}")
    assert (status, shown["Name"], shown["Labels"], shown["IPAM"]["Config"]) == (
        200, "net", {"a": "b"}, body["IPAM"]["Config"])  # type: ignore[index]
    assert ask("POST", "/networks/create", {"Name": "net"})[0] == 409
    assert ask("DELETE", "/networks/net") == (204, b"")
    assert ask("GET", "/networks/net") == (404, {"message": "network net not found"})


@pytest.mark.parametrize(("body", "status", "words"), [
    ({"Name": "host"}, 403, "operation is not permitted on predefined host network"),
    ({"Name": "x", "Driver": "nix"}, 404, 'plugin "nix" not found'),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "nonsense"}]}}, 400, "invalid subnet nonsense"),
    ({"Name": "x", "IPAM": {"Config": [{"Subnet": "172.17.9.0/24"}]}}, 403, "Pool overlaps with other one"),
    ({"Name": "x", "Options": {"nix": "1"}}, 400, 'unknown option "nix"'),
    ({"Name": "x", "Ingress": True}, 403, "Ingress network can only be global scope network"),
    ({"Name": "x", "Options": 3}, 400, r"$.Options"),
    ({}, 400, "invalid name: name is empty"),
])
def test_what_cannot_be_created(ask: Ask, body: dict[str, Any], status: int, words: str) -> None:
    answer = ask("POST", "/networks/create", body)
    assert answer[0] == status and words in answer[1]["message"]
    assert listed(ask, type=["custom"]) == []


def test_predefined_ones_stay(ask: Ask) -> None:
    message = "bridge is a pre-defined network and cannot be removed"
    assert ask("DELETE", "/networks/bridge") == (403, {"message": message})


def test_members_are_in_an_inspected_network_only(ask: Ask, engine: Engine) -> None:
    network = engine.networks.find("bridge")
    engine.networks.endpoints[network.id] = (Endpoint(
        id="e" * 64, network=network.id, container="c" * 64, name="web", mac="02:42:ac:11:00:02",
        ipv4="172.17.0.2/16"),)
    member = ask("GET", "/networks/bridge")[1]["Containers"]["c" * 64]
    assert member | {"Name": "web", "EndpointID": "e" * 64, "MacAddress": "02:42:ac:11:00:02",
                     "IPv4Address": "172.17.0.2/16", "IPv6Address": ""} == member
    assert ask("GET", "/networks")[1][0]["Containers"] == {}


def test_connect_and_disconnect(ask: Ask, engine: Engine) -> None:
    settings = {"IPAMConfig": {"IPv4Address": "10.1.0.9"}, "Aliases": ["www"], "Links": None, "NetworkID": "told"}
    assert ask("POST", "/networks/bridge/connect", {"Container": "web", "EndpointConfig": settings})[0] == 200
    assert ask("POST", "/networks/bridge/connect", {"Container": "web"})[0] == 200
    assert ask("POST", "/networks/bridge/disconnect", {"Container": "web", "Force": True})[0] == 200
    assert engine.connections.asked == [
        ("bridge", "web", EndpointConfig(ipam_config=IPAMConfig("10.1.0.9"), aliases=("www",))),
        ("bridge", "web", EndpointConfig()), ("bridge", "web", True)]
    assert ask("POST", "/networks/bridge/connect", {"EndpointConfig": {}})[0] == 400
    assert ask("POST", "/networks/nix/connect", {"Container": "web"})[0] == 404


def test_filters(ask: Ask, engine: Engine) -> None:
    for name, body in (("front", {"Labels": {"tier": "1"}}), ("back", {"Internal": True})):
        assert ask("POST", "/networks/create", {"Name": name, **body})[0] == 201
    front = engine.networks.find("front")
    engine.networks.endpoints[front.id] = (Endpoint(id="e", network=front.id, container="c"),)
    assert sorted(listed(ask, type=["custom"])) == ["back", "front"]
    assert listed(ask, label=["tier=1"]) == listed(ask, id=[front.id[:64]]) == ["front"]
    assert sorted(listed(ask, name=["ack", "ront"])) == ["back", "front"]
    assert listed(ask, dangling=["true"]) == ["back"] and listed(ask, dangling=["false"]) == ["front"]
    assert listed(ask, driver=["null"]) == ["none"] and listed(ask, scope=["swarm"]) == []
    assert ask("GET", f"/networks?filters={quote(json.dumps({'colour': ['red']}))}")[0] == 400
    assert ask("GET", f"/networks?filters={quote(json.dumps({'type': ['odd']}))}")[0] == 400


def test_prune_takes_what_nobody_is_in(ask: Ask, engine: Engine) -> None:
    for name in ("one", "two"):
        ask("POST", "/networks/create", {"Name": name})
    used = engine.networks.find("one")
    engine.networks.endpoints[used.id] = (Endpoint(id="e", network=used.id, container="c"),)
    assert ask("POST", "/networks/prune") == (200, {"NetworksDeleted": ["two"]})
    assert ask("POST", "/networks/prune") == (200, {"NetworksDeleted": None})
