"""`make test-vm`: the tests that say most about a full Debian, in a machine of their own.

What most users have is neither this machine's kernel nor its cgroups: Debian's kernel with its modules and AppArmor,
systemd as pid 1, and cgroup v2 alone. QEMU boots exactly that, without a network, from the image that `image.sh` makes:

    -kernel, -initrd      Debian's own, straight into memory: no boot loader
    /dev/vda              the root file system; snapshot=on: what the guest writes goes into a file that is unlinked
    /dev/vdb              a tar archive, no file system: this checkout with its uncommitted changes, and the selection
    first serial port     the console, which we copy to our output
    second serial port    the exit status, one line

With KVM the guest runs at nearly the host's speed. /dev/kvm may be there and of no use: on a virtual machine without
nested virtualisation, or with half of it, QEMU fails or the guest hangs. A kernel says its first words within a second,
and systemd is up in ten; a guest that takes too long is given up, and the next one is emulated: some ten times slower
than the host.

PYTEST_OPTIONS chooses other tests than `SELECTION`, SUITE another release of Debian, LIMIT the seconds until all of it
is given up.
"""

import os
import platform
import resource
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
CACHE = Path("/var/cache/pydocker-test/vm")
# What differs there: cgroup v2 and its controllers, devices by eBPF, systemd's scopes and sockets, AppArmor, user
# namespaces, macvlan and ipvlan of a full kernel; of the engine what it does with a running container's cgroup. What
# is the same on every kernel (words, flags, plans) is not repeated.
# Some twenty minutes, emulated, are what anybody waits for: a new test here has to be worth five seconds of them.
RUNTIME = ("unified", "systemd", "scope", "apparmor", "users", "mounts", "container", "security", "exec", "pause",
           "update", "events", "undo")
ENGINE = ("a_container_from_start_to_end", "stop_kills_what_does_not_listen", "what_a_read_only_root_forbids",
          "a_memory_limit_is_in_the_kernel_and_its_kill_is_told", "capabilities_and_no_new_privileges",
          "the_hosts_network_and_none", "the_hosts_mount_table_never_changes")
SESSIONS = ("a_session_has_a_cgroup_of_its_own", "it_sees_its_cgroup_as_init_does",
            "one_that_may_write_cgroups_moves_processes_in_all_of_its_containers",
            "it_ends_with_its_killed_client_and_all_that_it_has_started", "a_frozen_session_holds_up_nobodys_end")
WORDS = ("cannot_be", "users_are_numbers", "words_about", "in_the_words", "told_in_one_line", "exit_code_is",
         "working_directory_by_a_descriptor")
SELECTION = " ".join((
    "tests/root/judges/test_systemd.py", "tests/root/systemd", "tests/root/cgroups",
    "tests/root/containers/test_stats.py", "tests/root/containers/test_update.py",
    "tests/root/monitor/test_logdrivers.py::test_the_real_journal", "tests/root/network/test_macvlan.py",
    *(f"tests/root/runtime/test_{name}.py" for name in RUNTIME),
    *(f"tests/root/containers/test_lifecycle.py::test_{name}" for name in ENGINE),
    *(f"tests/root/monitor/test_sessions.py::test_{name}" for name in SESSIONS),
    f"-k 'not ({' or '.join(WORDS)})'"))
LIMIT = int(os.environ.get("LIMIT") or 2400)
MEMORY = 3072  # MiB
KERNEL_SIGN, SYSTEMD_SIGN = b"Linux version", b"ready: Linux"
# No login on the console: it would hang the terminal up on which the tests write.
KERNEL = ("root=/dev/vda rw console=ttyS0 apparmor=1 security=apparmor mitigations=off panic=-1 "
          "systemd.show_status=no systemd.mask=serial-getty@ttyS0.service")


@dataclass(frozen=True)
class Accelerator:
    """What runs the guest: QEMU's word for it and ours, and the seconds until the kernel and systemd give a sign."""

    name: str
    words: str
    kernel: int
    systemd: int


KVM = Accelerator("kvm", "with KVM", 15, 90)
EMULATION = Accelerator("tcg,thread=multi", "emulated (some ten times slower than with KVM)", 60, 300)


