"""Seccomp profiles in Docker's format: which rules hold where, and that the default one is no wider than others'."""

from pathlib import Path

import msgspec
import pytest

from pydocker.containers import seccomp
from pydocker.containers.seccomp_default import PROFILE
from pydocker.errors import InvalidParameter
from runtime.process import profile as runtime_profile
from runtime.spec import LinuxSeccomp
from runtime.spec.defaults import DEFAULT_CAPABILITIES

AMD64 = seccomp.Host("x86_64", (6, 1))
CONTAINERS_COMMON = Path("/usr/share/containers/seccomp.json")  # golang-github-containers-common: what podman uses


def words(text: str) -> set[str]:
    return set(text.split())


def allowed(filter: LinuxSeccomp, *, always: bool = False) -> set[str]:
    return {name for rule in filter.syscalls if rule.action == "SCMP_ACT_ALLOW" and not (always and rule.args)
            for name in rule.names}


def default(*more: str, host: seccomp.Host = AMD64) -> LinuxSeccomp:
    return seccomp.decide(PROFILE, (*DEFAULT_CAPABILITIES, *more), host)


def test_what_no_container_may_ask_for() -> None:
    assert not allowed(default()) & words(
        "add_key keyctl request_key bpf userfaultfd open_by_handle_at fsopen fsmount fsconfig mount umount2 move_mount "
        "io_uring_setup io_uring_enter io_uring_register socketcall unshare setns clone3 kexec_load reboot init_module "
        "swapon perf_event_open syslog acct iopl settimeofday pivot_root nfsservctl quotactl")
    assert not allowed(default(), always=True) & {"clone", "socket", "personality"}


def test_capabilities_bring_their_calls() -> None:
    assert {"mount", "unshare", "clone3", "setns"} <= allowed(default("CAP_SYS_ADMIN"), always=True)
    assert "clone" in allowed(default("CAP_SYS_ADMIN"), always=True)
    assert "syslog" in allowed(default("CAP_SYSLOG"))
    assert "chroot" not in allowed(seccomp.decide(PROFILE, (), AMD64))


def test_machines_and_kernels() -> None:
    assert default().architectures == ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32")
    assert "arch_prctl" in allowed(default())
    arm = default(host=seccomp.Host("aarch64", (4, 7)))
    assert arm.architectures == ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM")
    assert "arch_prctl" not in allowed(arm) and "set_tls" in allowed(arm)
    assert "ptrace" not in allowed(arm) and "ptrace" in allowed(default())
    [clone] = (rule for rule in default(host=seccomp.Host("s390x", (6, 1))).syscalls if rule.names == ("clone",))
    assert [one.index for one in clone.args] == [1]


def test_the_runtime_has_nothing_to_complain_about() -> None:
    assert list(runtime_profile.complaints(default(), "$")) == []


@pytest.mark.skipif(not CONTAINERS_COMMON.exists(), reason="golang-github-containers-common is not installed")
def test_no_wider_than_podmans_but_for_calls_that_are_newer() -> None:
    theirs = seccomp.decide(seccomp.parse(CONTAINERS_COMMON.read_text()), DEFAULT_CAPABILITIES, AMD64)
    newer = words("cachestat fchmodat2 futex_requeue futex_wait futex_waitv futex_wake getxattrat setxattrat "
                  "listxattrat removexattrat listmount statmount map_shadow_stack mseal riscv_hwprobe uretprobe")
    dockers_too = {"io_pgetevents", "io_pgetevents_time64", "vmsplice"}
    assert allowed(default()) - allowed(theirs) <= newer | dockers_too


@pytest.mark.parametrize(("text", "complaint"), [
    ("{", "Decoding seccomp profile failed"), ("[]", "Decoding seccomp profile failed: Expected `object`"),
    ('{"defaultAction": "A", "architectures": ["X"], "archMap": [{"architecture": "X"}]}', "either 'architectures'"),
    ('{"defaultAction": "A", "syscalls": [{"action": "A", "name": "x", "names": ["y"]}]}', "use either 'name'"),
    ('{"defaultAction": "A", "syscalls": [{"action": "A"}]}', "needs the name of a system call"),
    ('{"defaultAction": "A", "syscalls": [{"action": "A", "name": "x", "includes": {"minKernel": "six"}}]}', "six"),
    ('{"defaultAction": "A", "syscalls": [{"action": "A", "name": "x", "errnoRet": -1}]}', "$.syscalls[0].errnoRet"),
    ('{"defaultAction": "' + "A" * seccomp.LARGEST + '"}', "larger than 1 MiB"),
])
def test_profiles_that_cannot_be(text: str, complaint: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        seccomp.parse(text)
    assert complaint in str(raised.value)


def test_a_profile_of_ones_own() -> None:
    text = msgspec.json.encode({
        "defaultAction": "SCMP_ACT_ALLOW", "comment": "x", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {"name": "chmod", "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": None, "includes": {}},
            {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_CHOWN"]}}]}).decode()
    made = seccomp.chosen(text, ("CAP_CHOWN",), privileged=True)
    assert made is not None and made.architectures == ("SCMP_ARCH_X86_64",)
    assert [(rule.names, rule.errno_ret) for rule in made.syscalls] == [(("chmod",), 5)]


def test_who_is_not_confined() -> None:
    assert seccomp.chosen("unconfined", (), privileged=False) is None
    assert seccomp.chosen("", (), privileged=True) is None
    assert seccomp.chosen("builtin", (), privileged=True) == seccomp.chosen("", (), privileged=False) is not None
