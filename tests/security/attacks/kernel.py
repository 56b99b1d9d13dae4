"""System calls that lead out, or into parts of the kernel that nobody audited for this: capabilities and seccomp."""

import os
import subprocess

from tests.security.ground import Ground
from tests.security.suite import NotApplicable, attack, attacked, held

# R12: what a default profile has to stop, for a container without further privileges. The default action allows, so
# that nothing but these rules can be what stopped a call.
DENIED = ("unshare", "clone3", "fsopen", "fsmount", "open_tree", "move_mount", "mount", "umount2", "bpf", "keyctl",
          "add_key", "request_key", "userfaultfd", "io_uring_setup", "io_uring_enter", "open_by_handle_at",
          "socketcall")
PROFILE = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "syscalls": [
        {"names": [*DENIED], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
        *({"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
           "args": [{"index": 0, "value": family, "op": "SCMP_CMP_EQ"}]} for family in (38, 40)),
    ],
}


@attack("Shocker 2014", rules="R11 R12")
def handles_of_the_hosts_files(ground: Ground, times: int) -> str:
    """A file handle names an inode whatever root a process has: with it, any file of the disk can be read.

    Attack: the handle of the canary's directory is given to a program inside, which opens it by way of a directory on
    the same disk, as root with Docker's capabilities.
    Held: EPERM; the canary's secret is not read.
    Control: with CAP_DAC_READ_SEARCH the same program reads the canary's secret.
    """
    handle = subprocess.run([ground.programs / "handle", "name", ground.canary], capture_output=True, text=True,
                            check=True).stdout.split()
    box = ground.box()
    steal = ("handle", "open", "/etc", *handle, "secret")
    done = box.run(*steal)
    held(done.returncode and "the host's" not in done.stdout, done.stdout)
    attacked("Operation not permitted" in done.stderr, done.stderr)
    box.more("CAP_DAC_READ_SEARCH")
    privileged = box.run(*steal)
    if "the host's" not in privileged.stdout:
        raise NotApplicable(f"this file system opens no handles: {privileged.stderr}")
    return "EPERM; with CAP_DAC_READ_SEARCH the secret is read"


def calls(ground: Ground, profile: object) -> dict[str, str]:
    """What each call of programs/calls.c ended with, under this profile."""
    box = ground.box()
    if profile:
        box.linux["seccomp"] = profile
    done = box.run("calls")
    if done.returncode and "not supported" in done.stderr:
        raise NotApplicable(f"no seccomp: {done.stderr}")
    attacked(done.stdout.count("\n") >= 10, done.stdout + done.stderr)
    return dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())


@attack("CVE-2022-0185 CVE-2026-31431", rules="R12")
def calls_that_a_profile_stops(ground: Ground, times: int) -> str:
    """New user namespaces, new mounts, AF_ALG, bpf, io_uring … : kernel bugs were reached by these.

    Attack: call each of them under a profile that forbids it; AF_ALG by the 32-bit gate (socketcall), too, whose calls
    have other numbers.
    Held: EPERM for each (EPERM or ENOSYS by the 32-bit gate).
    Control: without the profile, most of them end otherwise.
    """
    without, under = calls(ground, None), calls(ground, PROFILE)
    open_before = [name for name, end in without.items() if end != "1"]
    attacked(len(open_before) >= 5, without)
    gate = "socketcall(AF_ALG)"
    if under.get(gate) == "signal":  # this kernel has no 32-bit gate
        under.pop(gate)
    broken = {name: end for name, end in under.items() if end != "1" and not (name == gate and end == "38")}
    held(not broken, f"errno, not EPERM: {broken}")
    return f"{len(under)} calls: EPERM; without the profile {len(open_before)} were open ({os.uname().machine})"


@attack("seccomp", rules="R11 R12")
def filter_is_loaded_last(ground: Ground, times: int) -> str:
    """A filter that is loaded too early stops the runtime itself; loaded too late, it lets the program through.

    Attack: the profile forbids setuid, setgroups, capset, prctl's, mount, chdir; the user is 1000, with and without
    noNewPrivileges; `exec` is under the filter, too.
    Held: it runs as uid 1000, in mode 2 (filter), in `run` and in `exec`.
    Control: inside, a forbidden call (chdir) fails; without the profile the mode is 0.
    """
    box = ground.box()
    attacked("Seccomp:\t0" in box.run("cat", "/proc/self/status").stdout, "there is a filter already")
    box.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": PROFILE["architectures"],
        "syscalls": [{"names": ["mkdir", "mkdirat", "mount", "sethostname", "pivot_root", "unshare"],
                      "action": "SCMP_ACT_ERRNO"}]}
    box.process["user"] = {"uid": 1000, "gid": 1000}
    look = "grep ^Seccomp: /proc/self/status | cut -f2; mkdir /tmp/made && echo MADE; id -u"
    (box.rootfs / "tmp").chmod(0o777)
    for forbid in (False, True):
        box.process["noNewPrivileges"] = forbid
        done = box.sh(look)
        if done.returncode and "not supported" in done.stderr:
            raise NotApplicable(f"no seccomp: {done.stderr}")
        held(done.stdout.split() == ["2", "1000"], f"run: {done.stdout}{done.stderr}")
        box.start("sleep", "100")
        done = box.exec("--user", "1000:1000", "--", "sh", "-c", look)
        box.delete()
        held(done.stdout.split() == ["2", "1000"], f"exec: {done.stdout}{done.stderr}")
    return "in run and exec, with and without noNewPrivileges"
