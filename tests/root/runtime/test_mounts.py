"""The options of mounts, one by one, as the kernel shows them; idmapped ones; and clocks that begin elsewhere."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from runtime.linux.mountinfo import MountPoint, mountinfo
from tests.leaks import remove_tree
from tests.root.runtime.conftest import Runtime
from tests.waiting import wait_until

PROC = {"destination": "/proc", "type": "proc"}
DEV = {"destination": "/dev", "type": "tmpfs"}
MAPS = {"uidMappings": [{"containerID": 0, "hostID": 4000, "size": 10}],
        "gidMappings": [{"containerID": 0, "hostID": 5000, "size": 10}]}


def shown(runtime: Runtime, *mounts: dict[str, Any]) -> dict[str, MountPoint]:
    """The mounts of a container that has these."""
    runtime.configure("sleep", "100")
    runtime.change(mounts=[PROC, *mounts])
    runtime.create()
    return {mount.target: mount for mount in mountinfo(runtime.pid())}


@pytest.fixture
def volume(runtime: Runtime) -> Path:
    """A directory with a file, and a mount below."""
    volume = runtime.directory / "volume"
    (volume / "below").mkdir(parents=True)
    (volume / "file").write_text("content\n")
    other = runtime.directory / "other"  # of a disk: a tmpfs takes no idmapped mount before Linux 6.3
    other.mkdir()
    subprocess.run(["mount", "--bind", other, volume / "below"], check=True)
    (volume / "below/inner").write_text("inner\n")
    yield volume
    subprocess.run(["umount", volume / "below"], check=True)
    remove_tree(volume)


ATTRIBUTES = [
    (["ro"], "ro", "rw"), (["rro"], "ro", "ro"), (["rro", "rw"], "ro", "ro"), (["nosuid"], "nosuid", ""),
    (["rnosuid"], "nosuid", "nosuid"), (["rnodev", "rnoexec"], "noexec", "nodev"), (["noatime"], "noatime", "relatime"),
    (["rnoatime"], "noatime", "noatime"), (["rnodiratime"], "nodiratime", "nodiratime"),
    (["rnosymfollow"], "nosymfollow", "nosymfollow"), (["nosymfollow", "symfollow"], "", ""),
    (["rnoatime", "rrelatime"], "relatime", "relatime"), (["ro", "rrw"], "rw", "rw"),
    (["sync", "silent", "nolazytime", "iversion"], "rw", "rw"),
]


def test_attributes_with_and_without_recursion(runtime: Runtime, volume: Path) -> None:
    found = shown(runtime, *({"destination": f"/v{number}", "source": str(volume), "options": ["rbind", *options]}
                             for number, (options, _, _) in enumerate(ATTRIBUTES)))
    for number, (options, top, below) in enumerate(ATTRIBUTES):
        upper, lower = found[f"/v{number}"].options, found[f"/v{number}/below"].options
        assert top in ("", *upper) and below in ("", *lower), options
        assert ("nosuid" in upper) == ("nosuid" in top), options


OF_A_NEW_ONE: list[tuple[list[str], set[str]]] = [
    (["rro", "rnosuid"], {"ro", "nosuid"}), (["rnoatime"], {"noatime"}), (["strictatime"], {"rw"}),
    (["nosymfollow"], {"nosymfollow"}), (["silent", "loud", "async", "mand", "defaults"], {"rw", "relatime"}),
]


def test_attributes_of_a_new_file_system(runtime: Runtime) -> None:
    found = shown(runtime, *({"destination": f"/t{number}", "type": "tmpfs", "options": options}
                             for number, (options, _) in enumerate(OF_A_NEW_ONE)))
    for number, (options, expected) in enumerate(OF_A_NEW_ONE):
        assert expected <= {*found[f"/t{number}"].options}, options
    assert "relatime" not in found["/t2"].options


@pytest.mark.parametrize(("change", "words"), [
    ({"options": ["bind", "rnofoo"]}, "a bind mount has no option 'rnofoo' - at `$.mounts[1].options`"),
    ({"options": ["bind", "rprivat"]}, "a bind mount has no option 'rprivat' - at `$.mounts[1].options`"),
    ({"type": "tmpfs", "options": ["rprivat"]}, "tmpfs: Unknown parameter 'rprivat'"),
    ({"type": "tmpfs", "options": ["idmap"], **MAPS}, "only supported for bind-mounts - at `$.mounts[1].options`"),
    ({"options": ["bind", "idmap"]}, "needs uidMappings and gidMappings, or a user namespace"),
    ({"options": ["bind"], "uidMappings": MAPS["uidMappings"]}, "`$.mounts[1].gidMappings`"),
    ({"options": ["bind", "idmap"], "source": "/proc", **MAPS}, "map the ids of /v"),
])
def test_what_cannot_be_is_named(runtime: Runtime, change: dict[str, Any], words: str) -> None:
    runtime.configure("true")
    runtime.change(mounts=[PROC, {"destination": "/v", "source": str(runtime.directory), **change}])
    done = runtime.run()
    assert done.returncode == 1 and words in done.stderr.replace("tmpfs: unknown", "tmpfs: Unknown"), done.stderr


@pytest.mark.parametrize("options", [["rbind", "idmap"], ["rbind"], ["rbind", "ridmap"]])
def test_idmapped(runtime: Runtime, volume: Path, options: list[str]) -> None:
    """The disk's user 0 is user 4000 by way of the mount; below only if that was asked for."""
    runtime.configure("sh", "-c", "stat -c '%u %g' /v/file /v/below/inner; touch /v/new 2>&1 || true")
    runtime.change(mounts=[PROC, {"destination": "/v", "source": str(volume), "options": options, **MAPS}])
    done = runtime.run()
    below = "4000 5000" if "ridmap" in options else "0 0"
    assert done.stdout.splitlines()[:2] == ["4000 5000", below], done.stderr
    assert (volume / "file").stat().st_uid == 0


