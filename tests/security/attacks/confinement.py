"""Control groups: what they show, who may write them (R15)."""

import os
from pathlib import Path

from tests.leaks import hierarchies
from tests.security.ground import CGROUP_MOUNT, Box, Ground
from tests.security.suite import NotApplicable, attack, attacked, held

MIB = 1 << 20


def grouped(ground: Ground) -> Box:
    """A container that sees its cgroup."""
    box = ground.box()
    box.config["mounts"].append(CGROUP_MOUNT)
    return box


@attack("CVE-2022-0492", rules="R11 R12 R15")
def release_agent(ground: Ground, times: int) -> str:
    """A v1 hierarchy's release_agent is a program that the kernel runs on the host, as root.

    Attack: write release_agent and notify_on_release in every hierarchy that is shown, make child cgroups there; mount
    a hierarchy anew, in the container and in a new user and cgroup namespace.
    Held: every write fails, nothing is mounted; the hierarchies' files on the host are what they were.
    Control: there is a release_agent to be written on this host, and notify_on_release is shown inside.
    """
    if not any((one / "release_agent").exists() for one in hierarchies()):
        raise NotApplicable("no cgroup v1 here")
    box = grouped(ground)
    script = ("for d in /sys/fs/cgroup/*; do [ -e $d/notify_on_release ] && echo SEEN; "
              "( echo 1 > $d/notify_on_release ) 2>/dev/null && echo NOTIFY $d; "
              "( echo /x > $d/release_agent ) 2>/dev/null && echo AGENT $d; "
              "mkdir $d/made 2>/dev/null && echo MADE $d; done; "
              "mkdir /tmp/m; for c in memory pids rdma misc freezer; do "
              "mount -t cgroup -o $c cgroup /tmp/m 2>/dev/null && echo MOUNTED $c; done; "
              "busybox unshare -U -r -m -C sh -c 'mount -t cgroup -o pids cgroup /tmp/m && "
              "echo x > /tmp/m/release_agent' 2>/dev/null && echo AGENT; echo end")
    done = box.sh(script)
    attacked("SEEN" in done.stdout and "end" in done.stdout, done.stdout + done.stderr)
    evil = {*done.stdout.split()} & {"NOTIFY", "AGENT", "MADE", "MOUNTED"}
    held(not evil, done.stdout)
    return f"{done.stdout.count('SEEN')} hierarchies, none can be written"


@attack("CVE-2023-25809", rules="R15")
def cgroups_are_read_only(ground: Ground, times: int) -> str:
    """The cgroup file system is said to be read-only, and some part of it is not.

    Attack: write to each file of each hierarchy, with a cgroup namespace and without one.
    Held: every mount below /sys/fs/cgroup is `ro`; no file can be opened for writing.
    Control: with `rw` in the options some can be opened.
    """
    look = ("grep ' - cgroup' /proc/self/mountinfo; "
            "for f in $(find /sys/fs/cgroup -type f -name 'cgroup.procs' -o -name 'tasks' -o -name '*.max' -o -name "
            "'*limit_in_bytes'); do ( : >> $f ) 2>/dev/null && echo OPEN $f; done; echo end")
    mounts = 0
    for namespaced in (True, False):
        box = grouped(ground)
        if not namespaced:
            box.share("cgroup")
        done = box.sh(look)
        attacked("end" in done.stdout and "/sys/fs/cgroup" in done.stdout, done.stdout + done.stderr)
        held("OPEN" not in done.stdout, done.stdout)
        writable = [line for line in done.stdout.splitlines() if " - cgroup" in line and " ro," not in line]
        held(not writable, writable)
        mounts += done.stdout.count("\n") - 1
    box = grouped(ground)
    box.config["mounts"][-1] = {**CGROUP_MOUNT, "options": ["rw", "nosuid", "noexec", "nodev"]}
    attacked("OPEN" in box.sh(look).stdout, "even with rw nothing can be opened")
    return f"{mounts} mounts, with and without a namespace: ro"