def main() -> int:
    """The guest's exit status, or 1 if it never told one."""
    if platform.machine() != "x86_64":
        print("the machine that this boots is an x86_64: it cannot be had here", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the machine ends with us
    if subprocess.run([HERE / "image.sh", CACHE], check=False).returncode:
        return 1
    with tempfile.TemporaryDirectory(prefix="pydocker-vm.", dir="/var/tmp") as work:
        disk, status = Path(work, "checkout.tar"), Path(work, "status")
        pack(disk, os.environ.get("PYTEST_OPTIONS") or SELECTION)
        for accelerator in (KVM, EMULATION) if os.access("/dev/kvm", os.R_OK | os.W_OK) else (EMULATION,):
            print(f"booting a machine, {accelerator.words}", flush=True)
            before = spent()
            if watch(command(accelerator.name, disk, status), accelerator):
                print(f"it took {spent() - before:.0f} s of processor time", flush=True)
                break
        told = status.read_text().split() if status.exists() else []
    if not told:
        print(f"the machine never told how the tests ended (it has {LIMIT} s: LIMIT)", file=sys.stderr)
    return int(told[0]) if told else 1


def spent() -> float:
    """Seconds of processor time of the machines that ran: how long they would take on a host that does nothing else."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pack(disk: Path, selection: str) -> None:
    """The files that git knows of and those that it would know, as they are now, and which tests to run."""
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
                             "--exclude-standard"], cwd=CHECKOUT, stdout=subprocess.PIPE, check=True).stdout
    names = [name for name in listed.split(b"\0") if name and os.path.lexists(CHECKOUT / os.fsdecode(name))]
    with tempfile.TemporaryDirectory() as chosen:
        Path(chosen, ".selection").write_text(shlex.join(shlex.split(selection)))
        subprocess.run(["tar", "-cf", disk, "--owner=0", "--group=0", "--mode=go=u-w", "-C", chosen, ".selection",
                        "-C", CHECKOUT, "--null", "--files-from=-"], input=b"\0".join(names), check=True)


def command(accelerator: str, disk: Path, status: Path) -> list[str]:
    """QEMU's command line. `-cpu max`: all that the accelerator can do."""
    return [
        "qemu-system-x86_64", "-accel", accelerator, "-cpu", "max", "-smp", "2", "-m", str(MEMORY),
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-kernel", f"{CACHE}/linux", "-initrd", f"{CACHE}/initrd", "-append", KERNEL,
        "-drive", f"file={CACHE}/root.img,format=raw,if=virtio,snapshot=on",
        "-drive", f"file={disk},format=raw,if=virtio,readonly=on",
        "-serial", "stdio", "-serial", f"file:{status}",
    ]


def watch(qemu: list[str], accelerator: Accelerator) -> bool:
    """Run the machine to its end, its console copied to our output from systemd's sign on. False: no such sign."""
    with subprocess.Popen(qemu, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
        assert machine.stdout is not None
        console, began, boot = machine.stdout.fileno(), time.monotonic(), b""
        try:
            for sign, patience in ((KERNEL_SIGN, accelerator.kernel), (SYSTEMD_SIGN, accelerator.systemd)):
                boot += heard(console, sign, patience)
                if sign not in boot:
                    show(boot[-2000:])
                    print(f"no '{sign.decode()}' in {time.monotonic() - began:.0f} s: given up", flush=True)
                    return False
            print(f"up in {time.monotonic() - began:.0f} s", flush=True)
            show(boot[boot.index(SYSTEMD_SIGN):])
            for some in chunks(console, LIMIT):
                show(some)
            print(f"off after {time.monotonic() - began:.0f} s")
            return True
        finally:
            machine.kill()


def heard(console: int, sign: bytes, seconds: float) -> bytes:
    """All that the machine says up to this sign; or up to its end, or to that of our patience."""
    text = b""
    for some in chunks(console, seconds):
        text += some
        if sign in text:
            break
    return text


def chunks(console: int, seconds: float) -> Iterator[bytes]:
    """What the machine says, as it comes, until it ends or the time is over."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([console], [], [], left)
        some = os.read(console, 1 << 16) if ready else b""
        if not some:
            return
        yield some


def show(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
