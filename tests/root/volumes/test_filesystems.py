"""Volumes that are a file system of their own: mounted for the container alone, and gone with it, however it ends."""

import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.root.layers.archive import archive as made
from tests.root.layers.archive import entry, folder
from tests.root.volumes.test_volumes import data, run


def create(engine: Engine, name: str, kind: str, device: str, options: str = "") -> None:
    more = ("-o", f"o={options}") if options else ()
    engine.ok("volume", "create", "-o", f"type={kind}", "-o", f"device={device}", *more, name)


def tar(directory: Path, text: str) -> str:
    """An archive of one file, as text."""
    (directory / "file").write_text(text)
    return subprocess.run(["tar", "-cC", str(directory), "file"], check=True, capture_output=True, text=True).stdout


def test_a_tmpfs(engine: Engine) -> None:
    create(engine, "small", "tmpfs", "tmpfs", "size=1m,uid=1000,noexec")
    shown = run(engine, "-v", "small:/t", "busybox", "sh", "-c",
                "grep ' /t ' /proc/mounts; stat -c %u /t; head -c 2000000 /dev/zero > /t/a; ls -l /t | wc -l")
    assert "noexec" in shown and "size=1024k" in shown and "1000\n" in shown
    assert os.listdir(data(engine, "small")) == []


def test_a_tmpfs_is_one_for_all_that_have_it(engine: Engine) -> None:
    """Until the last of them ends; whoever comes then finds a new one."""
    create(engine, "small", "tmpfs", "tmpfs")
    first = engine.ok("run", "-d", "-v", "small:/t", "busybox", "sleep", "1000")
    engine.ok("exec", first, "sh", "-c", "echo one > /t/a")
    second = engine.ok("run", "-d", "-v", "small:/u:ro", "busybox", "sleep", "1000")
    assert engine.ok("exec", second, "cat", "/u/a") == "one"
    assert engine.pydocker("exec", second, "touch", "/u/b").code == 1
    engine.ok("rm", "-f", first)
    assert run(engine, "-v", "small:/v", "busybox", "sh", "-c", "cat /v/a; echo two > /v/a") == "one"
    assert engine.ok("exec", second, "cat", "/u/a") == "two"
    engine.ok("rm", "-f", second)
    assert run(engine, "-v", "small:/v", "busybox", "ls", "/v") == ""


def test_what_is_in_memory_is_copied_while_it_is_there(engine: Engine, tmp_path: Path) -> None:
    """Out of the container that has it mounted, read-only or not; and put into it."""
    create(engine, "small", "tmpfs", "tmpfs")
    archive = str(tmp_path / "tar")
    first = engine.ok("run", "-d", "-v", "small:/t:ro", "busybox", "sleep", "1000")
    assert engine.ok("volume", "import", "small", "-", input=tar(tmp_path, "hello")) == "small"
    assert engine.ok("exec", first, "cat", "/t/file") == "hello"
    engine.ok("volume", "export", "-o", archive, "small")
    engine.ok("volume", "clone", "small", "copy")
    engine.ok("volume", "import", "back", archive)
    for name in ("copy", "back"):
        assert (data(engine, name) / "file").read_text() == "hello"
    assert "volume is not empty" in engine.pydocker("volume", "import", "small", archive).err
    engine.ok("rm", "-f", first)
    refused = engine.pydocker("volume", "import", "small", archive)
    assert (refused.code, refused.err) == (1, "Error response from daemon: import small: the volume is in memory, and "
                                              "no running container has it\n")
    engine.ok("volume", "export", "-o", archive, "small")
    with tarfile.open(archive) as found:
        assert found.getnames() == ["."]


def test_an_export_reads_no_file_that_a_container_puts_over_its_tmpfs(engine: Engine, tmp_path: Path) -> None:
    """The path in the container is the container's: what it leads to has to be the volume."""
    create(engine, "small", "tmpfs", "tmpfs")
    (tmp_path / "host").mkdir()
    (tmp_path / "host/secret").write_text("of the host")
    first = engine.ok("run", "-d", "--privileged", "-v", "small:/t", "-v", f"{tmp_path}/host:/h", "busybox", "sleep",
                      "1000")
    engine.ok("exec", first, "sh", "-c", "umount /t && rmdir /t && ln -s /h /t")
    engine.ok("volume", "export", "-o", str(tmp_path / "tar"), "small")
    assert b"secret" not in (tmp_path / "tar").read_bytes()
    engine.ok("exec", first, "sh", "-c", "rm /t && mkdir /t && mount -o bind /h /t")
    engine.ok("volume", "export", "-o", str(tmp_path / "tar"), "small")
    assert b"secret" not in (tmp_path / "tar").read_bytes()


