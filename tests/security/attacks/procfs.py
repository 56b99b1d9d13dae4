"""/proc and /sys: what no namespace separates has to be hidden, and what is trusted has to be the kernel's (R3, R4)."""

import os
import subprocess

from tests.security.ground import MASKED, READ_ONLY, Ground
from tests.security.suite import NotApplicable, attack, attacked, held


@attack("CVE-2015-3630 CVE-2018-10892", rules="R4")
def masked_and_read_only(ground: Ground, times: int) -> str:
    """Files of /proc and /sys that speak of the host, or change it.

    Attack: read each masked path, write to it and to each file below the read-only ones, open them for writing, change
    their mode; as root with Docker's capabilities.
    Held: a masked file is the device 1:3 and empty, a masked directory is empty; every write fails, and so does chmod
    where the inode is the host's (see inode_of_the_hosts_null).
    Control: without maskedPaths and readonlyPaths some of these can be read, and some opened for writing.
    """
    listed = " ".join(MASKED)
    look = (f"for p in {listed}; do if [ -d $p ]; then echo D $p $(ls -A $p | wc -l); "
            "elif [ -e $p ]; then echo F $p $(stat -c %t:%T $p) $(head -c 9 $p | wc -c); fi; done; "
            f"for p in {listed} {' '.join(READ_ONLY)}; do [ -d $p ] && touch $p/made 2>/dev/null && echo MADE $p; "
            "chmod 666 $p 2>/dev/null; done; "
            "for f in $(find /proc/sys/kernel /proc/bus /proc/irq /proc/fs /proc/sysrq-trigger /proc/acpi /proc/asound "
            "/proc/scsi -type f 2>/dev/null); do ( : >> $f ) 2>/dev/null && echo OPEN $f; done; echo end")
    box = ground.box()
    done = box.sh(look)
    lines = done.stdout.splitlines()
    attacked(lines[-1:] == ["end"], done.stderr)
    for line in lines:
        word, _, rest = line.partition(" ")
        held(word not in ("MADE", "OPEN"), line)
        held(word != "D" or rest.endswith(" 0"), line)
        held(word != "F" or rest.endswith(" 1:3 0"), line)
    box.linux["maskedPaths"] = box.linux["readonlyPaths"] = []
    # Root could change what it finds then: the control only reads, and opens for appending.
    without = box.sh(look.replace("chmod 666", "false").replace("touch", "false")).stdout
    attacked("OPEN " in without and "F " in without, without[-300:])
    masked = sum(line[0] in "DF" for line in lines)
    return f"{masked} masked; {without.count('OPEN')} files that could be opened without are closed"


@attack("CVE-2015-3631", rules="R2 R3", quick=4, full=9)
def volumes_over_proc_and_sys(ground: Ground, times: int) -> str:
    """A volume on /proc lets the container write what the runtime, and its own security module, rely on.

    Attack: bind mounts and tmpfs on /proc, /proc/self, /proc/self/attr, /proc/sys/kernel, /proc/1, and by a path that
    only the kernel resolves to one of them (`/x/../proc`, a link of the image).
    Held: refused, or /proc is the kernel's (file system type 9fa0) at that place all the same.
    Control: the same volume elsewhere is mounted.
    """
    volume, tried = ground.volume(), 0
    (volume / "mark").write_text("fake\n")
    box = ground.box()
    box.mount("/elsewhere", volume)
    attacked(box.run("cat", "/elsewhere/mark").stdout == "fake\n", "a volume is not mounted at all")
    for place in ("/proc", "/proc/self/attr", "/x/../proc", "/link/self", "/proc/self", "/proc/sys/kernel", "/proc/1",
                  "/proc/", "//proc/./self")[:times]:
        for kind in ("bind", "tmpfs"):
            box = ground.box()
            (box.rootfs / "link").symlink_to("/proc")
            box.mount(place, volume if kind == "bind" else "tmpfs", kind)
            done = box.sh("cat /proc/mark; stat -f -c %t /proc /proc/self/attr /proc/sys/kernel /proc/1; ls /proc/1")
            types = done.stdout.split()[:4]
            held(done.returncode or types == ["9fa0"] * 4, f"{kind} on {place}: {done.stdout[:200]}")
            tried += 1
    return f"{tried} mounts: refused"


