"""Seccomp profiles as Docker writes them, and the filter that one of them becomes for one container.

A profile (docs.docker.com/engine/security/seccomp) is more than the filter of an OCI spec: its rules may hold for some
capabilities, architectures and kernels only, and one line lists the architectures that a machine can run besides its
own. `decide` answers all of these for one container, so that the runtime gets a plain list.
"""

import os
import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from pydocker.errors import InvalidParameter
from runtime.spec import LinuxSeccomp, LinuxSeccompArg, LinuxSyscall
from runtime.spec.values import UInt32, UInt64

LARGEST = 1 << 20  # bytes of a profile
BUILTIN, UNCONFINED = "builtin", "unconfined"

_MACHINES = {  # uname(2)'s name: Go's, which profiles use, and libseccomp's
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"), "i686": ("x86", "SCMP_ARCH_X86"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"), "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"), "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"), "loongarch64": ("loong64", "SCMP_ARCH_LOONGARCH64"),
}


class Where(msgspec.Struct, frozen=True, rename="camel"):
    """When a rule holds: all of `includes`, nothing of `excludes`."""

    caps: tuple[str, ...] | None = None
    arches: tuple[str, ...] | None = None
    min_kernel: str = ""


class Argument(msgspec.Struct, frozen=True, rename="camel"):
    """A condition on one argument of the call."""

    index: UInt32
    value: UInt64
    op: str
    value_two: UInt64 = 0


class Rule(msgspec.Struct, frozen=True, rename="camel"):
    """What becomes of these system calls. `name` is how profiles older than Docker 1.12 say it."""

    action: str
    names: tuple[str, ...] | None = None
    name: str = ""
    errno_ret: UInt32 | None = None
    args: tuple[Argument, ...] | None = None
    includes: Where | None = None
    excludes: Where | None = None
    comment: str = ""


class Architecture(msgspec.Struct, frozen=True, rename="camel"):
    """A machine's own architecture, and those that its kernel takes calls of, too."""

    architecture: str
    sub_architectures: tuple[str, ...] | None = None


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    """A whole profile."""

    default_action: str
    default_errno_ret: UInt32 | None = None
    architectures: tuple[str, ...] | None = None
    arch_map: tuple[Architecture, ...] | None = None
    flags: tuple[str, ...] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: tuple[Rule, ...] | None = None


class Host(msgspec.Struct, frozen=True):
    """What rules ask about."""

    machine: str
    kernel: tuple[int, int]


def here() -> Host:
    """This machine."""
    system = os.uname()
    return Host(system.machine, release(system.release))


def release(text: str) -> tuple[int, int]:
    """`6.1.0-9-amd64` -> (6, 1). Raises InvalidParameter."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})", text, re.ASCII)
    if found is None:
        raise InvalidParameter(f"seccomp profile: invalid kernel version: {text[:100]!r}")
    return int(found[1]), int(found[2])


def parse(text: str) -> Profile:
    """A profile's JSON. Raises InvalidParameter in Docker's words."""
    if len(text) > LARGEST:
        raise InvalidParameter(f"Decoding seccomp profile failed: it is larger than {LARGEST >> 20} MiB")
    try:
        profile = msgspec.json.decode(text, type=Profile)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise InvalidParameter(f"Decoding seccomp profile failed: {error}") from error
    _check(profile)
    return profile


def _check(profile: Profile) -> None:
    if profile.architectures and profile.arch_map:
        raise InvalidParameter("both 'architectures' and 'archMap' are specified in the seccomp profile, use either "
                               "'architectures' or 'archMap'")
    for rule in profile.syscalls or ():
        if rule.name and rule.names:
            raise InvalidParameter("both 'name' and 'names' are specified in the seccomp profile, use either 'name' or "
                                   "'names'")
        if not rule.name and not rule.names:
            raise InvalidParameter("seccomp profile: a rule needs the name of a system call")
        for where in (rule.includes, rule.excludes):
            if where is not None and where.min_kernel:
                release(where.min_kernel)


@lru_cache(maxsize=16)
def chosen(option: str, capabilities: tuple[str, ...], *, privileged: bool) -> LinuxSeccomp | None:
    """The filter for a container: `option` is --security-opt seccomp=…, empty where nothing was asked for."""
    if option == UNCONFINED or (privileged and not option):
        return None
    if option in ("", BUILTIN):
        from pydocker.containers import seccomp_default

        return decide(seccomp_default.PROFILE, capabilities, here())
    return decide(parse(option), capabilities, here())


def decide(profile: Profile, capabilities: tuple[str, ...], host: Host) -> LinuxSeccomp:
    """The profile for one container on one machine."""
    asked = profile.syscalls or ()
    return LinuxSeccomp(
        default_action=profile.default_action, default_errno_ret=profile.default_errno_ret,
        architectures=tuple(_architectures(profile, host)), flags=profile.flags or (),
        listener_path=profile.listener_path, listener_metadata=profile.listener_metadata,
        syscalls=tuple(_plain(rule) for rule in asked if _holds(rule, frozenset(capabilities), host)))


def _architectures(profile: Profile, host: Host) -> Iterator[str]:
    yield from profile.architectures or ()
    own = _MACHINES.get(host.machine, ("", ""))[1]
    for one in profile.arch_map or ():
        if one.architecture == own:
            yield own
            yield from one.sub_architectures or ()


def _holds(rule: Rule, capabilities: frozenset[str], host: Host) -> bool:
    machine = _MACHINES.get(host.machine, (host.machine, ""))[0]
    wanted, unwanted = rule.includes or Where(), rule.excludes or Where()
    return not (
        (wanted.caps and not capabilities.issuperset(wanted.caps)) or (wanted.arches and machine not in wanted.arches)
        or (wanted.min_kernel and host.kernel < release(wanted.min_kernel))
        or capabilities.intersection(unwanted.caps or ()) or machine in (unwanted.arches or ())
        or (unwanted.min_kernel and host.kernel >= release(unwanted.min_kernel)))


def _plain(rule: Rule) -> LinuxSyscall:
    arguments = tuple(LinuxSeccompArg(index=one.index, value=one.value, value_two=one.value_two, op=one.op)
                      for one in rule.args or ())
    return LinuxSyscall(names=rule.names or (rule.name,), action=rule.action, errno_ret=rule.errno_ret, args=arguments)
