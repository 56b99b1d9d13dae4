"""What stays open: a descriptor of the host's in a process of the container's leads out of every root (R7)."""

import os
from pathlib import Path

from tests.security.ground import Ground
from tests.security.suite import attack, attacked, held

# What a directory of the host has and the container's root has not.
HOSTS = {"home", "usr", "var", "boot", "lib"}


@attack("CVE-2015-3627 CVE-2016-9962", rules="R7")
def descriptors_of_a_created_container(ground: Ground, times: int) -> str:
    """A container that was created, not started, still has what its runtime had open.

    Attack: the caller has a directory of the host open, not close-on-exec; the container is created and its first
    process's descriptors are listed, then those of the program, and those of a program of `exec`.
    Held: nothing but pipes, sockets, the streams, and the runtime's own FIFO or files in memory; never a directory.
    Control: the caller's descriptor is inheritable: a child that is no runtime has it.
    """
    box = ground.box()
    leaked = os.open(ground.canary, os.O_RDONLY)
    try:
        os.set_inheritable(leaked, True)
        mine = {"pass_fds": (leaked,)}
        seen = ground.runs("readlink", f"/proc/self/fd/{leaked}", stdout=-1, **mine).communicate()[0]
        attacked(seen.strip() == str(ground.canary), "a child does not inherit it")
        created = box.create("sh", "-c", "ls -l /proc/self/fd /proc/1/fd; echo listed; sleep 100", **mine)
    finally:
        os.close(leaked)
    held(created.returncode == 0, created.stderr)
    others = [os.readlink(link) for link in Path(f"/proc/{box.pid()}/fd").iterdir() if int(link.name) > 2]
    evil = [one for one in others if one.startswith("/") and not one.endswith("/exec.fifo")
            and not one.startswith(("/memfd:", "/dev/null", "/dev/pts"))]
    held(not evil, f"the created container has {evil}")
    box.call("start", box.id)
    attacked(box.await_output("listed"), box.output)
    held(str(ground.directory) not in box.output.replace(str(box.bundle), ""), box.output)
    done = box.exec("ls", "-l", "/proc/self/fd")
    numbers = [line for line in done.stdout.splitlines() if "->" in line and not line.endswith("/fd")]
    held(len(numbers) == 3 and done.returncode == 0, done.stdout + done.stderr)
    return f"created: {len(others)} besides the streams; the program and exec: only the streams"


@attack("CVE-2024-21626", rules="R7", quick=5, full=65)
def working_directory_by_descriptor(ground: Ground, times: int) -> str:
    """A descriptor that the runtime left open leads to the host, and the working directory goes through it.

    Attack: process.cwd, and the cwd of `exec`, is /proc/self/fd/N (and /proc/1/fd/N) for many N; the program then
    lists its directory and four above it.
    Held: refused, or inside: nothing of the host's root is seen.
    Control: the same program in the host's own root sees the host; some of the attempts fail with the runtime's words,
    the ones that do not ran the program.
    """
    look = "pwd; ls . ../../../.. | head -n 40"
    attacked(HOSTS & {*os.listdir("/")}, "the host's root has none of the names")
    box, ran = ground.box(), 0
    for number in range(times):
        for path in (f"/proc/self/fd/{number}", f"/proc/1/fd/{number}"):
            box.process["cwd"] = path
            done = box.sh(look)
            held(not HOSTS & {*done.stdout.split()}, f"{path}: {done.stdout}")
            ran += done.returncode == 0
    other = ground.box()
    held(other.start("sleep", "100").returncode == 0, "does not start")
    for number in range(times):
        done = other.exec("--cwd", f"/proc/self/fd/{number}", "--", "sh", "-c", look)
        held(not HOSTS & {*done.stdout.split()}, f"exec {number}: {done.stdout}")
        ran += done.returncode == 0
    return f"{3 * times} attempts, {ran} ran a program, none outside"