def test_a_tmpfs_at_two_places_and_a_part_of_it(engine: Engine) -> None:
    create(engine, "small", "tmpfs", "tmpfs")
    first = engine.ok("run", "-d", "-v", "small:/t", "-v", "small:/u:ro", "busybox", "sleep", "1000")
    engine.ok("exec", first, "sh", "-c", "mkdir /t/d; echo one > /t/d/a; ln -s / /t/out")
    assert engine.ok("exec", first, "cat", "/u/d/a") == "one"
    assert engine.pydocker("exec", first, "touch", "/u/b").code == 1
    part = "type=volume,src=small,dst=/p,volume-subpath="
    assert run(engine, "--mount", f"{part}d", "busybox", "sh", "-c", "ls /p; echo two > /p/a") == "a"
    assert engine.ok("exec", first, "cat", "/t/d/a") == "two"
    assert run(engine, "--mount", f"{part}out", "busybox", "ls", "/p") == "d\nout"
    assert "cannot access path none" in engine.pydocker("run", "--rm", "--mount", f"{part}none", "busybox").err


def test_a_tmpfs_of_which_a_part_alone_is_mounted(engine: Engine, tmp_path: Path) -> None:
    """It is all there, for the next container as for an export, and at a second place; nothing more for its own."""
    create(engine, "small", "tmpfs", "tmpfs")
    first = engine.ok("run", "-d", "-v", "small:/t", "busybox", "sleep", "1000")
    engine.ok("exec", first, "sh", "-c", "mkdir -p /t/d/e; echo one > /t/a; echo two > /t/d/b")
    part = "type=volume,src=small,volume-subpath=d"
    second = engine.ok("run", "-d", "--mount", f"{part},dst=/p,readonly", "--mount", f"{part}/e,dst=/q", "busybox",
                       "sleep", "1000")
    engine.ok("rm", "-f", first)
    engine.ok("volume", "export", "-o", str(tmp_path / "tar"), "small")
    with tarfile.open(tmp_path / "tar") as found:
        assert sorted(found.getnames()) == [".", "./a", "./d", "./d/b", "./d/e"]
    assert run(engine, "-v", "small:/t", "busybox", "sh", "-c", "cat /t/a /t/d/b; echo three > /t/d/e/c") == "one\ntwo"
    assert engine.ok("exec", second, "sh", "-c", "ls /p/.. | grep -c '^a$'; cat /q/c; ls /p") == "0\nthree\nb\ne"
    assert engine.pydocker("exec", second, "touch", "/p/f").code == 1


def test_a_tmpfs_of_which_a_file_alone_is_mounted(engine: Engine, tmp_path: Path) -> None:
    """It is still the whole volume, for an export, for the next container, and at a second place."""
    create(engine, "small", "tmpfs", "tmpfs")
    first = engine.ok("run", "-d", "-v", "small:/t", "busybox", "sleep", "1000")
    engine.ok("exec", first, "sh", "-c", "echo one > /t/a; mkdir /t/d; echo two > /t/d/b")
    part = "type=volume,src=small,volume-subpath=d/b"
    second = engine.ok("run", "-d", "--mount", f"{part},dst=/p", "--mount", f"{part},dst=/q", "busybox", "sleep",
                       "1000")
    engine.ok("rm", "-f", first)
    engine.ok("volume", "export", "-o", str(tmp_path / "tar"), "small")
    with tarfile.open(tmp_path / "tar") as found:
        assert sorted(found.getnames()) == [".", "./a", "./d", "./d/b"]
    assert run(engine, "-v", "small:/t", "busybox", "sh", "-c", "cat /t/a /t/d/b; echo three > /t/d/b") == "one\ntwo"
    assert engine.ok("exec", second, "cat", "/p", "/q") == "three\nthree"


def test_what_a_container_puts_over_its_part_of_a_tmpfs_is_not_opened(engine: Engine, tmp_path: Path) -> None:
    """A pipe would keep the export waiting."""
    create(engine, "small", "tmpfs", "tmpfs")
    first = engine.ok("run", "-d", "-v", "small:/t", "busybox", "sleep", "1000")
    engine.ok("exec", first, "sh", "-c", "echo one > /t/a")
    second = engine.ok("run", "-d", "--privileged", "--mount", "type=volume,src=small,volume-subpath=a,dst=/p",
                       "busybox", "sleep", "1000")
    engine.ok("rm", "-f", first)
    engine.ok("exec", second, "sh", "-c", "mkfifo /pipe && mount --bind /pipe /p")
    engine.ok("volume", "export", "-o", str(tmp_path / "tar"), "small", timeout=30)
    with tarfile.open(tmp_path / "tar") as found:
        assert found.getnames() == ["."]


