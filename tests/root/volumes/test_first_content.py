"""An empty volume is filled from the image: with everything that files have, or not at all."""

import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.root.layers.archive import archive, described, entry, folder, hard, link
from tests.root.volumes.test_volumes import data, run, volumes

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # vfs_cap_data: cap_net_bind_service=ep


@pytest.fixture
def image(engine: Engine, tmp_path: Path) -> Iterator[str]:
    """`rich`, with /content; and a directory with the same."""
    rich = [folder("content", 0o2750, uid=70, gid=71), folder("content/private", 0o700, uid=5),
            entry("content/suid", mode=0o4711, content=b"x", uid=3), entry("content/capable", content=b"y", xattrs={
                "security.capability": CAPABILITY, "user.note": b"n"}),
            link("content/link", "/etc/passwd"), hard("content/other", "content/suid"),
            entry("content/pipe", tarfile.FIFOTYPE, mode=0o622), link("away", "/content"), link("out", "../../../etc"),
            entry("file", content=b"a file")]
    (tmp_path / "rich.tar").write_bytes(archive(rich))
    engine.ok("import", "-c", "VOLUME /content", str(tmp_path / "rich.tar"), "rich")
    (tmp_path / "tree").mkdir()
    subprocess.run(("tar", "--xattrs", "--xattrs-include=*", "-C", str(tmp_path / "tree"), "-xpf",
                    str(tmp_path / "rich.tar")), check=True)
    yield "rich"


def test_everything_that_files_have(engine: Engine, image: str, tmp_path: Path) -> None:
    engine.ok("create", "-v", "kept:/content", image, "x")
    expected, found = described(tmp_path / "tree/content"), described(data(engine, "kept"))
    assert len(found) == 7
    for name, facts in expected.items():
        assert found[name][:4] == facts[:4] and found[name][5:] == facts[5:], name
        assert name == "." or found[name][4] == facts[4], name
    engine.ok("create", "-v", "none:/content:nocopy", image, "x")
    engine.ok("create", "--mount", "type=volume,src=none2,dst=/content,volume-nocopy", image, "x")
    assert [*data(engine, "none").iterdir(), *data(engine, "none2").iterdir()] == []
    engine.ok("create", image, "x")  # VOLUME
    anonymous = next(name for name in volumes(engine) if len(name) == 64)
    assert len(described(data(engine, anonymous))) == 7


def test_what_is_there_stays(engine: Engine, image: str) -> None:
    run(engine, "-v", "kept:/x", "busybox", "touch", "/x/mine")
    engine.ok("create", "-v", "kept:/content", image, "x")
    assert os.listdir(data(engine, "kept")) == ["mine"]


@pytest.mark.parametrize(("destination", "count"), [
    ("/away", 7), ("/../../content", 7), ("/away/private/..", 7), ("/missing/deep", 1)])
def test_links_stay_in_the_image(engine: Engine, image: str, destination: str, count: int) -> None:
    engine.ok("create", "-v", f"kept:{destination}", image, "x")
    assert len(described(data(engine, "kept"))) == count


def test_no_file_of_the_host_comes_into_a_volume(engine: Engine, image: str, tmp_path: Path) -> None:
    """CVE-2022-23648: VOLUME is a path with `..`, or leads over a link, to a directory that only the host has."""
    canary = tmp_path / "canary"
    canary.mkdir()
    (canary / "secret").write_text("the host's")
    evil = archive([folder("d"), link("d/host", str(canary)), link("up", "../../../../../.." + str(canary))])
    (tmp_path / "evil.tar").write_bytes(evil)
    for number, path in enumerate((f"/../../../../..{canary}", "/d/host", "/up", f"/d/host/../..{canary}")):
        engine.ok("import", "-c", f"VOLUME {path}", str(tmp_path / "evil.tar"), f"evil{number}")
        engine.ok("create", f"evil{number}", "x")
    for name in volumes(engine):
        assert list(data(engine, name).iterdir()) == []
    assert len(volumes(engine)) == 4


def test_a_file_is_no_place_for_a_volume(engine: Engine, image: str) -> None:
    refused = engine.pydocker("create", "-v", "/file", image, "x")
    assert (refused.code, "cannot mount volume over existing file, file exists /file" in refused.err) == (1, True)
    assert volumes(engine) == []


def test_a_volume_that_a_running_container_has_already(engine: Engine, image: str) -> None:
    """It is filled under its feet; what it has made itself is not replaced."""
    id = engine.ok("run", "-d", "-v", "kept:/x", "busybox", "sleep", "1000")
    engine.ok("create", "-v", "kept:/content", image, "x")
    assert engine.ok("exec", id, "cat", "/x/suid") == "x"
    assert {*os.listdir(data(engine, "kept").parent)} == {"_data", "lock", "volume.json"}
