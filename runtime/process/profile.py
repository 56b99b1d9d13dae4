"""A seccomp profile, decided: names into numbers, and what makes no sense refused with its JSON path. Pure.

What runc does where the specification is silent, podman and Docker rely on, and so it is here:

- several conditions on the same argument of one rule are alternatives, a rule each
- a rule whose action is the default one is left out
- a system call that is *newer* than all that the profile speaks of gets ENOSYS, where the default action would refuse
  it: programs try a new call first (glibc: clone3, faccessat2, fchmodat2), and fall back to the old one only when they
  hear that there is no such call. With EPERM they would fail, on an old profile and a new libc. See `newer`.
"""

import errno
import struct
from collections.abc import Iterator

from runtime.linux import seccomp as s
from runtime.linux.libseccomp import Condition, Filter, Rule
from runtime.spec import LinuxSeccomp, LinuxSyscall

Complaint = tuple[str, str]

ACTIONS = {
    "SCMP_ACT_KILL": s.RET_KILL_THREAD, "SCMP_ACT_KILL_THREAD": s.RET_KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": s.RET_KILL_PROCESS, "SCMP_ACT_TRAP": s.RET_TRAP, "SCMP_ACT_ERRNO": s.RET_ERRNO,
    "SCMP_ACT_TRACE": s.RET_TRACE, "SCMP_ACT_ALLOW": s.RET_ALLOW, "SCMP_ACT_LOG": s.RET_LOG,
    "SCMP_ACT_NOTIFY": s.RET_USER_NOTIF,
}
NUMBERED = {"SCMP_ACT_ERRNO": 4095, "SCMP_ACT_TRACE": 0xFFFF}  # the highest errnoRet: MAX_ERRNO, SECCOMP_RET_DATA
LENIENT = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")  # a tracer may emulate calls that there are not
OPERATORS = {"SCMP_CMP_NE": 1, "SCMP_CMP_LT": 2, "SCMP_CMP_LE": 3, "SCMP_CMP_EQ": 4, "SCMP_CMP_GE": 5,
             "SCMP_CMP_GT": 6, "SCMP_CMP_MASKED_EQ": 7}
FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 0,  # all threads: there is one
    "SECCOMP_FILTER_FLAG_LOG": s.SECCOMP_FILTER_FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": s.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": s.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
}

BITS64, LITTLE, N32 = 0x80000000, 0x40000000, 0x20000000  # linux/audit.h, on top of ELF's number for the machine
X86_64, X32 = 62 | BITS64 | LITTLE, 62 | LITTLE
ARCHITECTURES = {  # libseccomp's tokens: AUDIT_ARCH_…, but for x32, which the kernel reports as x86-64
    "SCMP_ARCH_X86": 3 | LITTLE, "SCMP_ARCH_X86_64": X86_64, "SCMP_ARCH_X32": X32,
    "SCMP_ARCH_ARM": 40 | LITTLE, "SCMP_ARCH_AARCH64": 183 | BITS64 | LITTLE,
    "SCMP_ARCH_MIPS": 8, "SCMP_ARCH_MIPS64": 8 | BITS64, "SCMP_ARCH_MIPS64N32": 8 | BITS64 | N32,
    "SCMP_ARCH_MIPSEL": 8 | LITTLE, "SCMP_ARCH_MIPSEL64": 8 | BITS64 | LITTLE,
    "SCMP_ARCH_MIPSEL64N32": 8 | BITS64 | LITTLE | N32,
    "SCMP_ARCH_PPC": 20, "SCMP_ARCH_PPC64": 21 | BITS64, "SCMP_ARCH_PPC64LE": 21 | BITS64 | LITTLE,
    "SCMP_ARCH_S390": 22, "SCMP_ARCH_S390X": 22 | BITS64, "SCMP_ARCH_PARISC": 15, "SCMP_ARCH_PARISC64": 15 | BITS64,
    "SCMP_ARCH_RISCV64": 243 | BITS64 | LITTLE, "SCMP_ARCH_LOONGARCH64": 258 | BITS64 | LITTLE,
}
S390 = (ARCHITECTURES["SCMP_ARCH_S390"], ARCHITECTURES["SCMP_ARCH_S390X"])
X32_BIT = 1 << 30


def complaints(profile: LinuxSeccomp, path: str) -> Iterator[Complaint]:
    """All that is wrong with a profile."""
    yield from of_action(profile.default_action, profile.default_errno_ret, f"{path}.default")
    if profile.default_action == "SCMP_ACT_NOTIFY":
        yield f"{path}.defaultAction", "SCMP_ACT_NOTIFY cannot be used as default action"
    for table, field, words in ((ARCHITECTURES, "architectures", "string {} is not a valid arch for seccomp"),
                                (FLAGS, "flags", "seccomp flag {} is not known to this runtime")):
        for number, name in enumerate(getattr(profile, field)):
            if name not in table:
                yield f"{path}.{field}[{number}]", words.format(name)
    for number, rule in enumerate(profile.syscalls):
        yield from of_rule(rule, f"{path}.syscalls[{number}]")
    if notifies(profile) and not profile.listener_path:
        yield f"{path}.listenerPath", "listenerPath is not set, and SCMP_ACT_NOTIFY needs somebody who listens"
    if profile.listener_metadata and not profile.listener_path:
        yield f"{path}.listenerMetadata", "listenerPath is not set"
    if "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" in profile.flags and not notifies(profile):
        yield f"{path}.flags", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY"


