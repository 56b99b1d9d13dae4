"""The runtime's own program: until execve(2) the first process of a container is the host's executable (R5, R6)."""

import os
import subprocess
import time
from collections.abc import Callable

from tests.security.ground import Box, Ground
from tests.security.suite import NotApplicable, attack, attacked, held

LOADER = "lib64/ld-linux-x86-64.so.2"
AGAIN = """\
n=0; while [ $n -lt 40 ]; do n=$((n+1))
if printf '\\177' 2>/dev/null 1<>/proc/self/fd/9; then echo written; exit; fi; usleep 10000; done; echo gave up
"""


def armed(ground: Ground) -> Box:
    """An image whose dynamic linker is the attacker: it runs with whatever program of the host is executed there."""
    if os.uname().machine != "x86_64":
        raise NotApplicable("the attacker is written for x86_64")
    box = ground.box()
    (box.rootfs / "lib64").mkdir()
    scribble = (ground.programs / "scribble").read_bytes()
    (box.rootfs / LOADER).write_bytes(scribble)
    (box.rootfs / LOADER).chmod(0o755)
    (box.rootfs / "again").write_text(AGAIN)
    return box


@attack("CVE-2019-5736", rules="R5 R6")
def runtime_as_entry_point(ground: Ground, times: int) -> str:
    """The image makes the runtime execute itself, with a dynamic linker of the image, and overwrites it on the host.

    Attack: the program is a link to /proc/self/exe; a script with `#!/proc/self/exe`; an ELF file whose interpreter is
    /proc/self/exe; with `run`, `start` and `exec`. The attacker's linker tries to write to /proc/self/exe, then becomes
    another program and goes on trying for 400 ms with a descriptor that it kept, when the file is busy no more.
    Held: no write succeeds; sha256 and times of the runtime, its libraries and its sources are what they were.
    Control: the attacker's code ran with an executable that is not of the image (for a runtime whose program is linked
    statically there is no linker to replace); the same write to a copy of the program, outside, succeeds.
    """
    copy = ground.directory / "copy"
    copy.write_bytes(ground.runtime.files[0].read_bytes())
    control = subprocess.run(["sh", "-c", "exec 9<$0; printf '\\177' 1<>/proc/self/fd/9", copy], check=False)
    attacked(control.returncode == 0, "the same write fails outside, too")
    box = armed(ground)
    (box.rootfs / "bin/itself").symlink_to("/proc/self/exe")
    (box.rootfs / "bin/script").write_text("#!/proc/self/exe\n")
    (box.rootfs / "bin/script").chmod(0o755)
    source = ground.directory / "linked.c"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", box.rootfs / "bin/linked", "-Wl,--dynamic-linker=/proc/self/exe", source], check=True)
    seen = []
    for program in ("/proc/self/exe", "/bin/itself", "/bin/script", "/bin/linked"):
        done = box.run(program)
        seen.append(done.stdout)
        held("written" not in done.stdout, f"{program}: {done.stdout}")
    other = armed(ground)
    (other.rootfs / "bin/itself").symlink_to("/proc/self/exe")
    other.start("/bin/itself")
    other.await_output("gave up", 3)
    held("written" not in other.output, other.output)
    other.delete()
    other.start("sleep", "100")
    done = other.exec("/bin/itself")
    held("written" not in done.stdout, done.stdout)
    ran = [text.split()[1] for text in (*seen, other.output, done.stdout) if text.startswith("exe ")]
    dynamic = len(ground.runtime.files) > 1
    attacked(ran or not dynamic, f"the attacker's linker never ran: {seen}")
    return f"the attacker ran {len(ran)} times as {ran[0] if ran else 'nothing'}, and never could write"


@attack("CVE-2016-9962 CVE-2019-5736", rules="R5 R6 R7", quick=10, full=500)
def thief_of_processes_that_enter(ground: Ground, times: int) -> str:
    """A process inside waits for `exec`, and goes at the process that enters before it has become the program.

    Attack: a loop inside looks for processes that are not the container's own: attaches (ptrace), reads descriptors,
    root and memory, opens the executable for writing and tries again when it is not busy any more; as root with
    Docker's capabilities, and once more as root with CAP_SYS_PTRACE (where only the executable counts).
    Held: nothing was got; with CAP_SYS_PTRACE no executable of the host could be written.
    Control: the loop met processes that were not the container's own; with CAP_SYS_PTRACE it got hold of some.
    """
    words = thieves(ground, times, (), met)
    foreign = met(words)
    attacked(foreign, f"the thief met nobody: {words[-3:]}")
    held(not got(words), words[:5])
    privileged = thieves(ground, max(5, times // 5), ("CAP_SYS_PTRACE",), got)
    attacked(got(privileged), f"even CAP_SYS_PTRACE got nothing: {privileged[-2:]}")
    held(not any("executable-to-write" in word for word in privileged), privileged[:5])
    return f"{times} execs: met {foreign} times a process of the runtime's, got nothing"


def met(words: list[str]) -> int:
    """How many processes that were not the container's own the thief has met."""
    return sum(int(word.split()[1]) for word in words if word.startswith("foreign"))


def got(words: list[str]) -> bool:
    return any(word.startswith("got ") for word in words)


def thieves(ground: Ground, times: int, capabilities: tuple[str, ...],
            enough: Callable[[list[str]], object]) -> list[str]:
    """What the thief says after so many execs: more, for a minute at most, where that is not enough yet."""
    words, deadline = thief(ground, times, capabilities), time.monotonic() + 60
    while not enough(words) and time.monotonic() < deadline:
        words += thief(ground, times, capabilities)
    return words


def thief(ground: Ground, times: int, capabilities: tuple[str, ...]) -> list[str]:
    box = ground.box()
    box.more(*capabilities)
    held(box.start("steal", "true").returncode == 0, "does not start")
    attacked(box.await_output("ready"), "the thief does not run")
    for _ in range(times):
        done = box.exec("true")
        held(done.returncode == 0 or capabilities, f"exec: {done.stderr}")
    attacked(box.stop(), "the thief does not end")
    words = box.output.splitlines()
    box.delete()
    return words


@attack("CVE-2022-0847", rules="R5")
def pages_of_read_only_files(ground: Ground, times: int) -> str:
    """"Dirty Pipe": the page cache of a file that can only be read is overwritten through a pipe (kernels 5.8 to 5.16).

    Attack: the host's file is bound into the container read-only, and a page of it spliced into a pipe whose buffers
    were marked as mergeable; then the pipe is written. The same with the program that the runtime was started from.
    Held: the host's file is what it was. On a kernel with the bug no runtime can hold that.
    Control: the page was spliced, and the pipe was written.
    """
    box = ground.box()
    box.mount("/secret", ground.canary / "secret", "bind", "rbind", "ro")
    done = box.run("pipe", "/secret")
    attacked(done.stdout == "spliced 1 wrote 11\n", done.stdout + done.stderr)
    held((ground.canary / "secret").read_text() == "the host's\n", "the page cache was written: update the kernel")
    return f"kernel {os.uname().release}: spliced and written, the file is what it was"
