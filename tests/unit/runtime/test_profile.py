"""Seccomp profiles, decided: numbers for names, refusals by JSON path, and the program that stands before libseccomp's.

The last one is run here, by a machine for the six instructions it is made of.
"""

import errno
import re
import struct
from typing import Any

import pytest

from runtime.errors import InvalidSpec, StepFailed
from runtime.linux import seccomp as s
from runtime.linux.libseccomp import Filter, Rule
from runtime.process.filters import compiled, digest
from runtime.process.listener import SendListener, TellListener
from runtime.process.profile import ARCHITECTURES, X32, X86_64, complaints, decided, flags, newer, rules
from runtime.process.seccomp import HELD, CompileFilter, LetPrivilegeGo, LoadFilter, LoadFilterPrivileged, filtering
from runtime.spec import LinuxCapabilities, LinuxSeccomp, LinuxSeccompArg, LinuxSyscall, State, Status, document

ENOSYS = s.RET_ERRNO | errno.ENOSYS
I386, ARM64, S390X = (ARCHITECTURES[f"SCMP_ARCH_{name}"] for name in ("X86", "AARCH64", "S390X"))


def profile(**fields: Any) -> LinuxSeccomp:
    return LinuxSeccomp(**{"default_action": "SCMP_ACT_ERRNO", **fields})


def rule(*names: str, action: str = "SCMP_ACT_ALLOW", **fields: Any) -> LinuxSyscall:
    return LinuxSyscall(names=names, action=action, **fields)


def where(index: int, value: int, op: str = "SCMP_CMP_EQ", two: int = 0) -> LinuxSeccompArg:
    return LinuxSeccompArg(index=index, value=value, value_two=two, op=op)


def run(program: bytes, number: int, architecture: int) -> int | None:
    """What the program returns for a system call; None where it falls through to what follows it."""
    data = struct.pack("=II", number, architecture)
    code = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while at < len(code):
        operation, if_true, if_false, constant = code[at]
        at += 1
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", data, constant)[0]
        elif operation == 0x05:
            at += constant
        elif operation == 0x06:
            return int(constant)
        else:
            holds = {0x15: accumulator == constant, 0x25: accumulator > constant,
                     0x45: bool(accumulator & constant)}[operation]
            at += if_true if holds else if_false
    assert at == len(code), "it jumps beyond its end"
    return None


LAST = {X86_64: 450, I386: 440, X32: (1 << 30) + 547, ARM64: 430, S390X: 420}


@pytest.mark.parametrize(("number", "architecture", "expected"), [
    (0, X86_64, None), (450, X86_64, None), (451, X86_64, ENOSYS), (600, X86_64, ENOSYS),
    (1 << 30, X86_64, None), ((1 << 30) + 547, X86_64, None), ((1 << 30) + 548, X86_64, ENOSYS),
    (0xFFFFFFFF, X86_64, ENOSYS),
    (440, I386, None), (441, I386, ENOSYS), (430, ARM64, None), (431, ARM64, ENOSYS),
    (0, S390X, ENOSYS), (1, S390X, None), (421, S390X, ENOSYS),
    (999, ARCHITECTURES["SCMP_ARCH_MIPS"], None),
])
def test_calls_newer_than_the_profile_are_not_there(number: int, architecture: int, expected: int | None) -> None:
    assert run(newer(LAST), number, architecture) == expected


def test_where_x32_is_not_listed_it_is_left_to_libseccomp() -> None:
    program = newer({X86_64: 450})
    assert [run(program, number, X86_64) for number in (450, 451, 1 << 30, 0xFFFFFFFF)] == [None, ENOSYS, None, None]


def test_an_architecture_without_known_calls_is_left_to_libseccomp() -> None:
    assert run(newer({X86_64: -1, I386: 3}), 9999, X86_64) is None
    assert run(newer({X86_64: -1, I386: 3}), 4, I386) == ENOSYS


def test_actions_have_the_kernels_numbers() -> None:
    found = decided(profile(default_errno_ret=38, syscalls=(
        rule("a", action="SCMP_ACT_KILL"), rule("b", action="SCMP_ACT_KILL_PROCESS"),
        rule("c", action="SCMP_ACT_ERRNO"), rule("d", action="SCMP_ACT_TRACE", errno_ret=7),
        rule("e", action="SCMP_ACT_NOTIFY"), rule("f", action="SCMP_ACT_LOG"), rule("g", action="SCMP_ACT_TRAP"))))
    assert found.default == 0x50026
    assert [hex(one.action) for one in found.rules] == ["0x0", "0x80000000", "0x50001", "0x7ff00007", "0x7fc00000",
                                                        "0x7ffc0000", "0x30000"]


def test_conditions_on_one_argument_are_alternatives() -> None:
    both = rule("socket", args=(where(0, 1), where(0, 2)))
    assert list(rules(both)) == [Rule("socket", s.RET_ALLOW, ((0, 4, value, 0),)) for value in (1, 2)]
    together = rule("socket", args=(where(0, 1), where(1, 2, "SCMP_CMP_MASKED_EQ", 3)))
    assert list(rules(together)) == [Rule("socket", s.RET_ALLOW, ((0, 4, 1, 0), (1, 7, 2, 3)))]


@pytest.mark.parametrize(("asked", "expected"), [
    ((), 0), (("SECCOMP_FILTER_FLAG_TSYNC",), 0),
    (("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_LOG"), 6),
])
def test_flags(asked: tuple[str, ...], expected: int) -> None:
    assert flags(profile(flags=asked)) == expected