def test_idmapped_like_the_container(runtime: Runtime, volume: Path) -> None:
    """What is user 0's on the disk is the mapped root's, and what that makes is user 0's on the disk."""
    runtime.configure("sh", "-c", "stat -c '%u %g' /v/file /v/below/inner /plain/file; touch /v/new; chown 7:8 /v/new; "
                                  "stat -c '%u %g' /v/new")
    maps = [{"containerID": 0, "hostID": 300000, "size": 65536}]
    source = {"source": str(volume), "type": "bind"}
    runtime.change(linux__uidMappings=maps, linux__gidMappings=maps,
                   linux__namespaces=[{"type": kind} for kind in ("mount", "pid", "user", "uts", "network", "ipc")],
                   mounts=[PROC, {"destination": "/v", "options": ["rbind", "ridmap"], **source},
                           {"destination": "/plain", "options": ["bind"], **source}])
    subprocess.run(["chown", "-R", "300000:300000", runtime.rootfs], check=True)
    done = runtime.run()
    assert done.stdout.splitlines() == ["0 0", "0 0", "65534 65534", "7 8"], done.stderr
    new = (volume / "new").stat()
    assert (new.st_uid, new.st_gid) == (7, 8)


def test_a_tmpfs_is_as_the_directory_there_was(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "stat -c %a /strict /own /missing; ls -a /strict")
    (runtime.rootfs / "strict").mkdir(mode=0o750)
    (runtime.rootfs / "strict/file").touch()
    (runtime.rootfs / "own").mkdir()
    runtime.change(mounts=[PROC, {"destination": "/strict", "type": "tmpfs"},
                           {"destination": "/missing", "type": "tmpfs"},
                           {"destination": "/own", "type": "tmpfs", "options": ["mode=700"]}])
    assert runtime.run().stdout.split() == ["750", "700", "1777", ".", ".."]


def test_tmpcopyup(runtime: Runtime) -> None:
    there = runtime.rootfs / "there"
    (there / "sub").mkdir(parents=True, mode=0o711)
    (there / "sub/file").write_text("x" * 100_000)
    os.chown(there / "sub/file", 5, 6)
    (there / "sub/file").chmod(0o4751)
    os.setxattr(there / "sub/file", "user.name", b"value")
    os.utime(there / "sub/file", (1, 1))
    (there / "link").symlink_to("/etc/passwd")
    os.mkfifo(there / "fifo")
    os.mknod(there / "null", 0o20666, os.makedev(1, 3))
    there.chmod(0o1755)
    script = ("cd /there; stat -c '%n %F %a %u %Y %s' . sub sub/file; readlink link; stat -c '%F %t:%T' null fifo; "
              "echo new > sub/file; rm link; touch /read-only/x")
    runtime.configure("sh", "-c", script)
    runtime.change(mounts=[PROC, {"destination": "/there", "type": "tmpfs", "options": ["tmpcopyup", "nosuid"]},
                           {"destination": "/read-only", "type": "tmpfs", "options": ["tmpcopyup", "ro"]}])
    done = runtime.run()
    lines = done.stdout.splitlines()
    assert lines[0].startswith(". directory 1755 0 ") and lines[1].startswith("sub directory 711 0 ")
    assert lines[2:] == ["sub/file regular file 4751 5 1 100000", "/etc/passwd", "character special file 1:3",
                         "fifo 0:0"]
    assert "/read-only/x: Read-only file system" in done.stderr
    assert (there / "link").is_symlink() and (there / "sub/file").stat().st_size == 100_000