@attack("CVE-2019-16884 CVE-2023-27561 CVE-2023-28642 CVE-2019-19921", rules="R3")
def proc_is_a_link(ground: Ground, times: int) -> str:
    """The image's /proc or /sys is a link, so that the kernel's files are elsewhere, and the image's are written.

    Attack: /proc (and /sys) is a link to a directory of the image, to one of the host, to a volume; below it lie files
    that pose as attr/exec, oom_score_adj, sys/net/ipv4/ip_forward and get a label, a score, a sysctl.
    Held: refused, or the kernel's file system is what the program sees there; the posing files are what they were.
    Control: the same config with an ordinary /proc runs, and its sysctl has the value.
    """
    box = ground.box()
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    box.process["oomScoreAdj"] = 77
    look = "cat /proc/sys/net/ipv4/ip_forward /proc/self/oom_score_adj; stat -f -c %t /proc"
    done = box.sh(look)
    attacked(done.stdout == "1\n77\n9fa0\n", done.stdout + done.stderr)
    refused = 0
    for name in ("proc", "sys"):
        for target in ("/elsewhere", str(ground.canary), "/volume"):
            other = ground.box()
            other.linux["sysctl"], other.process["oomScoreAdj"] = box.linux["sysctl"], 77
            volume = ground.volume()
            for place in (other.rootfs / "elsewhere", volume):
                for posing in ("self/attr/exec", "self/oom_score_adj", "sys/net/ipv4/ip_forward"):
                    (place / posing).parent.mkdir(parents=True, exist_ok=True)
                    (place / posing).write_text("fake\n")
            other.config["mounts"].insert(0, {"destination": "/volume", "type": "bind", "source": str(volume),
                                              "options": ["rbind"]})
            (other.rootfs / name).rmdir()
            (other.rootfs / name).symlink_to(target)
            done = other.sh(look)
            held(done.returncode or done.stdout == "1\n77\n9fa0\n", f"{name} -> {target}: {done.stdout}")
            fakes = [path for place in (other.rootfs / "elsewhere", volume) for path in place.rglob("*")
                     if path.is_file() and path.read_text() != "fake\n"]
            held(not fakes, f"written: {fakes}")
            refused += done.returncode != 0
    return f"6 images, {refused} refused"


@attack("CVE-2022-0811", rules="R3 R14", quick=6, full=17)
def sysctls_of_the_host(ground: Ground, times: int) -> str:
    """A sysctl of config.json changes a parameter that no namespace separates.

    Attack: kernel.core_pattern and others of the host by their names, with slashes, `..`, doubled and leading dots;
    values that hold a `+`, newlines and a second assignment; with the container's own and with the host's network.
    Held: refused; the host's parameters are what they were.
    Control: a parameter of the container's own network namespace is set.
    """
    box = ground.box()
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    attacked(box.run("cat", "/proc/sys/net/ipv4/ip_forward").stdout == "1\n", "no sysctl can be set")
    evil = {"kernel.core_pattern": "|/x", "kernel/core_pattern": "|/x", "vm.swappiness": "3", "fs.suid_dumpable": "1",
            "net/../kernel/core_pattern": "|/x", "net.ipv4.../../../kernel/core_pattern": "|/x",
            "kernel.shm_rmid_forced": "1+kernel.core_pattern=|/x", "kernel.shm_rmid_forced ": "1",
            ".kernel.core_pattern": "x", "kernel..core_pattern": "x", "net": "1", "net.": "1", "": "1",
            "kernel.msgmax\nkernel.core_pattern": "8192", "/proc/sys/kernel/core_pattern": "x",
            "net./../../kernel/core_pattern": "x", "fs.mqueue.../../kernel/core_pattern": "x"}
    for key, value in list(evil.items())[:times]:
        box.linux["sysctl"] = {key: value}
        done = box.run("true")
        held(done.returncode, f"{key!r} = {value!r} was accepted")
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    box.share("network")
    box.drop("/sys")
    held(box.run("true").returncode, "the host's network was changed")
    return f"{times + 1} refused"


@attack("/dev/null of the host", rules="R4")
def inode_of_the_hosts_null(ground: Ground, times: int) -> str:
    """What covers a masked file, and a standard stream that is /dev/null, is the inode that all of the host uses.

    Attack: chmod and chown (to what they are) of /proc/keys (masked) and of the streams, which the caller has as
    /dev/null.
    Held: the inode of the host's device was not changed, by its ctime.
    Control: the streams are the host's device, by its number.
    """
    box = ground.box()
    script = ("for p in /proc/keys /proc/timer_list /proc/self/fd/0 /proc/self/fd/2; do "
              "chmod 666 $p; chown 0 $p; done; "
              "stat -L -c %t:%T /proc/self/fd/0")
    before = os.stat("/dev/null").st_ctime_ns
    done = box.sh(script, stdin=subprocess.DEVNULL)
    attacked(done.stdout, done.stderr)
    held(os.stat("/dev/null").st_ctime_ns == before, f"it was changed: {oct(os.stat('/dev/null').st_mode)}")
    if done.stdout != "1:3\n":
        raise NotApplicable("the program's streams are the runtime's own, not the host's device")
    return "mode and owner are what they were"