def test_a_rule_that_notifies_needs_a_listener() -> None:
    found = profile(syscalls=(rule("mkdir", action="SCMP_ACT_NOTIFY"),), listener_path="/x",
                    flags=("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",))
    assert flags(found) == 0x28 and not list(complaints(found, "$"))


@pytest.mark.parametrize(("fields", "path", "words"), [
    ({"default_action": "X"}, "defaultAction", "string X is not a valid action for seccomp"),
    ({"default_action": "SCMP_ACT_NOTIFY", "listener_path": "/x"}, "defaultAction", "SCMP_ACT_NOTIFY cannot be"),
    ({"default_action": "SCMP_ACT_ALLOW", "default_errno_ret": 1}, "defaultErrnoRet", "takes no number"),
    ({"default_errno_ret": 4096}, "defaultErrnoRet", "0 to 4095"),
    ({"architectures": ("SCMP_ARCH_X86", "FOO")}, "architectures[1]", "string FOO is not a valid arch for seccomp"),
    ({"flags": ("FOO",)}, "flags[0]", "seccomp flag FOO"),
    ({"flags": ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",)}, "flags", "SCMP_ACT_NOTIFY"),
    ({"listener_metadata": "x"}, "listenerMetadata", "listenerPath is not set"),
    ({"syscalls": (rule("a", action="SCMP_ACT_NOTIFY"),)}, "listenerPath", "listenerPath is not set"),
    ({"syscalls": (rule("a"), rule("write", action="SCMP_ACT_NOTIFY"))}, "syscalls[1].names[0]", "the write syscall"),
    ({"syscalls": (rule("a", action="FOO"),)}, "syscalls[0].action", "string FOO is not a valid action"),
    ({"syscalls": (rule("a", errno_ret=1),)}, "syscalls[0].errnoRet", "SCMP_ACT_ALLOW takes no number"),
    ({"syscalls": (rule(),)}, "syscalls[0].names", "a rule needs"),
    ({"syscalls": (rule("a", ""),)}, "syscalls[0].names[1]", "'' is not a valid syscall"),
    ({"syscalls": (rule("a", args=(where(0, 0, "FOO"),)),)}, "syscalls[0].args[0].op", "string FOO is not a valid"),
    ({"syscalls": (rule("a", args=(where(6, 0),)),)}, "syscalls[0].args[0].index", "up to 6 arguments (7 given)"),
    ({"syscalls": (rule("a", args=(where(0, 2**64),)),)}, "syscalls[0].args[0].value", "64 bits"),
])
def test_what_makes_no_sense_is_told_with_its_path(fields: dict[str, Any], path: str, words: str) -> None:
    found = dict(complaints(profile(**fields), "$.linux.seccomp"))
    assert words in found[f"$.linux.seccomp.{path}"]


def test_a_missing_default_action_is_told_with_its_path() -> None:
    with pytest.raises(InvalidSpec, match=re.escape("defaultAction")):
        document(b"{}", LinuxSeccomp, "config.json")


def test_no_steps_beyond_what_is_needed() -> None:
    plain, state = profile(), State(oci_version="1", id="c", pid=0, status=Status.CREATING, bundle="/b")
    confined = filtering(plain, "/f", state, None)
    assert [*map(type, (*confined.before, *confined.ready))] == [CompileFilter, LoadFilter]
    assert not confined.outside and not confined.held
    free = filtering(plain, "/f", state, LinuxCapabilities())
    assert [*map(type, free.ready)] == [LoadFilterPrivileged, LetPrivilegeGo] and free.held == HELD
    listening = filtering(profile(syscalls=(rule("a", action="SCMP_ACT_NOTIFY"),), listener_path="/x"), "/f", state,
                          LinuxCapabilities())
    # The listener is told before the next call, which may be one that waits for it.
    assert [*map(type, listening.ready)] == [LoadFilterPrivileged, TellListener, LetPrivilegeGo]
    assert [*map(type, listening.outside)] == [SendListener]


def test_the_program_of_libseccomp_stands_behind_ours() -> None:
    asked = profile(architectures=("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"),
                    syscalls=(rule("read", "write", "no_such_call"), rule("mkdir", action="SCMP_ACT_ERRNO")))
    made, lenient = compiled(asked), compiled(profile(default_action="SCMP_ACT_ALLOW"))
    assert len(made) % s.INSTRUCTION == len(lenient) % s.INSTRUCTION == 0
    refusal = struct.pack("=HBBI", 0x06, 0, 0, ENOSYS)
    assert refusal in made and refusal not in lenient


def test_an_architecture_that_libseccomp_refuses_is_told_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that it does not know, as an older one does not know LoongArch."""
    monkeypatch.setitem(ARCHITECTURES, "SCMP_ARCH_LOONGARCH64", 0x1234)
    with pytest.raises(StepFailed, match=re.escape("compile the seccomp profile: architectures[1]: invalid argument")):
        compiled(profile(architectures=("SCMP_ARCH_X86_64", "SCMP_ARCH_LOONGARCH64")))


def test_the_name_in_the_cache_depends_on_the_whole_profile() -> None:
    one, other = profile(syscalls=(rule("read"),)), profile(syscalls=(rule("write"),))
    assert digest(one) == digest(profile(syscalls=(rule("read"),))) != digest(other)
    assert re.fullmatch(r"[0-9a-f]{64}", digest(one))


def test_filters_are_values() -> None:
    assert decided(profile()) == Filter(default=s.RET_ERRNO | errno.EPERM)