def test_remount(runtime: Runtime, volume: Path) -> None:
    found = shown(runtime, {"destination": "/t", "type": "tmpfs", "options": ["size=1m", "nosuid"]},
                  {"destination": "/t", "type": "tmpfs", "options": ["remount", "size=2m", "noexec"]},
                  {"destination": "/b", "source": str(volume), "options": ["bind"]},
                  {"destination": "/b", "options": ["remount", "bind", "ro", "nodev"]})
    assert "size=2048k" in found["/t"].super_options and {"nosuid", "noexec"} <= {*found["/t"].options}
    assert {"ro", "nodev"} <= {*found["/b"].options}


@pytest.mark.parametrize(("asked", "expected"), [("rshared", "shared:"), ("private", ""), ("rslave", "master:"),
                                                 ("unbindable", "unbindable")])
def test_propagation_of_the_root(runtime: Runtime, asked: str, expected: str) -> None:
    runtime.configure("sleep", "100")
    runtime.change(linux__rootfsPropagation=asked, mounts=[PROC])
    runtime.create()
    (root,) = [mount for mount in mountinfo(runtime.pid()) if mount.target == "/"]
    assert expected in " ".join(root.propagation) and bool(expected) == bool(root.propagation)


@pytest.mark.parametrize("user", [False, True])
@pytest.mark.parametrize(("options", "reaches"), [(["rbind", "rshared"], True), (["rbind", "rslave"], False),
                                                  (["rbind", "rprivate"], False)])
