"""`pydocker volume`, and volumes in containers: what a person sees, what lies on the disk."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.engine import Engine
from tests.waiting import wait_until


def run(engine: Engine, *argv: str) -> str:
    return engine.ok("run", "--rm", *argv)


def data(engine: Engine, name: str) -> Path:
    return Path(engine.ok("volume", "inspect", "-f", "{{.Mountpoint}}", name))


def volumes(engine: Engine, *argv: str) -> list[str]:
    return engine.ok("volume", "ls", "-q", *argv).split()


def mounts(engine: Engine, container: str) -> dict[str, Any]:
    return {one["Destination"]: one for one in json.loads(engine.ok("inspect", "-f", "{{json .Mounts}}", container))}


@pytest.fixture
def volume(engine: Engine) -> str:
    return engine.ok("volume", "create", "kept")


def test_content_outlives_containers(engine: Engine, volume: str) -> None:
    run(engine, "-v", f"{volume}:/data", "busybox", "sh", "-c", "echo hello > /data/a")
    assert run(engine, "-v", f"{volume}:/other:ro", "busybox", "cat", "/other/a") == "hello"
    assert (data(engine, volume) / "a").read_text() == "hello\n"
    refused = engine.pydocker("run", "--rm", "-v", f"{volume}:/other:ro", "busybox", "touch", "/other/b")
    assert refused.code == 1 and "Read-only file system" in refused.err


def test_a_volume_in_use_is_never_removed(engine: Engine, volume: str) -> None:
    id = engine.ok("create", "-v", f"{volume}:/data", "busybox")
    for verb, command in (("remove", ("rm", volume)), ("remove", ("rm", "-f", volume)),
                          ("rename", ("rename", volume, "other"))):
        refused = engine.pydocker("volume", *command)
        assert (refused.code, refused.err) == (
            1, f"Error response from daemon: {verb} {volume}: volume is in use - [{id}]\n")
    assert engine.ok("volume", "prune", "-a", "-f") == "Total reclaimed space: 0B"
    assert volumes(engine) == [volume]
    engine.ok("rm", id)
    assert engine.ok("volume", "rm", volume) == volume
    assert volumes(engine) == []
    assert engine.pydocker("volume", "rm", volume).err == f"Error response from daemon: get {volume}: no such volume\n"
    assert engine.ok("volume", "rm", "-f", volume) == volume


def test_names_that_no_volume_has(engine: Engine) -> None:
    assert engine.pydocker("volume", "rm", "a/b").err == "Error response from daemon: get a/b: no such volume\n"
    assert engine.ok("volume", "rm", "-f", "a/b") == "a/b"
    assert engine.pydocker("volume", "rm", "").err == "invalid volume name or ID: value is empty\n"


def test_anonymous_volumes_go_with_their_container(engine: Engine) -> None:
    run(engine, "-v", "/data", "busybox", "touch", "/data/a")
    assert volumes(engine) == []
    for argv, left in ((("rm", "-f", "-v"), 0), (("rm", "-f"), 1)):
        engine.ok(*argv, engine.ok("run", "-d", "-v", "/data", "busybox", "sleep", "1000"))
        assert len(volumes(engine)) == left
    first = engine.ok("create", "-v", "/data", "busybox")
    second = engine.ok("create", "--volumes-from", first, "busybox")
    engine.ok("rm", "-v", first)
    assert len(volumes(engine)) == 2  # the second one has it still
    engine.ok("rm", "-v", second)
    assert len(volumes(engine)) == 1
    assert engine.ok("volume", "prune", "-f").startswith("Deleted Volumes:\n")
    assert volumes(engine) == []


def test_a_start_that_fails_leaves_no_volume(engine: Engine) -> None:
    assert engine.pydocker("run", "--rm", "-v", "/data", "busybox", "/no/such").code == 127
    refused = engine.pydocker("run", "--rm", "-v", "made:/data", "--volume-driver", "nodriver", "busybox", "true")
    assert refused.err.startswith('pydocker: Error response from daemon: create made: error looking up volume plugin '
                                  'nodriver: plugin "nodriver" not found')
    assert engine.pydocker("run", "--rm", "-v", "made:/data", "-v", "/a:/bin/sh/x", "--mount",
                           "type=bind,src=/no/such,dst=/x", "busybox").code == 125
    engine.ok("create", "--name", "taken", "busybox")
    assert engine.pydocker("create", "--name", "taken", "-v", "made:/data", "-v", "/anonymous", "busybox").code == 1
    assert volumes(engine) == []


def test_lists_and_filters(engine: Engine, volume: str) -> None:
    engine.ok("volume", "create", "--label", "a=b", "--label", "c", "other")
    engine.ok("create", "--name", "user", "-v", f"{volume}:/data", "busybox")
    assert engine.ok("volume", "ls").split("\n") == ["DRIVER    VOLUME NAME", "local     kept", "local     other"]
    assert engine.ok("volume", "ls", "--format", "{{.Name}} {{.Labels}}") == "kept \nother a=b,c="
    assert engine.ok("volume", "ls", "-q", "--format", "{{.Driver}}") == "local\nlocal"  # the format, as Docker
    for condition, names in (("dangling=true", ["other"]), ("dangling=false", ["kept"]), ("label=a", ["other"]),
                             ("label=a=x", []), ("name=the", ["other"]), ("driver=local", ["kept", "other"]),
                             ("driver=nfs", [])):
        assert volumes(engine, "-f", condition) == names, condition
    assert "invalid filter 'x'" in engine.pydocker("volume", "ls", "-f", "x=y").err
    assert volumes(engine, "--cluster") == []
    assert engine.ok("ps", "-a", "--format", "{{.Mounts}} {{.LocalVolumes}}") == "kept 1"
    for condition, found in (("kept", "user"), ("/data", "user"), ("other", "")):
        assert engine.ok("ps", "-a", "--filter", f"volume={condition}", "--format", "{{.Names}}") == found
    assert engine.ok("inspect", "--type", "volume", "-f", "{{.Name}}", "kept") == "kept"
    assert engine.ok("volume", "prune", "-a", "-f", "--filter", "label!=a") == "Total reclaimed space: 0B"
    unnamed = engine.ok("volume", "create")
    pruned = engine.ok("system", "prune", "-f", "--volumes", "--filter", "label=com.docker.volume.anonymous")
    assert f"Deleted Volumes:\n{unnamed}\n" in pruned and volumes(engine) == ["kept", "other"]


def test_disk_usage(engine: Engine, volume: str) -> None:
    run(engine, "-v", f"{volume}:/data", "busybox", "sh", "-c", "head -c 3000 /dev/zero > /data/a")
    shown = engine.ok("system", "df", "-v", "--format", "{{range .Volumes}}{{.Name}} {{.Links}} {{.Size}}{{end}}")
    assert shown == "kept 0 3kB"
    assert engine.ok("volume", "prune", "-a", "-f") == "Deleted Volumes:\nkept\n\nTotal reclaimed space: 3kB"


def test_inspect_tells_the_mounts(engine: Engine, volume: str) -> None:
    id = engine.ok("create", "-v", f"{volume}:/a:ro", "-v", "/b", "--mount", f"type=volume,src={volume},dst=/c",
                   "-v", "/srv:/d", "busybox")
    found = mounts(engine, id)
    source = str(data(engine, volume))
    assert found["/a"] == {"Type": "volume", "Name": "kept", "Source": source, "Destination": "/a", "Driver": "local",
                           "Mode": "ro", "RW": False, "Propagation": ""}
    assert (found["/c"]["Mode"], found["/c"]["RW"]) == ("z", True)
    assert len(found["/b"]["Name"]) == 64 and found["/b"]["Type"] == "volume"
    assert (found["/d"]["Type"], found["/d"]["Propagation"], "Driver" in found["/d"]) == ("bind", "rprivate", False)
    name = found["/b"]["Name"]
    labels = engine.ok("volume", "inspect", "-f", "{{json .Labels}}", name)
    assert labels == '{"com.docker.volume.anonymous":""}'


def test_events(engine: Engine, volume: str) -> None:
    run(engine, "-v", f"{volume}:/data:ro", "busybox", "true")
    engine.ok("volume", "rename", volume, "moved")
    engine.ok("volume", "rm", "moved")
    lines = engine.ok("events", "--since", "1h", "--until", "0s", "--filter", "type=volume", "--format",
                      "{{.Action}} {{.Actor.ID}} {{json .Actor.Attributes}}").split("\n")[-5:]
    told = [(line.split(" ", 2)[0], line.split(" ", 2)[1], json.loads(line.split(" ", 2)[2])) for line in lines]
    assert [(action, name) for action, name, _ in told] == [
        ("create", "kept"), ("mount", "kept"), ("unmount", "kept"), ("rename", "moved"), ("destroy", "moved")]
    mount = told[1][2]
    assert (mount["destination"], mount["read/write"], mount["driver"]) == ("/data", "false", "local")
    assert told[2][2]["container"] == mount["container"]


def test_volumes_from(engine: Engine, volume: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of the host")
    donor = engine.ok("create", "--name", "donor", "-v", f"{volume}:/data", "-v", f"{tmp_path}:/host:ro",
                      "-v", "/anonymous", "busybox")
    run(engine, "--volumes-from", "donor", "busybox", "sh", "-c", "echo x > /data/a; echo y > /anonymous/b")
    assert run(engine, "--volumes-from", f"{donor}:ro", "busybox", "cat", "/data/a", "/anonymous/b",
               "/host/file") == "x\ny\nof the host"
    for argv in (("donor:ro", "/data/b"), ("donor", "/host/b"), ("donor:rw", "/host/b")):
        assert "Read-only file system" in engine.pydocker(
            "run", "--rm", "--volumes-from", argv[0], "busybox", "touch", argv[1]).err
    assert run(engine, "--volumes-from", "donor", "-v", "/data", "busybox", "ls", "/data") == "a"
    own = engine.ok("create", "--volumes-from", "donor", "-v", "own:/data", "busybox")
    assert mounts(engine, own)["/data"]["Name"] == "own"
    assert "No such container: nobody" in engine.pydocker("create", "--volumes-from", "nobody", "busybox").err
    assert "invalid mode: rslave" in engine.pydocker("create", "--volumes-from", "donor:rslave", "busybox").err


def test_what_an_image_says_and_a_container_keeps(engine: Engine, volume: str) -> None:
    """VOLUME in an image; diff, export and commit leave out what a volume holds."""
    id = engine.ok("create", "busybox")
    engine.ok("commit", "-c", "VOLUME /data /etc", id, "withvolumes")
    user = engine.ok("run", "-d", "-v", f"{volume}:/data", "withvolumes", "sh", "-c",
                     "echo a > /data/a; echo b > /b; sleep 1000")
    found = mounts(engine, user)
    assert found["/data"]["Name"] == volume and len(found["/etc"]["Name"]) == 64
    assert "passwd" in os.listdir(found["/etc"]["Source"])
    wait_until(lambda: engine.pydocker("exec", user, "test", "-s", "/b").code == 0)
    assert engine.ok("exec", user, "cat", "/data/a") == "a"
    changes = engine.ok("diff", user).split("\n")
    assert "A /b" in changes and "A /data/a" not in changes
    engine.ok("export", "-o", str(data(engine, volume) / "tar"), user)
    assert b"data/a\0" not in (data(engine, volume) / "tar").read_bytes()
    made = engine.ok("commit", user, "again")
    assert json.loads(engine.ok("inspect", "-f", "{{json .Config.Volumes}}", made)) == {"/data": {}, "/etc": {}}
    assert run(engine, "--volume", "/data", "again", "sh", "-c", "ls /data; cat /b") == "b"


def test_cp_and_volumes(engine: Engine, volume: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("copied in")
    part = f"type=volume,src={volume},dst=/part,volume-subpath=d"
    id = engine.ok("create", "-v", f"{volume}:/data", "--mount", part, "--mount",
                   "type=image,src=busybox,dst=/image", "busybox", "cat", "/data/file", "/part/inner")
    engine.ok("cp", str(tmp_path / "file"), f"{id}:/data/file")
    assert (data(engine, volume) / "file").read_text() == "copied in"
    (data(engine, volume) / "d").mkdir()
    engine.ok("cp", str(tmp_path / "file"), f"{id}:/part/inner")
    assert engine.ok("start", "-a", id) == "copied incopied in"
    engine.ok("cp", f"{id}:/part/inner", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "copied in"
    engine.ok("cp", f"{id}:/image/etc/passwd", str(tmp_path / "passwd"))
    assert (tmp_path / "passwd").read_text().startswith("root:")
    assert "read-only" in engine.pydocker("cp", str(tmp_path / "file"), f"{id}:/image/x").err
