"""Filters of images, and the two ways in which clients write filters."""

import msgspec
import pytest

from pydocker.api import filters
from pydocker.errors import InvalidParameter
from tests.unit.api.fakes import image

_OLD_CONFIG = msgspec.structs.replace(image().config, created="2020-01-01T00:00:00Z")
OLD = msgspec.structs.replace(image("alpine:3"), config=_OLD_CONFIG)
NEW = image("registry.example:5000/team/app:1")
BARE = image("")
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
    ('{"since": ["alpine"]}', ["registry.example:5000/team/app:1", ""]),
])
def test_images(text: str, names: list[str]) -> None:
    assert chosen(text) == names


def test_only_the_names_that_were_asked_for() -> None:
    two = msgspec.structs.replace(image("web:1"), names=("web:1", "web:2"))
    assert filters.as_called(two, filters.parse('{"reference": ["web:2"]}')).names == ("web:2",)
    assert filters.as_called(two, filters.parse('{"reference": ["web"]}')).names == ("web:1", "web:2")
    assert filters.as_called(two, {}) == two


@pytest.mark.parametrize("text", ["x", "[]", '{"a": 1}', '{"a": [1]}', '{"colour": ["red"]}', '{"dangling": ["x"]}'])
def test_wrong_ones_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid filter"):
        chosen(text)
