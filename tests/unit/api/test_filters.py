"""Filters of images, and the two ways in which clients write filters."""

import msgspec
import pytest

from pydocker.api import filters
from pydocker.errors import InvalidParameter
from pydocker.model.container import Config, Container, ContainerId, HostConfig, Record, State, Status
from pydocker.model.network import Endpoint, NetworkId, Published
from tests.unit.api.fakes import image

_OLD_CONFIG = msgspec.structs.replace(image().config, created="2020-01-01T00:00:00Z")
OLD = msgspec.structs.replace(image("alpine:3"), config=_OLD_CONFIG)
NEW = image("registry.example:5000/team/app:1")
BARE = image("")
RECORD = Record(
    id=ContainerId("ab" * 32), name="web", created=1.0, image=OLD.id, image_name="x", platform="linux/amd64",
    argv=("x",), config=Config(image="x"), host=HostConfig(binds=("/srv:/data:ro",), tmpfs={"/run": ""}), layers=())
IMAGES = {"alpine": OLD, "app": NEW}


def chosen(text: str) -> list[str]:
    tests = filters.image_tests(filters.parse(text), IMAGES.__getitem__)
    return [one.names[0] if one.names else "" for one in (OLD, NEW, BARE) if filters.passes(tests, one)]


def test_both_ways_of_writing() -> None:
    assert filters.parse("") == {}
    assert filters.parse('{"a": ["x", "y"], "b": []}') == {"a": ("x", "y")}
    assert filters.parse('{"a": {"x": true, "y": false}}') == {"a": ("x",)}


@pytest.mark.parametrize(("text", "names"), [
    ("", ["alpine:3", "registry.example:5000/team/app:1", ""]),
    ('{"dangling": ["true"]}', [""]),
    ('{"dangling": ["false"]}', ["alpine:3", "registry.example:5000/team/app:1"]),
    ('{"reference": ["alpine"]}', ["alpine:3"]),
    ('{"reference": ["al*:3"]}', ["alpine:3"]),
    ('{"reference": ["*/team/*"]}', ["registry.example:5000/team/app:1"]),
    ('{"label": ["a"]}', ["alpine:3", "registry.example:5000/team/app:1", ""]),
    ('{"label": ["a=c"]}', []),
    ('{"before": ["app"]}', ["alpine:3"]),
    ('{"before": ["app", "alpine"]}', []), ('{"since": ["alpine", "app"]}', []),
    ('{"reference": ["*/*/*"]}', ["registry.example:5000/team/app:1"]),
    ('{"reference": ["docker.io/*/*"]}', ["alpine:3"]), ('{"reference": ["docker.io/library/alpine"]}', ["alpine:3"]),
    ('{"since": ["alpine"]}', ["registry.example:5000/team/app:1", ""]),
])
def test_images(text: str, names: list[str]) -> None:
    assert chosen(text) == names


def test_only_the_names_that_were_asked_for() -> None:
    two = msgspec.structs.replace(image("web:1"), names=("web:1", "web:2"))
    assert filters.as_called(two, filters.parse('{"reference": ["web:2"]}')).names == ("web:2",)
    assert filters.as_called(two, filters.parse('{"reference": ["web"]}')).names == ("web:1", "web:2")
    assert filters.as_called(two, {}) == two


@pytest.mark.parametrize(("text", "passes"), [
    ('{"volume": ["/srv"]}', True), ('{"volume": {"/data": true}}', True), ('{"volume": ["/else", "/data"]}', True),
    ('{"volume": ["/else"]}', False), ('{"volume": ["/run"]}', False), ('{"volume": [""]}', False),
    ('{"status": ["restarting"]}', True), ('{"status": ["running"]}', False),
])
def test_containers(text: str, passes: bool) -> None:
    one = Container(RECORD, State(status=Status.RESTARTING))
    tests = filters.container_tests(filters.parse(text), lambda name: None, lambda ref: one)
    assert filters.passes(tests, one) is passes


@pytest.mark.parametrize(("text", "passes"), [
    ('{"publish": ["8080"]}', True), ('{"publish": ["8000-8100/tcp"]}', True), ('{"publish": ["8080/udp"]}', False),
    ('{"publish": ["80"]}', False), ('{"expose": ["80"]}', True), ('{"expose": ["53/udp"]}', True),
    ('{"expose": ["53"]}', False), ('{"expose": ["1-52", "54-79"]}', False),
])
def test_ports(text: str, passes: bool) -> None:
    record = msgspec.structs.replace(RECORD, config=Config(image="x", exposed_ports={"53/udp": {}}))
    endpoint = Endpoint(id="d" * 64, network=NetworkId("c" * 64), container=record.id,
                        published=(Published("tcp", "0.0.0.0", 8080, 80),))
    one = Container(record, State(status=Status.RUNNING), endpoints=(endpoint,))
    tests = filters.container_tests(filters.parse(text), lambda name: None, lambda ref: one)
    assert filters.passes(tests, one) is passes


@pytest.mark.parametrize("text", ['{"publish": ["x"]}', '{"expose": ["9-8"]}', '{"publish": ["99999"]}',
                                  '{"publish": ["80/icmp"]}'])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid filter"):
        filters.container_tests(filters.parse(text), lambda name: None, lambda ref: Container(RECORD, State()))


@pytest.mark.parametrize("text", ["x", "[]", '{"a": 1}', '{"a": [1]}', '{"colour": ["red"]}', '{"dangling": ["x"]}'])
def test_wrong_ones_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid filter"):
        chosen(text)
