"""What is asked of mounts, as points: names, modes, what overrides what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import InvalidParameter, PydockerError
from pydocker.model.container import AskedMount, Config, HostConfig, VolumeOptions
from pydocker.model.mount import from_others, inherited, points
from pydocker.model.point import Point, told


def named(**host: object) -> dict[str, Point]:
    found = points(Config(), HostConfig(**host), invent=lambda: "invented")  # type: ignore[arg-type]
    return {point.destination: point for point in found}


def test_what_names_a_volume_and_what_a_directory() -> None:
    found = named(binds=("kept:/a", "/srv:/b:ro", "kept:/c:ro,nocopy", "/d", "/srv/../etc:/e:rslave,z"))
    assert [(it.kind, it.name, it.source, it.readonly, it.mode, it.copy, it.anonymous) for it in found.values()] == [
        ("volume", "kept", "", False, "z", True, False), ("bind", "", "/srv", True, "ro", True, False),
        ("volume", "kept", "", True, "ro,nocopy", False, False), ("volume", "invented", "", False, "", True, True),
        ("bind", "", "/etc", False, "rslave,z", True, False)]
    assert found["/e"].propagation == "rslave"


def test_what_overrides_what() -> None:
    theirs = (Point(kind="volume", name="theirs", destination="/a"), Point(kind="bind", source="/x", destination="/b"))
    found = {point.destination: point.name for point in points(
        Config(volumes={"/a": {}, "/b": {}, "/c/../d": {}, "/e": {}}), HostConfig(binds=("mine:/b",), tmpfs={"/e": ""}),
        theirs, lambda: "invented")}
    assert found == {"/a": "theirs", "/b": "mine", "/e": "", "/d": "invented"}


def test_what_a_container_hands_on() -> None:
    assert from_others("web:ro") == ("web", "ro")
    assert from_others("web") == ("web", "")
    given = (Point(kind="volume", name="v", destination="/v", mode="z", anonymous=True),
             Point(kind="bind", source="/b", destination="/b", readonly=True), Point(kind="tmpfs", destination="/t"))
    assert [(it.destination, it.readonly, it.mode, it.copy, it.anonymous) for it in inherited(given, "")] == [
        ("/v", False, "", False, True), ("/b", True, "", False, False)]
    assert all(it.readonly for it in inherited(given, "ro"))


@pytest.mark.parametrize("text", ["", ":ro", "x:rslave", "x:nocopy", "x:ro,rw", "x:what", "x:idmap"])
def test_no_such_donor(text: str) -> None:
    with pytest.raises(InvalidParameter):
        from_others(text)


def test_long_form() -> None:
    asked = AskedMount("volume", "kept", "/a", volume_options=VolumeOptions(no_copy=True, subpath="./x/../y/"))
    point = named(mounts=(asked,))["/a"]
    assert (point.copy, point.subpath, point.mode) == (False, "y", "z")
    assert told((point,)) == [{"Type": "volume", "Name": "kept", "Source": "", "Destination": "/a", "Driver": "local",
                               "Mode": "z", "RW": True, "Propagation": ""}]


@given(st.text(alphabet="abA.-_:/,~ \0ro", max_size=24))
def test_any_text_is_a_mount_or_a_complaint(text: str) -> None:
    try:
        (found,) = named(binds=(text,)).values()
    except PydockerError:
        return
    assert found.destination.startswith("/") and found.destination != "/" and ".." not in found.destination.split("/")
    assert (found.kind == "bind") == found.source.startswith("/")
