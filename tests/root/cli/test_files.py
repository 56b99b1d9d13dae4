"""`diff` and `export`, against both servers: the same operations inside, the same words outside."""

import io
import tarfile
from pathlib import Path

from tests.engine import Engine
from tests.root.cli.conftest import Peer
from tests.waiting import wait_until

OPERATIONS = """
echo x > /new; mkdir -p /nd/sub; echo y > /nd/sub/f; echo z >> /etc/passwd; chmod 700 /tmp; rm /etc/group
rm -r /var; mkdir /var; echo 1 > /var/a; rm /bin/yes; ln -s nowhere /bin/yes; rm -r /root; echo file > /root
touch /bin/busybox; mknod /fifo p; chown 5:5 /etc; mkdir /gone; rmdir /gone; rm /bin/wc; mkdir /bin/wc
"""
CHANGES = """\
A /fifo
A /nd
A /nd/sub
A /nd/sub/f
A /new
C /bin
C /bin/busybox
C /bin/wc
C /bin/yes
C /etc
C /etc/passwd
C /root
C /tmp
C /var
D /etc/group
A /var/a"""


def container(peer: Peer, name: str, script: str = OPERATIONS) -> str:
    peer.ok("run", "--network", "none", "--name", name, "busybox", "sh", "-c", script)
    return name


def test_diff_tells_what_was_added_changed_and_deleted(peer: Peer) -> None:
    name = container(peer, "diff")
    told = peer.ok("diff", name).splitlines()
    assert sorted(told) == sorted(CHANGES.splitlines())
    paths = [line.split(" ", 1)[1] for line in told]
    assert all(paths.index(path.rpartition("/")[0]) < paths.index(path) for path in paths if path.count("/") > 1)


def test_diff_of_what_runs_and_of_what_never_ran(peer: Peer) -> None:
    peer.ok("run", "-d", "--network", "none", "--name", "running", "busybox", "sh", "-c", "mkdir -p /a/b; sleep 100")
    peer.ok("create", "--network", "none", "--name", "created", "busybox")
    wait_until(lambda: peer.run("exec", "running", "test", "-d", "/a/b").code == 0)
    assert sorted(peer.ok("diff", "running").splitlines()) == ["A /a", "A /a/b"]
    assert peer.ok("diff", "created") == ""
    peer.ok("rm", "-f", "running")


def test_of_nothing(peer: Peer) -> None:
    for verb in ("diff", "export"):
        failed = peer.run(verb, "nothing")
        assert (failed.code, failed.err) == (1, "Error response from daemon: No such container: nothing\n")


def test_export_is_the_whole_file_system(peer: Peer, tmp_path: Path) -> None:
    name = container(peer, "export", OPERATIONS + "ln /new /newer; setfattr -n user.a -v b /new 2>/dev/null; true")
    peer.ok("export", "-o", str(tmp_path / "all.tar"), name)
    with tarfile.open(tmp_path / "all.tar") as archive:
        found = {member.name: member for member in archive}
        assert archive.extractfile(found["nd/sub/f"]).read() == b"y\n"  # type: ignore[union-attr]
    assert {"bin/busybox", "proc", "sys", "dev", "new", "etc/hosts"} <= set(found)
    assert not {"etc/group", "proc/1", "sys/kernel", "dev/null"} & set(found)
    assert (found["fifo"].isfifo(), found["bin/yes"].linkname, found["newer"].linkname) == (True, "nowhere", "new")
    assert (found["etc"].uid, found["tmp"].mode & 0o7777) == (5, 0o700)


def test_export_refuses_a_terminal_and_what_is_no_file(peer: Peer, tmp_path: Path) -> None:
    name = container(peer, "refused", "true")
    with peer.terminal("export", name) as terminal:
        terminal.expect("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        assert terminal.end() == 1
    failed = peer.run("export", "-o", f"{tmp_path}/not/there", name)
    assert failed.code == 1 and ("does not exist" in failed.err or "no such file or directory" in failed.err)
    assert peer.run("export", "-o", "/dev/null", name).code == 1


def test_export_is_the_same_each_time(engine: Engine) -> None:
    """Running, stopped, and started again: the same bytes, until something changes."""
    name = engine.ok("run", "-d", "busybox", "sh", "-c", "echo once > /once; sleep 1000")
    wait_until(lambda: engine.pydocker("exec", name, "test", "-s", "/once").code == 0)
    first = exported(engine, name)
    assert exported(engine, name) == first
    engine.ok("stop", "-t", "0", name)
    assert exported(engine, name) == first
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        names = archive.getnames()
    tops = list(dict.fromkeys(name.partition("/")[0] for name in names))
    assert tops == sorted(tops)


def exported(engine: Engine, name: str) -> bytes:
    path = engine.root / "export.tar"
    engine.ok("export", "-o", str(path), name)
    content = path.read_bytes()
    path.unlink()
    return content