def test_propagation_of_a_volume(runtime: Runtime, volume: Path, options: list[str], reaches: bool, user: bool) -> None:
    """What the container mounts in a shared volume reaches the host, unless a user namespace stands between."""
    subprocess.run(["mount", "--bind", volume, volume], check=True)
    try:
        subprocess.run(["mount", "--make-shared", volume], check=True)
        runtime.configure("sh", "-c", "mkdir -p /v/made && mount -t tmpfs mine /v/made && sleep 100")
        sets = {kind: ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"] for kind in ("bounding", "effective", "permitted")}
        runtime.change(process__capabilities=sets, linux__rootfsPropagation="rshared",
                       mounts=[PROC, {"destination": "/v", "source": str(volume), "options": options}])
        if user:
            maps = [{"containerID": 0, "hostID": 0, "size": 65536}]
            runtime.change(linux__uidMappings=maps, linux__gidMappings=maps,
                           linux__namespaces=[{"type": kind} for kind in ("mount", "pid", "user", "uts")])
        runtime.create()
        runtime("start", "c", check=True)
        made = str(volume / "made")
        pid = runtime.pid()
        wait_until(lambda: any(mount.target.endswith("/v/made") for mount in mountinfo(pid)))
        assert (made in [mount.target for mount in mountinfo()]) == (reaches and not user)
    finally:
        runtime("delete", "--force", "c")
        subprocess.run(["umount", "-l", volume], check=True)


def test_no_pivot(runtime: Runtime) -> None:
    """The root is moved and changed to; the host's /proc and /sys are not below it any more."""
    runtime.configure("sh", "-c", "cat /proc/self/mountinfo; ls /")
    done = runtime("run", "--no-pivot", "--bundle", str(runtime.bundle), "c")
    lines = done.stdout.splitlines()
    assert {"bin", "etc", "proc"} <= set(lines), done.stderr
    runtime.configure("sleep", "100")
    runtime("create", "--no-pivot", "--bundle", str(runtime.bundle), "c", check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
    # Seen from the host's root of that mount namespace, which still lies below.
    everything = subprocess.run(["nsenter", "--mount", "--target", str(runtime.pid()), "cat", "/proc/self/mountinfo"],
                                capture_output=True, text=True, check=False)
    assert everything.returncode != 0 or not [line for line in everything.stdout.splitlines() if " - sysfs" in line
                                              and line.split()[4] == "/sys" and "rw" in line.split()[5]]


OFFSETS = {"boottime": {"secs": 1_000_000, "nanosecs": 5}, "monotonic": {"secs": -7}}
READ_CLOCKS = "cat /proc/uptime /proc/self/timens_offsets"


@pytest.mark.parametrize("user", [False, True])
def test_time_namespace(runtime: Runtime, user: bool) -> None:
    runtime.configure("sh", "-c", f"{READ_CLOCKS}; sleep 100")
    namespaces = [{"type": kind} for kind in ("mount", "pid", "time", *(["user"] if user else []))]
    maps = [{"containerID": 0, "hostID": 0, "size": 65536}] if user else []
    runtime.change(linux__namespaces=namespaces, linux__timeOffsets=OFFSETS, hostname="", mounts=[PROC, DEV],
                   linux__uidMappings=maps, linux__gidMappings=maps)
    runtime.create()
    runtime("start", "c", check=True)
    pid = runtime.pid()
    assert os.readlink(f"/proc/{pid}/ns/time") != os.readlink("/proc/self/ns/time")
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    done = runtime("exec", "c", "sh", "-c", READ_CLOCKS)
    uptime, _, *rows = done.stdout.split()
    assert rows == ["monotonic", "-7", "0", "boottime", "1000000", "5"]
    assert before - 0.01 <= float(uptime) - 1_000_000 <= time.clock_gettime(time.CLOCK_BOOTTIME) + 0.01
    runtime.configure("sh", "-c", "readlink /proc/self/ns/time; cat /proc/uptime")
    runtime.change(linux__namespaces=[{"type": "mount"}, {"type": "time", "path": f"/proc/{pid}/ns/time"}], hostname="",
                   linux__cgroupsPath=runtime.cgroup + "-2", mounts=[PROC])
    joined = runtime("run", "--bundle", str(runtime.bundle), "c2")
    assert joined.returncode == 0, joined.stderr
    link, uptime, _ = joined.stdout.split()
    assert link == os.readlink(f"/proc/{pid}/ns/time") and float(uptime) > 1_000_000


@pytest.mark.parametrize(("offsets", "namespaces", "words"), [
    ({"tai": {"secs": 1}}, [{"type": "time"}], "unknown clock 'tai'"),
    ({"boottime": {"secs": 1}}, [], "time namespace isn't enabled in the config"),
    ({"boottime": {"secs": 1}}, [{"type": "time", "path": "/proc/self/ns/time"}],
     "both namespace path and time offsets"),
    ({"boottime": {"nanosecs": 10**9}}, [{"type": "time"}], "nanosecs`"),
    ({"boottime": {"secs": -(10**10)}}, [{"type": "time"}], "`$.linux.timeOffsets['boottime'].secs`"),
    ({"boottime": {"secs": -(10**9)}}, [{"type": "time"}], "boottime -1000000000 0): numerical result out of range"),
    ({}, [{"type": "time", "path": "/proc/self/ns/ipc"}], "time namespace /proc/self/ns/ipc: this is a ipc namespace"),
])
def test_clocks_that_cannot_be(runtime: Runtime, offsets: dict[str, Any], namespaces: list[Any], words: str) -> None:
    runtime.configure("true")
    runtime.change(linux__timeOffsets=offsets, linux__namespaces=[{"type": "mount"}, *namespaces], hostname="")
    done = runtime.run()
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("word", ("rslave", "rprivate", "rshared"))
def test_propagation_below_a_shared_mount_is_what_was_asked_for(runtime: Runtime, volume: Path, word: str) -> None:
    """By the kernel's own rule, what is attached there is shared."""
    found = shown(runtime, {"destination": "/up", "type": "tmpfs", "options": ["rshared"]},
                  {"destination": "/up/volume", "type": "bind", "source": str(volume), "options": ["bind", word]},
                  {"destination": "/up/tmpfs", "type": "tmpfs", "options": [word]})
    kinds = {place: {one.partition(":")[0] for one in found[place].propagation}
             for place in ("/up", "/up/volume", "/up/tmpfs")}
    assert "shared" in kinds["/up"]
    assert [("shared" in kinds[place]) for place in ("/up/volume", "/up/tmpfs")] == [word == "rshared"] * 2, kinds
    assert ("master" in kinds["/up/volume"]) is (word != "rprivate")
