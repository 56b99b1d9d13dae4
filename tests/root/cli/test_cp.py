"""`cp` against both servers: which file ends up where, and what is said when none does.

Where the command line decides otherwise than Docker's (links that lead out of the copied tree are copied as links, no
setuid bit comes out without -a, and -a keeps owners both ways), only these tests say so, as both servers have it here.
"""

import io
import os
import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.root.cli.conftest import Peer
from tests.waiting import wait_until

SETUP = """
mkdir -p /d/sub /e /deep; echo a >/d/a; echo b >/d/sub/b; ln -s a /d/l; ln -s /d /ld; ln -s /d/a /la; ln /d/a /d/hard
ln -s ../d/a /e/rel; ln -s /nowhere /broken; echo f >/f; mkfifo /ff; ln -s ../../../../etc/passwd /deep/up
chown 7:8 /d/sub; chmod 4755 /d/sub/b; touch /ready
"""
OUT = {  # arguments: where the file is then, or what is said. C: is the container, H the directory on the host
    "C:/d/a H/out": "out/a", "C:/d/a H/out/": "out/a", "C:/d/a H/new": "new", "C:/d/a H/old": "old",
    "C:/d H/out": "out/d/a", "C:/d H/new": "new/a", "C:/d/. H/out": "out/a", "C:/d/. H/new": "new/a",
    "C:/d/ H/new": "new/a", "C:/ld/ H/out": "out/ld/a", "C:/ld/. H/out": "out/a", "-L C:/la H/out": "out/la",
    "-L C:/la H/new": "new", "-L C:/ld H/out": "out/ld/a", "-L C:/e/rel H/out": "out/rel", "C:d/a H/out": "out/a",
    "C:d/../d/a H/out": "out/a", "C:/../../d/a H/out": "out/a", "C:/d/a H/link": "old", "C:/d/a H/dirlink": "out/a",
    "C:/d/a H/missing": "nowhere", "C:/d/hard H/out": "out/hard",
    "C:/d/a H/new/": "no such directory", "C:/d H/old": "cannot copy directory",
    "C:/nope H/out": "Error response from daemon: Could not find the file /nope in container C",
    "C:/proc/cpuinfo H/out": "Error response from daemon: Could not find the file /proc/cpuinfo in container C",
    "C:/d/a H/no/new": 'invalid output path: directory "H/no" does not exist',
    "C:/d/a C:/x": "copying between containers is not supported",
    "H/old H/new": "must specify at least one container source",
    "nothing:/d H/out": "Error response from daemon: No such container: nothing",
}
IN = {  # arguments: the path inside that has the host's text then, or what is said
    "H/old C:/tmp": "tmp/old", "H/old C:/new": "new", "H/old C:/f": "f", "H/old C:/ff": "ff", "H/old C:e/": "e/old",
    "H/src C:/tmp": "tmp/src/x", "H/src C:/news": "news/x", "H/src/. C:/e": "e/x", "H/src/. C:/newt": "newt/x",
    "-L H/link C:/tmp": "tmp/link", "H/dirsrc/ C:/tmp": "tmp/dirsrc/x", "-L H/dirsrc C:/deep": "deep/dirsrc/x",
    "H/old C:/la": "d/a", "H/old C:/ld": "d/old", "H/src C:/ld": "d/src/x", "H/old C:/broken": "nowhere",
    "H/old C:/newu/": "no such directory", "H/src C:/f": "cannot copy directory",
    "H/old C:/no/new": "Error response from daemon: Could not find the file /no in container C",
    "H/nope C:/tmp": "lstat H/nope: no such file or directory",
    "- C:/f": 'destination "C:/f" must be a directory',
    "H/old nothing:/x": "Error response from daemon: No such container: nothing",
    "H/old C:/etc/hosts": "device or resource busy",
    "H/src C:/dev/null": 'destination "C:/dev/null" must be a directory or a regular file: got a device',
    "H/taken C:/": 'cannot overwrite directory "/d" with non-directory "/"',
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "host"
    shutil.rmtree(tmp_path / "host", ignore_errors=True)


def furnish(host: Path) -> None:
    shutil.rmtree(host, ignore_errors=True)
    (host / "out").mkdir(parents=True)
    (host / "src/sub").mkdir(parents=True)
    (host / "taken").mkdir()
    for name in ("old", "src/x", "src/sub/y"):
        (host / name).write_text("host\n")
    for name, target in (("link", "old"), ("dirlink", "out"), ("dirsrc", "src"), ("missing", "nowhere")):
        (host / name).symlink_to(target)


def begin(peer: Peer, *, running: bool) -> None:
    peer.ok("run", *(["-d"] if running else []), "--network", "none", "--name", "box", "busybox", "sh", "-c",
            SETUP + ("sleep 1000" if running else ""))
    deadline = time.monotonic() + 60
    while running and peer.run("exec", "box", "test", "-e", "/ready").code and time.monotonic() < deadline:
        time.sleep(0.02)


def words(line: str, host: Path) -> list[str]:
    return [word.replace("C:", "box:").replace("H/", f"{host}/") for word in line.split()]


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_out_of_a_container(peer: Peer, host: Path, running: bool) -> None:
    if running and peer.name == "docker":
        pytest.skip("judged with a stopped container")
    begin(peer, running=running)
    for line, outcome in OUT.items():
        furnish(host)
        done = peer.run("cp", *words(line, host))
        if " " in outcome:
            told = outcome.replace("H/", f"{host}/").replace("container C", "container box")
            assert (done.code, done.err.splitlines()[:1]) == (1, [told]), line
        else:
            assert (done.code, done.err, (host / outcome).read_text()) == (0, "", "a\n"), line
    peer.ok("rm", "-f", "box")


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_into_a_container(peer: Peer, host: Path, running: bool) -> None:
    if running and peer.name == "docker":
        pytest.skip("judged with a stopped container")
    begin(peer, running=running)
    furnish(host)
    (host / "taken/d").write_text("no directory")
    for line, outcome in IN.items():
        if outcome.endswith("got a device") and not running:
            continue  # the device is there while it runs
        done = peer.run("cp", *words(line.replace("H/taken", "H/taken/d"), host))
        told = outcome.replace("H/", f"{host}/").replace("container C", "container box").replace('"C:', '"box:')
        assert (done.code, told in done.err if " " in outcome else not done.err) == (" " in outcome, True), (line, done)
    with peer.popen("export", "box", stdout=-1) as exporting:
        content = exporting.communicate(timeout=60)[0]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for line, outcome in IN.items():
            if " " not in outcome:
                assert archive.extractfile(outcome).read() == b"host\n", line  # type: ignore[union-attr]
    peer.ok("rm", "-f", "box")


def peer_bytes(peer: Peer, path: str) -> bytes:
    with peer.popen("cp", f"box:{path}", "-", stdout=-1) as copying:
        out, _ = copying.communicate(timeout=60)
    assert copying.returncode == 0
    return out


def test_archives_in_and_out(peer: Peer, tmp_path: Path) -> None:
    begin(peer, running=False)
    with tarfile.open(fileobj=io.BytesIO(peer_bytes(peer, "/d"))) as archive:
        found = {member.name: member for member in archive}
    assert [*found] == ["d", "d/a", "d/hard", "d/l", "d/sub", "d/sub/b"]
    assert (found["d/sub"].uid, found["d/sub"].gid, found["d/sub/b"].mode & 0o7777) == (7, 8, 0o4755)
    assert (found["d/l"].linkname, found["d/hard"].linkname) == ("a", "d/a")
    for suffix in ("", ":gz", ":bz2", ":xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=f"w{suffix}") as archive:
            member = tarfile.TarInfo(f"from{suffix[1:]}")
            member.size, member.mtime, member.uid = 5, 1_600_000_000, 1234
            archive.addfile(member, io.BytesIO(b"text\n"))
        assert peer.run("cp", "-", "box:/tmp", input=buffer.getvalue()).code == 0
        with tarfile.open(fileobj=io.BytesIO(peer_bytes(peer, f"tmp/from{suffix[1:]}"))) as archive:
            [member] = archive
            assert (member.size, member.mtime, member.uid) == (5, 1_600_000_000, 1234)
    peer.ok("rm", "-f", "box")


def test_owners_bits_and_links_on_the_host(peer: Peer, host: Path) -> None:
    begin(peer, running=False)
    furnish(host)
    peer.ok("cp", "box:/d/sub", f"{host}/out")
    plain = (host / "out/sub/b").stat()
    assert (plain.st_uid, plain.st_mode & 0o7777, (host / "out/sub").stat().st_uid) == (os.geteuid(), 0o755, 0)
    peer.ok("cp", "-a", "box:/d/sub", f"{host}/src")
    kept = (host / "src/sub").stat()
    assert (kept.st_uid, kept.st_gid, (host / "src/sub/b").stat().st_mode & 0o7777) == (7, 8, 0o4755)
    peer.ok("cp", "box:/deep/up", f"{host}/out")
    assert os.readlink(host / "out/up") == "../../../../etc/passwd"
    peer.ok("rm", "-f", "box")


def test_into_a_user_s_container_with_archive(peer: Peer, host: Path) -> None:
    """-a gives what is copied to the container's user."""
    user = "user" if peer.name == "pydocker" else "nobody"  # Docker looks a name up in the host's files
    peer.ok("create", "--network", "none", "--name", "box", "--user", user, "busybox")
    furnish(host)
    os.chown(host / "old", 4321, 4321)
    for flags, owner in (((), 4321), (("-a",), 1000 if peer.name == "pydocker" else 65534)):
        peer.ok("cp", *flags, f"{host}/old", "box:tmp/f")
        with tarfile.open(fileobj=io.BytesIO(peer_bytes(peer, "tmp/f"))) as archive:
            assert [member.uid for member in archive] == [owner], flags
    peer.ok("rm", "-f", "box")


def test_on_a_terminal_it_says_how_much(peer: Peer, host: Path) -> None:
    begin(peer, running=False)
    furnish(host)
    with peer.terminal("cp", "box:/f", f"{host}/out", columns=200) as terminal:
        terminal.expect(f"kB to {host}/out")
        assert terminal.end() == 0
    with peer.terminal("cp", "-q", f"{host}/old", "box:/tmp", columns=200) as terminal:
        assert terminal.end() == 0
    with peer.terminal("cp", f"{host}/old", "box:/tmp", columns=200) as terminal:
        terminal.expect("kB to box:/tmp")
        assert terminal.end() == 0
    peer.ok("rm", "-f", "box")


def test_a_read_only_container(peer: Peer, host: Path) -> None:
    furnish(host)
    peer.ok("create", "--network", "none", "--read-only", "--name", "box", "busybox")
    failed = peer.run("cp", f"{host}/old", "box:/tmp")
    assert (failed.code, failed.err) == (1, "Error response from daemon: container rootfs is marked read-only\n")
    peer.ok("rm", "-f", "box")


def test_mounts_are_seen(engine: Engine, tmp_path: Path) -> None:
    """Bind mounts as Docker shows them, running and stopped; and a tmpfs, which Docker does not, while it is there."""
    for name in ("rw", "ro"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(f"{name}\n")
    volumes = ("-v", f"{tmp_path}/rw:/rw", "-v", f"{tmp_path}/ro:/ro:ro")
    engine.ok("run", "-d", "--name", "bound", *volumes, "--tmpfs", "/mem", "busybox", "sh", "-c",
              "echo mem > /mem/file; sleep 1000")
    wait_until(lambda: engine.pydocker("exec", "bound", "test", "-s", "/mem/file").code == 0)
    engine.ok("cp", "bound:/mem/file", f"{tmp_path}/mem")
    assert (tmp_path / "mem").read_text() == "mem\n"
    for state in ("running", "stopped"):
        for name in ("rw", "ro"):
            engine.ok("cp", f"bound:/{name}/file", f"{tmp_path}/out")
            assert (tmp_path / "out").read_text() == f"{name}\n"
        engine.ok("cp", f"{tmp_path}/out", f"bound:/rw/{state}")
        assert (tmp_path / "rw" / state).read_text() == "ro\n"
        failed = engine.pydocker("cp", f"{tmp_path}/out", "bound:/ro")
        assert (failed.code, failed.err) == (1, "Error response from daemon: mounted volume is marked read-only\n")
        failed = engine.pydocker("cp", f"{tmp_path}/out", "bound:/etc/hosts")
        assert failed.code == 1 and "device or resource busy" in failed.err
        engine.ok("kill", "bound") if state == "running" else None
    assert engine.ok("diff", "bound").splitlines() == ["A /mem", "A /ro", "A /rw"]
    assert sorted(os.listdir(tmp_path / "ro")) == ["file"]