def test_two_that_have_two_of_them_the_other_way_round(engine: Engine) -> None:
    for name in ("first", "second"):
        create(engine, name, "tmpfs", "tmpfs")
    for _ in range(4):
        orders = [("-v", "first:/a", "-v", "second:/b"), ("-v", "second:/b", "-v", "first:/a")]
        begun = [engine.popen("run", "-d", *order, "busybox", "sleep", "1000", stdout=subprocess.PIPE)
                 for order in orders]
        one, other = (process.communicate()[0].decode().strip() for process in begun)
        engine.ok("exec", one, "sh", "-c", "echo x > /a/f; echo y > /b/f")
        assert engine.ok("exec", other, "cat", "/a/f", "/b/f") == "x\ny"
        engine.ok("rm", "-f", one, other)


def test_a_directory_of_the_hosts(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of the host")
    create(engine, "bound", "none", str(tmp_path), "bind")
    create(engine, "guarded", "none", str(tmp_path), "bind,ro")
    assert run(engine, "-v", "bound:/b", "busybox", "sh", "-c", "echo new > /b/new; cat /b/file") == "of the host"
    assert "Read-only" in engine.pydocker("run", "--rm", "-v", "guarded:/b", "busybox", "touch", "/b/x").err
    engine.ok("volume", "clone", "bound", "copy")
    assert {path.name: path.read_text() for path in data(engine, "copy").iterdir()} == {
        "file": "of the host", "new": "new\n"}
    assert engine.ok("volume", "inspect", "-f", "{{.Options}}", "copy") in ("map[]", "<no value>", "<nil>")
    engine.ok("volume", "rm", "bound", "guarded")
    assert {*os.listdir(tmp_path)} == {"file", "new"}


def test_each_run_of_a_restart_policy_has_it(engine: Engine, tmp_path: Path) -> None:
    create(engine, "bound", "none", str(tmp_path), "bind")
    id = engine.ok("run", "-d", "--restart", "on-failure:2", "-v", "bound:/b", "--mount",
                   "type=volume,src=plain,dst=/p", "busybox", "sh", "-c", "echo run | tee -a /b/n >> /p/n; false")
    assert engine.ok("wait", id) == "1"
    while engine.ok("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", id) != "exited 2":
        time.sleep(0.05)
    assert (tmp_path / "n").read_text() == (data(engine, "plain") / "n").read_text() == "run\n" * 3


def test_it_is_filled_as_others_are(engine: Engine, tmp_path: Path) -> None:
    create(engine, "bound", "none", str(tmp_path), "bind")
    engine.ok("create", "-v", "bound:/etc", "busybox")
    assert {*os.listdir(tmp_path)} == {"passwd", "group"}


def test_what_the_file_system_has_no_attributes_for(engine: Engine, tmp_path: Path) -> None:
    """They are left out, of the directory itself as of what is in it."""
    note = {"user.note": b"n"}
    (tmp_path / "tar").write_bytes(made([folder("s", xattrs=note), entry("s/a", content=b"x", xattrs=note)]))
    engine.ok("import", str(tmp_path / "tar"), "noted")
    create(engine, "simple", "ramfs", "ramfs")
    has_it = engine.ok("run", "-d", "-v", "simple:/s", "busybox", "sleep", "1000")
    engine.ok("create", "-v", "simple:/s", "noted", "x")
    assert engine.ok("exec", has_it, "cat", "/s/a") == "x"


def test_nothing_is_left_by_a_killed_monitor(engine: Engine, tmp_path: Path) -> None:
    """The host never sees the mount; and what is taken away behind the monitor is not the volume's content."""
    (tmp_path / "file").write_text("of the host")
    create(engine, "bound", "none", str(tmp_path), "bind")
    id = engine.ok("run", "-d", "-v", "bound:/b", "busybox", "sleep", "1000")
    assert str(engine.root) not in Path("/proc/self/mountinfo").read_text()
    pid = int(engine.ok("inspect", "-f", "{{.State.Pid}}", id))
    monitor = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(monitor, signal.SIGKILL)
    while engine.ok("inspect", "-f", "{{.State.Status}}", id) == "running":
        time.sleep(0.05)
    assert engine.ok("start", id) == id
    assert engine.ok("exec", id, "cat", "/b/file") == "of the host"
    engine.ok("rm", "-f", "-v", id)
    assert (tmp_path / "file").read_text() == "of the host"


@pytest.mark.parametrize(("options", "words"), [
    (("-o", "foo=bar"), 'create x1: invalid option: "foo"'),
    (("-o", "device=/a"), 'create x1: missing required option: "type"'),
    (("-o", "type=tmpfs"), 'create x1: missing required option: "device"'),
    (("-o", "o=ro"), 'create x1: missing required option: "device"'),
    (("-o", "size=1g"), "create x1: quota size requested but no quota support"),
    (("-d", "sshfs"), 'create x1: error looking up volume plugin sshfs: plugin "sshfs" not found'),
    (("-o", "type=none", "-o", "device=/a", "-o", "o=bind,remount"), "invalid mount option: remount"),
    (("--type", "mount"), "cluster volumes are Swarm's"),
    (("--type", "paper"), "paper is not a valid volume access type"),
])
def test_options_that_cannot_be(engine: Engine, options: tuple[str, ...], words: str) -> None:
    refused = engine.pydocker("volume", "create", *options, "x1")
    assert refused.code == 1 and words in refused.err
    assert engine.ok("volume", "ls", "-q") == ""


@pytest.mark.parametrize(("kind", "device", "options", "words"), [
    ("none", "/no/such", "bind", "/no/such"), ("nosuchfs", "x", "", "the kernel has no file system 'nosuchfs'"),
    ("tmpfs", "tmpfs", "nonsense=1", "invalid argument"),
])
def test_what_cannot_be_mounted(engine: Engine, kind: str, device: str, options: str, words: str) -> None:
    create(engine, "broken", kind, device, options)
    created = engine.ok("create", "-v", "broken:/b", "busybox", "true")  # not mounted, as nothing is put into it
    engine.ok("rm", created)
    for command in (("run", "--rm", "-v", "broken:/b", "busybox", "true"),
                    ("run", "--rm", "-v", "broken:/etc", "busybox", "true"),
                    ("run", "--rm", "-v", "broken:/b:nocopy", "busybox", "true"),
                    ("volume", "export", "broken"), ("volume", "clone", "broken", "other")):
        refused = engine.pydocker(*command)
        assert refused.code in (1, 125, 127) and words in refused.err
        assert "error while mounting volume '" in refused.err and "': failed to mount local volume: " in refused.err
    assert engine.ok("ps", "-aq") == "" and engine.ok("volume", "ls", "-q") == "broken"


def test_nfs_without_a_server(engine: Engine) -> None:
    """What Docker says: of a kernel that has no NFS or a server that is not there, and of a name that nobody knows."""
    create(engine, "share", "nfs", ":/srv", "addr=127.0.0.1,soft,timeo=1,retrans=0,rw,noatime")
    at = data(engine, "share")
    refused = engine.pydocker("run", "--rm", "-v", "share:/etc", "busybox", "true")
    assert f"error while mounting volume '{at}': failed to mount local volume: mount :/srv:{at}, flags: 0x400, data: " \
           "addr=127.0.0.1,soft,timeo=1,retrans=0: " in refused.err
    assert refused.code in (125, 126)
    create(engine, "lost", "nfs", ":/srv", "addr=no.such.host.invalid")
    refused = engine.pydocker("run", "--rm", "-v", "lost:/s:nocopy", "busybox", "true")
    assert "error resolving passed in network volume address: lookup no.such.host.invalid: " in refused.err
    assert engine.ok("ps", "-aq") == ""


def test_a_password_is_in_no_error(engine: Engine) -> None:
    create(engine, "share", "cifs", "//127.0.0.1/x", "username=u,password=s3cret,addr=127.0.0.1")
    id = engine.ok("create", "-v", "share:/s:nocopy", "busybox")
    failed = engine.pydocker("start", id)
    told = engine.ok("inspect", "-f", "{{.State.Error}}", id)
    for text in (failed.err, told, engine.ok("run", "--dry-run=sh", "-v", "share:/s:nocopy", "busybox")):
        assert "username=u,password=********" in text and "s3cret" not in text


@pytest.mark.parametrize("name", [".pydocker-filling", ".pydocker-filled"])
def test_what_a_container_makes_under_our_names_leads_nowhere(engine: Engine, tmp_path: Path, name: str) -> None:
    (tmp_path / "canary").mkdir()
    (tmp_path / "canary/file").write_text("of the host")
    (tmp_path / "volume").mkdir()
    create(engine, "bound", "none", str(tmp_path / "volume"), "bind")
    run(engine, "-v", "bound:/b", "busybox", "sh", "-c", f"ln -s ../canary /b/{name}; echo mine > /b/file")
    assert run(engine, "-v", "bound:/var", "busybox", "cat", "/var/file") == "mine"
    assert os.listdir(tmp_path / "volume") == ["file"]
    assert (tmp_path / "canary/file").read_text() == "of the host"
