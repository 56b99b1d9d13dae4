"""Parts of volumes, images as volumes, bind mounts with other ids; and the places where nothing may be mounted."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.root.volumes.test_volumes import data, run


def mounted(engine: Engine, spec: str, *argv: str) -> str:
    return run(engine, "--mount", spec, "busybox", *argv)


def test_a_part_of_a_volume(engine: Engine) -> None:
    run(engine, "-v", "kept:/s", "busybox", "sh", "-c",
        "mkdir -p /s/a/b; echo text > /s/a/b/file; ln -s a/b /s/within; ln -s /a /s/absolute; ln -s /etc /s/without")
    assert mounted(engine, "type=volume,src=kept,dst=/m,volume-subpath=a/b", "cat", "/m/file") == "text"
    assert mounted(engine, "type=volume,src=kept,dst=/m,volume-subpath=a/b/file", "cat", "/m") == "text"
    assert mounted(engine, "type=volume,src=kept,dst=/m,volume-subpath=within", "ls", "/m") == "file"
    assert mounted(engine, "type=volume,src=kept,dst=/m,volume-subpath=absolute", "ls", "/m") == "b"
    for path in ("without", "missing", "a/b/file/x"):
        refused = engine.pydocker("run", "--rm", "--mount", f"type=volume,src=kept,dst=/m,volume-subpath={path}",
                                  "busybox", "true")
        assert refused.code in (125, 127) and f"cannot access path {path}" in refused.err
    for path in ("../x", "/etc", "a/../../x"):
        refused = engine.pydocker("create", "--mount", f"type=volume,src=kept,dst=/m,volume-subpath={path}", "busybox")
        assert refused.code == 1 and "subpath must be a relative path within the volume" in refused.err


def test_a_part_that_is_exchanged_for_a_link_to_the_host(engine: Engine, tmp_path: Path) -> None:
    """The volume's other user swaps the part for a link to the host's canary while it is being mounted."""
    (tmp_path / "secret").write_text("the host's")
    engine.ok("volume", "create", "kept")
    top = data(engine, "kept")
    (top / "part").mkdir()
    (top / "part/mine").touch()
    (top / "link").symlink_to(tmp_path)
    over = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        while not over.is_set():
            for first, second in (("part", "away"), ("link", "part"), ("part", "link"), ("away", "part")):
                os.rename(top / first, top / second)
            swaps += 1

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        runs = 0
        while runs < 8 or swaps <= 100:
            assert attacker.is_alive()
            runs += 1
            seen = engine.pydocker("run", "--rm", "--mount", "type=volume,src=kept,dst=/m,volume-subpath=part",
                                   "busybox", "ls", "/m").out
            assert seen in ("mine\n", "")
    finally:
        over.set()
        attacker.join()
    assert os.listdir(tmp_path) == ["secret"]


def test_an_image_as_a_volume(engine: Engine) -> None:
    id = engine.ok("create", "busybox")
    engine.ok("cp", "/etc/hostname", f"{id}:/marked")
    engine.ok("commit", id, "two:layers")
    engine.ok("rm", id)
    for image in ("busybox", "two:layers"):
        assert mounted(engine, f"type=image,src={image},dst=/m", "ls", "/m/etc") == "group\npasswd"
        assert mounted(engine, f"type=image,src={image},dst=/m,image-subpath=etc", "ls", "/m") == "group\npasswd"
        refused = engine.pydocker("run", "--rm", "--mount", f"type=image,src={image},dst=/m", "busybox", "touch",
                                  "/m/x")
        assert "Read-only file system" in refused.err
    user = engine.ok("run", "-d", "--mount", "type=image,src=two:layers,dst=/m", "busybox", "sleep", "1000")
    image = engine.ok("inspect", "-f", "{{.Id}}", "two:layers")
    assert "image is being used by running container" in engine.pydocker("rmi", "-f", image).err
    engine.ok("stop", "-t", "0", user)
    engine.ok("rmi", "-f", image)
    engine.ok("start", user)  # it keeps the layers that it needs
    assert engine.ok("exec", user, "ls", "/m/marked") == "/m/marked"
    missing = engine.pydocker("run", "--rm", "--mount", "type=image,src=no/such,dst=/m", "busybox", "true")
    assert missing.code == 125 and "No such image: no/such:latest" in missing.err


@pytest.mark.parametrize("user", [0, 1000, 1234])
def test_idmap(engine: Engine, tmp_path: Path, user: int) -> None:
    """What the container's user makes is the source's owner's; what root owns on the host is nobody's inside."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "roots").touch(0o600)
    os.chown(source, 1234, 1235)
    for flags in (("--mount", f"type=bind,src={source},dst=/m,idmap"), ("-v", f"{source}:/m:idmap")):
        assert run(engine, "-u", f"{user}:{user}", *flags, "busybox", "sh", "-c",
                   "touch /m/new && stat -c %u:%g /m /m/new; rm -f /m/gone; touch /m/gone") == (
            f"{user}:{user}\n{user}:{user}")
        there = (source / "new").stat()
        assert (there.st_uid, there.st_gid) == (1234, 1235)
        (source / "new").unlink()
    shown = run(engine, "-v", f"{source}:/m:idmap", "busybox", "sh", "-c",
                "stat -c %u /m/roots; cat /m/roots 2>&1 || true")
    assert shown.startswith("65534\n") and "denied" in shown