@attack("cgroup namespace", rules="R15")
def what_is_seen_of_other_groups(ground: Ground, times: int) -> str:
    """Names and limits of the host's other cgroups are seen inside, in /proc/self/cgroup and in the file system.

    Attack: read /proc/1/cgroup, list the hierarchies, look for the host's own cgroup above with `..`.
    Held: every path of /proc/1/cgroup is `/`; the session's other cgroups are not to be found.
    Control: on the host, /proc/PID/cgroup of the same process names the session.
    """
    box = grouped(ground)
    started = box.start("sh", "-c", "cut -d: -f3 /proc/1/cgroup; ls /sys/fs/cgroup/*/; ls /sys/fs/cgroup/*/..; "
                                    "echo end; sleep 100")
    held(started.returncode == 0, started.stderr)
    attacked(box.await_output("end"), box.output)
    host = Path(f"/proc/{box.pid()}/cgroup").read_text()
    attacked(ground.scope.token in host, host)
    held(ground.scope.token not in box.output, box.output)
    paths = {line for line in box.output.splitlines() if line.startswith("/") and not line.startswith("/sys")}
    held(paths == {"/"}, paths)
    return "/proc/1/cgroup says / everywhere"


@attack("CVE-2015-1335", rules="R2 R11")
def leaving_the_root(ground: Ground, times: int) -> str:
    """The old ways out: chroot and `..`, the root of process 1, a mount of the disk, a device of the disk.

    Attack: as root with Docker's capabilities: chroot into a directory and climb; look through /proc/1/root; make the
    disk's node and read it; mount procfs, sysfs and a tmpfs; remount / read-write; pivot.
    Held: the canary's secret is never read, nothing is mounted.
    Control: with CAP_SYS_ADMIN a tmpfs is mounted; the canary is where the attack looks for it, on the host.
    """
    attacked((ground.canary / "secret").exists(), "there is no canary")
    disk = os.stat(ground.canary).st_dev
    climb = "/".join([".."] * 30)
    script = (f"cd {climb}; cat .{ground.canary}/secret; cat /proc/1/root{ground.canary}/secret; "
              f"mkdir /tmp/c; busybox chroot /tmp/c /bin/true; "
              f"mknod /tmp/disk b {os.major(disk)} {os.minor(disk)} && head -c 4096 /tmp/disk | wc -c; "
              "for t in proc sysfs tmpfs; do mount -t $t x /tmp/c && echo MOUNTED $t; done; "
              "mount -o remount,rw / && echo MOUNTED rw; umount /proc && echo UMOUNTED; echo end")
    box = ground.box()
    done = box.sh(script)
    attacked("end" in done.stdout, done.stderr)
    held("the host's" not in done.stdout and "MOUNTED" not in done.stdout, done.stdout)
    held("4096" not in done.stdout, f"the disk was read: {done.stdout}")
    box.more("CAP_SYS_ADMIN")
    attacked("MOUNTED tmpfs" in box.sh(script).stdout, "even CAP_SYS_ADMIN mounts nothing")
    return "no way out"


@attack("tmpcopyup", rules="R15 R16")
def copies_that_nobody_counts(ground: Ground, times: int) -> str:
    """What a runtime copies from the image into a tmpfs takes memory, as much as the image likes.

    Attack: a directory of 64 MiB that is to be copied up, in a container that may use 32 MiB.
    Held: it does not start.
    Control: with 256 MiB it does, and the copy is there.
    """
    def copied(limit: int) -> tuple[str, str]:
        box = ground.box()
        (box.rootfs / "var").mkdir()
        (box.rootfs / "var/large").write_bytes(bytes(64 * MIB))
        box.mount("/var", "tmpfs", "tmpfs", "tmpcopyup")
        box.linux["resources"]["memory"] = {"limit": limit, "swap": limit}
        done = box.sh("wc -c /var/large; grep ' /var ' /proc/mounts")
        box.delete()
        return done.stdout, done.stderr

    out, err = copied(256 * MIB)
    attacked(f"{64 * MIB} /var/large" in out and " tmpfs " in out, out + err)
    out, err = copied(32 * MIB)
    held(str(64 * MIB) not in out, f"64 MiB were copied beside a limit of 32: {out}")
    return err