def of_action(action: str, number: int | None, path: str) -> Iterator[Complaint]:
    """`path` lacks its last word: the two fields' names differ by it."""
    field, other = ("Action", "ErrnoRet") if path.endswith(".default") else (".action", ".errnoRet")
    if action not in ACTIONS:
        yield path + field, f"string {action} is not a valid action for seccomp"
    elif number is not None and number > NUMBERED.get(action, -1):
        most = NUMBERED.get(action)
        yield path + other, f"{action} takes no number" if most is None else f"expected a number from 0 to {most}"


def of_rule(rule: LinuxSyscall, path: str) -> Iterator[Complaint]:
    yield from of_action(rule.action, rule.errno_ret, path)
    if not rule.names:
        yield f"{path}.names", "a rule needs the name of a system call"
    for number, name in enumerate(rule.names):
        if not name or "\0" in name:
            yield f"{path}.names[{number}]", f"{name!r} is not a valid syscall"
        if name == "write" and rule.action == "SCMP_ACT_NOTIFY":
            yield f"{path}.names[{number}]", "SCMP_ACT_NOTIFY cannot be used for the write syscall"
    for number, condition in enumerate(rule.args):
        if condition.op not in OPERATORS:
            yield f"{path}.args[{number}].op", f"string {condition.op} is not a valid operator for seccomp"
        if condition.index > 5:
            yield f"{path}.args[{number}].index", f"syscalls only have up to 6 arguments ({condition.index + 1} given)"
        for field in ("value", "value_two"):
            if getattr(condition, field) >= 2**64:
                yield f"{path}.args[{number}].{'value' if field == 'value' else 'valueTwo'}", "expected at most 64 bits"


def notifies(profile: LinuxSeccomp) -> bool:
    return any(rule.action == "SCMP_ACT_NOTIFY" for rule in profile.syscalls)


def flags(profile: LinuxSeccomp) -> int:
    """For seccomp(2)."""
    listener = s.SECCOMP_FILTER_FLAG_NEW_LISTENER if notifies(profile) else 0
    return listener | sum(FLAGS[name] for name in set(profile.flags))


def action(name: str, number: int | None) -> int:
    """As a filter returns it. What errnoRet does not say is EPERM."""
    if name not in NUMBERED:
        return ACTIONS[name]
    return ACTIONS[name] | (errno.EPERM if number is None else number)


def decided(profile: LinuxSeccomp) -> Filter:
    """What libseccomp is to be told."""
    return Filter(default=action(profile.default_action, profile.default_errno_ret),
                  architectures=tuple(ARCHITECTURES[name] for name in profile.architectures),
                  rules=tuple(one for rule in profile.syscalls for one in rules(rule)))


def rules(rule: LinuxSyscall) -> Iterator[Rule]:
    """One for each name; one for each name and condition where two conditions are about the same argument."""
    wanted = action(rule.action, rule.errno_ret)
    conditions: tuple[Condition, ...] = tuple((one.index, OPERATORS[one.op], one.value, one.value_two)
                                              for one in rule.args)
    alternatives = len({one.index for one in rule.args}) < len(rule.args)
    for name in rule.names:
        if alternatives:
            yield from (Rule(name, wanted, (condition,)) for condition in conditions)
        else:
            yield Rule(name, wanted, conditions)


# struct seccomp_data: the number of the system call, then the architecture.
LOAD_NUMBER, LOAD_ARCHITECTURE = (0x20, 0, 0, 0), (0x20, 0, 0, 4)  # ld [k]
JUMP_EQUAL, JUMP_GREATER, JUMP_BITS, JUMP, RETURN = 0x15, 0x25, 0x45, 0x05, 0x06
Instruction = tuple[int, int, int, int]  # code, how many to skip if true, if false, constant


def newer(last: dict[int, int]) -> bytes:
    """What stands before libseccomp's program: ENOSYS for every call above the last one that the profile knows.

    `last` has the highest number for each of libseccomp's tokens; -1 where the profile knows none there.

        ld architecture
        jne X, next                for each architecture; one that is not listed falls through to the filter
        ld number
        jgt LAST, ret ENOSYS
        ja filter
    """
    sections = [section(token, last) for token in last if token != X32 and last[token] >= 0]
    program = [LOAD_ARCHITECTURE]
    length = 1 + sum(map(len, sections))
    for one in sections:
        program += one
        program[-1] = (JUMP, 0, 0, length - len(program))
    return b"".join(struct.pack("=HBBI", *one) for one in program)


def section(token: int, last: dict[int, int]) -> list[Instruction]:
    """The instructions for one architecture as the kernel reports it; the last one is to jump to the filter."""
    refused: Instruction = (RETURN, 0, 0, s.RET_ERRNO | errno.ENOSYS)
    body: list[Instruction] = [LOAD_NUMBER]
    if token in S390:
        # Calls that the kernel does not know arrive as number 0, which was setup(2) once.
        body += [(JUMP_EQUAL, 0, 1, 0), refused]
    if token == X86_64:
        # x32 is the same architecture with a bit set in the number; where the profile lacks it, libseccomp refuses it.
        theirs = last.get(X32, -1)
        body += [(JUMP_BITS, 0, 1, X32_BIT), (JUMP_GREATER, 1, 2, theirs) if theirs >= 0 else (JUMP, 0, 0, 2)]
    return [(JUMP_EQUAL, 0, len(body) + 3, token), *body, (JUMP_GREATER, 0, 1, last[token]), refused, (JUMP, 0, 0, 0)]
