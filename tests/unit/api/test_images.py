"""Routes about images and disk, without a transport: shapes, filters, and what is refused."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from pydocker.api import filters
from pydocker.errors import InvalidParameter
from pydocker.model.container import Config, HostConfig
from pydocker.model.image import History, Image
from pydocker.model.platform import Platform
from pydocker.wire import images as wire
from tests.unit.api.fakes import Engine, image


def filtered(path: str, **chosen: list[str]) -> str:
    return f"{path}?filters={quote(json.dumps({name.replace('_not', '!'): values for name, values in chosen.items()}))}"


@pytest.fixture
def ask(handle: Callable[..., Any]) -> Callable[..., Any]:
    def run(method: str, target: str) -> Any:
        answer = handle(method, target)
        return answer.status, json.loads(answer.content)

    return run


def test_history_names_the_newest_only() -> None:
    config = msgspec.structs.replace(image().config, history=(
        History(created="2023-11-14T22:13:20Z", created_by="ADD x", comment="first"),
        History(created_by="ENV a=b", empty_layer=True), History(created_by="RUN y")))
    told = wire.history(msgspec.structs.replace(image(), config=config), [100, 7])
    assert [(entry["CreatedBy"], entry["Size"]) for entry in told] == [("RUN y", 7), ("ENV a=b", 0), ("ADD x", 100)]
    assert [entry["Id"] for entry in told] == [image().id, "<missing>", "<missing>"]
    assert [entry["Tags"] for entry in told] == [("busybox:latest",), None, None]
    assert told[-1]["Created"] == 1700000000


def test_more_history_than_layers_and_none_at_all() -> None:
    config = msgspec.structs.replace(image().config, history=(History(created_by="a"), History(created_by="b")))
    assert [entry["Size"] for entry in wire.history(msgspec.structs.replace(image(), config=config), [5])] == [0, 5]
    assert [entry["Size"] for entry in wire.history(image(), [5, 6])] == [6, 5]


def test_what_an_image_says_of_itself_is_shown_and_what_it_demands_is_not(ask: Callable[..., Any]) -> None:
    """CVE-2014-6408: an image that sets security options sets nothing."""
    status, shown = ask("GET", "/images/busybox/json")
    assert status == 200
    assert shown["Config"]["Healthcheck"] == {"Test": ["CMD", "true"]}
    assert "HostConfig" not in shown["Config"] and "HostConfig" not in shown
    assert "VirtualSize" not in shown and "VirtualSize" in ask("GET", "/v1.43/images/busybox/json")[1]


def test_sizes_and_manifests_on_request(ask: Callable[..., Any]) -> None:
    assert ask("GET", "/images/json")[1][0]["SharedSize"] == -1
    assert ask("GET", "/images/json?shared-size=1")[1][0]["SharedSize"] == 0
    (one,) = ask("GET", "/images/json?manifests=1")[1]
    assert (one["Size"], one["Manifests"][0]["Size"]) == (5_000_000, {"Content": 1_000_000, "Total": 5_000_000})
    assert one["Manifests"][0]["ImageData"]["Platform"] == {"os": "linux", "architecture": "amd64"}


def test_df_measures_what_it_is_asked_for(ask: Callable[..., Any], engine: Engine) -> None:
    engine.containers.create("a", msgspec.convert({"Image": "busybox"}, Config), HostConfig(), None)
    whole = ask("GET", "/system/df")[1]
    assert (whole["LayersSize"], whole["Images"][0]["Size"], whole["Images"][0]["Containers"]) == (5000000, 5000000, 0)
    assert [(one["SizeRw"], one["SizeRootFs"]) for one in whole["Containers"]] == [(9, 4_000_009)]
    assert (whole["Volumes"], whole["BuildCache"]) == ([], [])
    part = ask("GET", "/system/df?type=container")[1]
    assert (part["Images"], len(part["Containers"])) == ([], 1)
    assert ask("GET", "/system/df?type=nonsense") == (400, {"message": "unknown object type: nonsense"})


def test_prune(ask: Callable[..., Any]) -> None:
    assert ask("POST", "/images/prune") == (200, {"ImagesDeleted": None, "SpaceReclaimed": 0})
    status, said = ask("POST", filtered("/images/prune", dangling=["false"]))
    assert (status, said["SpaceReclaimed"], said["ImagesDeleted"]) == (200, 4000000, [{"Deleted": image().id}])
    assert ask("POST", "/networks/prune") == (200, {"NetworksDeleted": None})
    assert ask("POST", "/volumes/prune") == (200, {"VolumesDeleted": None, "SpaceReclaimed": 0})
    assert ask("POST", "/build/prune?all=1") == (200, {"CachesDeleted": None, "SpaceReclaimed": 0})


def test_prune_of_containers(ask: Callable[..., Any], engine: Engine) -> None:
    for name, argv in (("runs", ["sleep"]), ("ended", ["echo"]), ("fresh", ["echo"])):
        config = msgspec.convert({"Image": "busybox", "Cmd": argv, "Labels": {"name": name}}, Config)
        engine.containers.create(name, config, HostConfig(), None)
    for name in ("runs", "ended"):
        engine.containers.start(name)
    assert ask("POST", filtered("/containers/prune", label_not=["name=ended", "name=fresh"]))[1]["SpaceReclaimed"] == 18
    assert [one.record.name for one in engine.containers.list(all=True)] == ["runs"]


def passing(tests: list[filters.Test[Image]], *images: Image) -> list[str]:
    return [one.id for one in images if filters.passes(tests, one)]


def test_prune_filters() -> None:
    tagged, bare = image("a:1"), image("")
    by_digest = msgspec.structs.replace(bare, digests=("a@sha256:" + "0" * 64,))
    def chosen(**values: list[str]) -> list[str]:
        parsed = {name.replace("_not", "!"): tuple(given) for name, given in values.items()}
        return passing(filters.image_prune_tests(parsed), tagged, by_digest)

    assert chosen() == [bare.id]
    assert chosen(dangling=["false"]) == [tagged.id, bare.id]
    assert chosen(until=["2023-11-14T22:13:21Z"]) == [bare.id]
    assert chosen(until=["2023-11-14T22:13:19Z"]) == []
    assert chosen(until=["10m"], dangling=["0"], label=["a=b"], label_not=["x"]) == [tagged.id, bare.id]
    assert chosen(label_not=["a"]) == []
    for wrong in ({"until": ["x"]}, {"until": ["1m", "2m"]}, {"dangling": ["x"]}, {"colour": ["red"]}):
        with pytest.raises(InvalidParameter):
            chosen(**wrong)


@pytest.mark.parametrize(("text", "found"), [
    ("linux/arm64", Platform("linux", "arm64")), ('{"os":"linux","architecture":"arm64","variant":"v8"}', 1),
    ("a/b/c/d", None), ('{"os":1}', None), ("{", None),
])
def test_platforms_in_both_spellings(text: str, found: object, ask: Callable[..., Any], engine: Engine,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[Platform | None] = []
    monkeypatch.setattr(engine.images, "resolve", lambda name, platform=None: wanted.append(platform) or image())
    status, _ = ask("GET", f"/images/busybox/json?platform={quote(text)}")
    assert (status, wanted) == ((200, [Platform("linux", "arm64")]) if found else (400, []))


@pytest.mark.parametrize(("pattern", "name", "fits"), [
    ("*", "alpine:3", True), ("*", "team/app:1", False), ("*/*", "team/app:1", True), ("[a-c]*", "alpine:3", True),
    ("[^a]*", "alpine:3", False), (r"al\*", "alpine:3", False), ("al??ne", "alpine:3", True),
    ("a.p", "alpine:3", False),
])
def test_patterns_stop_at_slashes(pattern: str, name: str, fits: bool) -> None:
    assert bool(passing(filters.image_tests({"reference": (pattern,)}, lambda _: image()), image(name))) == fits


def test_a_broken_pattern_is_refused(ask: Callable[..., Any]) -> None:
    assert ask("GET", filtered("/images/json", reference=["[a"]))[0] == 400