@pytest.mark.parametrize("destination", ["/proc", "/sys", "/proc/self/attr", "/proc/sys"])
@pytest.mark.parametrize("source", ["kept", "/srv", ""])
def test_nothing_over_proc_and_sys(engine: Engine, source: str, destination: str) -> None:
    """CVE-2015-3631, CVE-2019-19921: what security settings are read from and written to is the kernel's."""
    flags = ("-v", f"{source}:{destination}" if source else destination)
    refused = engine.pydocker("run", "--rm", *flags, "busybox", "true")
    assert refused.code == 125 and destination in refused.err


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_nothing_new_in_proc(engine: Engine, make: Callable[[Path], None], tmp_path: Path) -> None:
    """procfs answers ENOENT to that, by which the program would seem to be missing (127)."""
    make(source := tmp_path / "source")
    refused = engine.pydocker("run", "--rm", "-v", f"{source}:/proc/new/one", "busybox", "true")
    assert refused.code == 125 and "/proc/new/one cannot be mounted because it is inside /proc" in refused.err


@pytest.mark.parametrize("flags", [("--tmpfs", "/proc"), ("--tmpfs", "/sys:ro"), ("--mount", "type=tmpfs,dst=/proc")])
def test_no_empty_file_system_over_proc_and_sys(engine: Engine, flags: tuple[str, str]) -> None:
    refused = engine.pydocker("run", "--rm", *flags, "busybox", "true")
    assert refused.code == 125 and "tmpfs cannot be mounted on /" in refused.err


def test_a_file_on_a_directory_and_the_other_way_round(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for source, destination in ((tmp_path / "file", "/etc"), (tmp_path, "/etc/passwd")):
        refused = engine.pydocker("run", "--rm", "-v", f"{source}:{destination}", "busybox", "true")
        assert refused.code == 125
        assert f'error mounting "{source}" to rootfs at "{destination}": not a directory: Are you trying to mount a ' \
               "directory onto a file (or vice-versa)?" in refused.err


def test_where_a_volume_was_is_a_link_to_the_host(engine: Engine, tmp_path: Path) -> None:
    """CVE-2015-3629: the second start finds the mount point exchanged for a link."""
    (tmp_path / "secret").write_text("the host's")
    id = engine.ok("run", "-d", "-v", "kept:/data", "busybox", "sleep", "1000")
    engine.ok("stop", "-t", "0", id)
    upper = Path(engine.ok("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", id))
    (upper / "data").rmdir()
    (upper / "data").symlink_to(tmp_path)
    engine.pydocker("start", id)
    engine.pydocker("exec", id, "touch", "/data/new")
    assert os.listdir(tmp_path) == ["secret"]


def test_a_volume_that_is_gone(engine: Engine) -> None:
    id = engine.ok("create", "-v", "kept:/data", "busybox")
    top = data(engine, "kept").parent
    os.rename(top, engine.root / "elsewhere")
    refused = engine.pydocker("start", id)
    os.rename(engine.root / "elsewhere", top)
    assert refused.code == 1 and "get kept: no such volume" in refused.err
