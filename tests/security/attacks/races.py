"""Races: somebody with the same volume exchanges names while the runtime works with them (R1 to R4).

The attacker is a program of the host that touches the shared volume only: it has the power of a container that has the
volume, and is faster. Each race first proves that it can be won: a stand-in for a careless runtime, which checks a path
and then uses it, has to lose it.
"""

import os
import socket
import stat
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.security.canary import HARMLESS
from tests.security.ground import Box, Ground
from tests.security.suite import attack, attacked, held

MARK = "mark-of-the-race"
FAKES = ("attr/exec", "oom_score_adj", "somaxconn")


def careless(root: Path, path: str, forbidden: str, tries: int = 200_000) -> int:
    """How often a check of the path (realpath) passes and its use (open) ends in what was forbidden; stops at three,
    or after so many tries; without any, after a minute.
    """
    lost, tried, deadline = 0, 0, time.monotonic() + 60
    while lost < 3 and (tried < tries or (not lost and time.monotonic() < deadline)):
        tried += 1
        with suppress(OSError):
            if os.path.realpath(root / path).startswith(forbidden):
                continue
            fd = os.open(root / path, os.O_PATH)
            try:
                lost += os.readlink(f"/proc/self/fd/{fd}").startswith(forbidden)
            finally:
                os.close(fd)
    return lost


def where(box: Box, text: str) -> str:
    """The mount point of the marked file system in the container's mountinfo; nothing where it is not to be seen."""
    points = [line.split()[4] for line in text.splitlines() if f" {MARK} " in line]
    return points[0] if points else ""


@attack("CVE-2021-30465", rules="R1 R2", quick=4, full=1000)
def target_of_a_mount(ground: Ground, times: int) -> str:
    """The target of a mount is exchanged for a link to the host between being resolved and being mounted on.

    Attack: /volume is shared; /volume/target, on which a tmpfs is to be mounted, is exchanged all the time for a link
    to the canary's directory, during thousands of starts.
    Held: the tmpfs is always to be seen in the container (wherever the link leads *inside*), or the start was refused:
    had it landed on the host's directory, the container would not have it. The canary is what it was.
    Control: a careless check of the same path loses the race; starts ended in different places.
    """
    volume, ends = ground.volume(), dict.fromkeys(("target", "link", "refused"), 0)
    (volume / "target").mkdir()
    (volume / "link").symlink_to(ground.canary)
    box = ground.box()
    box.mount("/volume", volume)
    box.mount("/volume/target", MARK, "tmpfs")
    with ground.swapping(volume / "target", volume / "link") as swaps:
        lost = careless(volume, "target", str(ground.canary))
        for _ in range(times):
            done = box.run("cat", "/proc/self/mountinfo")
            place = where(box, done.stdout)
            held(done.returncode or place, f"mounted outside: {done.stdout}")
            ends["refused" if done.returncode else "target" if place.startswith("/volume") else "link"] += 1
    attacked(lost and swaps[0] > 100 * times, f"{swaps[0]} exchanges, a careless check lost {lost} times")
    return told(times, swaps[0], ends)


def told(times: int, swaps: int, ends: dict[str, int]) -> str:
    spread = ", ".join(f"{word} {number}" for word, number in ends.items())
    return f"{times} starts, {swaps} exchanges ({spread})"


@attack("CVE-2024-45310 CVE-2026-41568", rules="R1", quick=4, full=1000)
def directories_that_are_made(ground: Ground, times: int) -> str:
    """The missing directories of a mount target are made on the host, because a component is exchanged meanwhile.

    Attack: /volume/a is exchanged for a link to the canary's directory, while a tmpfs is mounted on /volume/a/b/c/d
    and a file is bound to /volume/a/e/f/file; after each start what was made below is taken away again.
    Held: no name appears in the canary's directory; its tree is what it was.
    Control: a careless check of /volume/a loses the race.
    """
    volume, ends = ground.volume(), dict.fromkeys(("ran", "refused"), 0)
    (volume / "a").mkdir()
    (volume / "z").symlink_to(ground.canary)
    (ground.directory / "file").write_text("bound\n")
    names = {*os.listdir(ground.canary)}
    box = ground.box()
    box.mount("/volume", volume)
    box.mount("/volume/a/b/c/d", MARK, "tmpfs")
    box.mount("/volume/a/e/f/file", ground.directory / "file")
    with ground.swapping(volume / "a", volume / "z") as swaps:
        lost = careless(volume, "a", str(ground.canary))
        for _ in range(times):
            done = box.run("true")
            ends["refused" if done.returncode else "ran"] += 1
            held({*os.listdir(ground.canary)} == names, f"made on the host: {os.listdir(ground.canary)}")
            for name in ("a", "z"):
                take_away(volume / name)
    attacked(lost and swaps[0] > 100 * times, f"{swaps[0]} exchanges, a careless check lost {lost} times")
    return told(times, swaps[0], ends)


def take_away(directory: Path) -> None:
    """Remove what a start made, if this is the directory now; by descriptor, as it is exchanged all the time."""
    with suppress(OSError):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            for path, made in (("b/c/d", True), ("b/c", True), ("b", True), ("e/f/file", False), ("e/f", True),
                               ("e", True)):
                with suppress(OSError):
                    (os.rmdir if made else os.unlink)(path, dir_fd=fd)
        finally:
            os.close(fd)


@attack("CVE-2025-31133", rules="R4", quick=4, full=600)
def null_that_masks(ground: Ground, times: int) -> str:
    """The container's /dev/null, with which files are masked, is exchanged for a link into /proc/sys.

    Attack: /dev is a shared volume whose `null` is exchanged for a link to a parameter of the kernel; the program
    writes to each masked file.
    Held: whatever ran has the device 1:3 on its masked files (file system other than procfs); the host's parameter is
    what it was.
    Control: a careless check of the device loses the race.
    """
    volume, ends = ground.volume(), dict.fromkeys(("ran", "refused"), 0)
    os.mknod(volume / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (volume / "link").symlink_to(f"/proc/sys/{HARMLESS}")
    for name in ("pts", "shm"):
        (volume / name).mkdir()
    box = ground.box()
    box.config["mounts"] = [one for one in box.config["mounts"] if one["destination"] != "/dev"]
    box.config["mounts"].insert(1, {"destination": "/dev", "type": "bind", "source": str(volume),
                                    "options": ["rbind"]})
    box.linux["maskedPaths"] = ["/proc/keys", "/proc/timer_list", "/proc/kcore"]
    look = ("for p in /proc/keys /proc/timer_list /proc/kcore; do [ -e $p ] && stat -c %t:%T $p; echo 17 > $p; done")
    with ground.swapping(volume / "null", volume / "link") as swaps:
        lost = careless(volume, "null", "/proc/sys")
        for _ in range(times):
            done = box.sh(look)
            held({*done.stdout.split()} <= {"1:3"}, f"masked with {done.stdout} {done.stderr}")
            ends["ran" if done.stdout else "refused"] += 1
    attacked(lost and swaps[0] > 100 * times, f"{swaps[0]} exchanges, a careless check lost {lost} times")
    return told(times, swaps[0], ends)


@attack("CVE-2025-52565", rules="R4", quick=3, full=300)
def terminal_that_is_bound(ground: Ground, times: int) -> str:
    """The terminal's path below /dev, or /dev/console on which it is bound, is exchanged for a link.

    Attack: /dev is a shared volume; `pts` is exchanged for a link to a directory of the same names on the host, and
    `console` for a link to the canary's secret, while containers with a terminal start.
    Held: /dev/console and the streams inside are pseudo-terminals (character device 136:N), or the start was refused;
    the canary is what it was.
    Control: a careless check of /dev/console loses the race.
    """
    volume, ends = ground.volume(), dict.fromkeys(("ran", "refused"), 0)
    (volume / "console").touch()
    (volume / "console-link").symlink_to(ground.canary / "secret")
    (volume / "pts").mkdir()
    (volume / "pts-link").symlink_to(ground.canary)
    box = ground.box()
    box.config["mounts"] = [one for one in box.config["mounts"] if one["destination"] != "/dev"]
    box.config["mounts"].insert(1, {"destination": "/dev", "type": "bind", "source": str(volume),
                                    "options": ["rbind"]})
    box.process["terminal"] = True
    look = ("stat -L -c %t /proc/self/fd/0 /dev/console > /result 2>&1; "
            "echo overwritten > /dev/console; grep -c console /proc/self/mountinfo >> /result; echo end >> /result")
    attacked(with_terminal(ground, box, look), "no container with a terminal can be started")
    with (ground.swapping(volume / "console", volume / "console-link") as swaps,
          ground.swapping(volume / "pts", volume / "pts-link")):
        lost = careless(volume, "console", str(ground.canary))
        for _ in range(times):
            (box.rootfs / "result").unlink(missing_ok=True)
            ran = with_terminal(ground, box, look)
            text = (box.rootfs / "result").read_text().split() if (box.rootfs / "result").exists() else []
            held(not ran or text[:1] == ["88"], f"standard input is {text}")
            held((ground.canary / "secret").read_text() == "the host's\n", "the canary's file was written")
            ends["ran" if ran else "refused"] += 1
    attacked(lost and swaps[0] > 100 * times, f"{swaps[0]} exchanges, a careless check lost {lost} times")
    return told(times, swaps[0], ends)


def with_terminal(ground: Ground, box: Box, script: str) -> bool:
    """Create and start it with a console socket, and wait for its end; whether it ran."""
    path = ground.directory / "console.sock"
    path.unlink(missing_ok=True)
    masters: list[int] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(60)
        receiver = threading.Thread(target=receive, args=(listener, masters))
        receiver.start()
        box.write("sh", "-c", script)
        box.made = True
        done = box.call("create", "--bundle", str(box.bundle), "--console-socket", str(path), box.id,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started = done.returncode == 0 and box.call("start", box.id).returncode == 0
        if started:
            wait_for(box.rootfs / "result", "end")
        else:  # let the receiver go, if nobody connected
            with suppress(OSError), socket.socket(socket.AF_UNIX) as nobody:
                nobody.connect(str(path))
        receiver.join()
    for master in masters:
        os.close(master)
    box.delete()
    return started


def receive(listener: socket.socket, masters: list[int]) -> None:
    with suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(60)
            masters += socket.recv_fds(connection, 4096, 1)[1]


def wait_for(path: Path, word: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (path.exists() and word in path.read_text()):
        time.sleep(0.005)


@attack("CVE-2025-52881 CVE-2019-19921", rules="R3", quick=4, full=600)
def writes_to_proc_that_are_redirected(ground: Ground, times: int) -> str:
    """What the runtime writes to /proc (labels, scores, sysctls) ends in a file of the attacker's, or in another one.

    Attack: a volume is to be mounted on /shared/x, which is exchanged for a link to /proc/self, and one on /shared/y,
    exchanged for a link to /proc/sys/net/core; the volume holds files that pose as attr/exec, oom_score_adj, somaxconn.
    The config asks for a score and for net.core.somaxconn.
    Held: inside, /proc/self and /proc/sys/net/core are procfs, score and sysctl have their values; the posing files are
    what they were; or the start was refused.
    Control: a careless check of /shared/x loses the race; some starts went well, some met the link.
    """
    shared, fake, ends = ground.volume("shared"), ground.volume("fake"), dict.fromkeys(("ran", "refused"), 0)
    for name in FAKES:
        (fake / name).parent.mkdir(exist_ok=True)
        (fake / name).write_text("fake\n")
    for name, to in (("x", "/proc/self"), ("y", "/proc/sys/net/core")):
        (shared / name).mkdir()
        (shared / f"{name}-link").symlink_to(to)
    box = ground.box()
    box.mount("/shared", shared)
    for name in ("x", "y"):
        box.mount(f"/shared/{name}", fake)
    box.linux["sysctl"], box.process["oomScoreAdj"] = {"net.core.somaxconn": "777"}, 77
    look = ("stat -f -c %t /proc/self /proc/self/attr /proc/sys/net/core; "
            "cat /proc/self/oom_score_adj /proc/sys/net/core/somaxconn")
    with (ground.swapping(shared / "x", shared / "x-link") as swaps,
          ground.swapping(shared / "y", shared / "y-link")):
        lost = careless(shared, "x", "/proc/")
        for _ in range(times):
            done = box.sh(look)
            held(done.returncode or done.stdout.split() == ["9fa0"] * 3 + ["77", "777"], done.stdout)
            held(all((fake / name).read_text() == "fake\n" for name in FAKES), "a posing file was written")
            ends["refused" if done.returncode else "ran"] += 1
    attacked(lost and swaps[0] > 100 * times, f"{swaps[0]} exchanges, a careless check lost {lost} times")
    return told(times, swaps[0], ends)
