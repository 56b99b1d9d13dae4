"""Device rules: the definition, and that v1's lines and v2's program enforce just that."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.cgroups.devices import (
    LETTERS,
    MKNOD,
    READ,
    WRITE,
    Policy,
    Rule,
    allowed,
    container_rules,
    lines,
    policy,
)
from runtime.cgroups.program import ACCESSES, TYPES, code
from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxDeviceCgroup

ANY = READ | WRITE | MKNOD
NUMBERS = st.sampled_from([None, 1, 3, 5, 8])
RULES = st.lists(st.builds(Rule, st.booleans(), st.sampled_from("bc"), NUMBERS, NUMBERS, st.integers(1, 7)), max_size=8)
DEVICES = [(type, major, minor, access) for type in "bc" for major in (1, 3, 5, 7) for minor in (1, 3, 8, 9)
           for access in range(1, 8)]


def rule(text: str) -> LinuxDeviceCgroup:
    verb, type, numbers, access = text.split()
    major, minor = (None if part == "*" else int(part) for part in numbers.split(":"))
    return LinuxDeviceCgroup(allow=verb == "allow", type=type, major=major, minor=minor, access=access)


def run(program: bytes, type: str, major: int, minor: int, access: int) -> int:
    """The kernel's part, as the instruction set's document has it: six kinds of instructions suffice here."""
    bits = sum(bit for letter, bit in ACCESSES.items() if access & letter)
    context = struct.pack("=III", bits << 16 | TYPES[type], major, minor)
    registers, at = [0] * 11, 0
    while True:
        opcode, both, offset, constant = struct.unpack_from("=BBhI", program, at * 8)
        target, source = both & 15, both >> 4
        at += 1
        now = registers[target]
        if opcode == 0x95:
            return registers[0]
        if opcode in (0x15, 0x55, 0x56):
            at += offset if (now == constant) == (opcode == 0x15) else 0
        else:
            registers[target] = {
                0x61: struct.unpack_from("=I", context, offset)[0] if opcode == 0x61 else 0,
                0xB7: constant,
                0xBF: registers[source],
                0x54: now & constant & 0xFFFFFFFF,
                0x74: (now & 0xFFFFFFFF) >> (constant & 31),
            }[opcode]


def kernel_v1(written, type: str, major: int, minor: int, access: int) -> bool:
    """security/device_cgroup.c: a default, and exceptions of which one has to match alone."""
    allow, exceptions = True, []
    for file, line in written:
        adds = (file == "devices.allow") != allow
        if line == "a":
            allow, exceptions = file == "devices.allow", []
            continue
        assert adds, "a line that only takes an exception back would need an exact match"
        exceptions.append(line.split())
    for kind, numbers, letters in exceptions:
        bits = sum(LETTERS[letter] for letter in letters)
        matches = kind == type and all(want in ("*", str(have)) for want, have in
                                       zip(numbers.split(":"), (major, minor), strict=True))
        if matches and (access & ~bits == 0 if not allow else access & bits):
            return not allow
    return allow


def test_a_default_container_may_make_every_node_and_open_the_harmless_ones():
    rules = container_rules(())
    for type in "bc":
        assert allowed(rules, type, 8, 0, MKNOD)
        assert not allowed(rules, type, 8, 0, READ)
        assert not allowed(rules, type, 8, 0, READ | MKNOD)
    for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, 0), (136, 77)):
        assert allowed(rules, "c", major, minor, READ | WRITE)
    for major, minor in ((1, 1), (1, 2), (1, 4), (10, 229), (4, 1)):
        assert not allowed(rules, "c", major, minor, READ), "memory, ports, fuse, the host's terminals"


def test_the_default_in_v1s_words():
    assert lines(container_rules(()))[:3] == (
        ("devices.deny", "a"), ("devices.allow", "c *:* m"), ("devices.allow", "c 1:3 rwm"))
    assert ("devices.allow", "c 136:* rwm") in lines(container_rules(()))


def test_all_devices_of_a_privileged_container():
    assert lines(container_rules([LinuxDeviceCgroup(allow=True)])) == (("devices.allow", "a"),)


def test_one_more_device():
    rules = container_rules([rule("deny a *:* rwm"), rule("allow c 10:229 rw")])
    assert ("devices.allow", "c 10:229 rw") in lines(rules)
    assert allowed(rules, "c", 10, 229, READ | WRITE)


def test_accesses_of_the_same_device_add_up():
    rules = container_rules([rule("allow b 8:0 r"), rule("allow b 8:0 w")])
    assert ("devices.allow", "b 8:0 rw") in lines(rules)


def test_a_later_rule_takes_back():
    rules = container_rules([rule("allow b 8:0 rwm"), rule("allow b 8:16 rw"), rule("deny b 8:* w")])
    assert ("devices.allow", "b 8:0 rm") in lines(rules)
    assert ("devices.allow", "b 8:16 r") in lines(rules)


def test_all_of_one_type():
    rules = container_rules([rule("allow b *:* rwm")])
    assert ("devices.allow", "b *:* rwm") in lines(rules)
    assert not allowed(rules, "c", 4, 1, READ)


@pytest.mark.parametrize("asked, words", [
    (["allow c 8:* rwm", "deny c 8:1 r"], "cgroup v1 cannot express deny c 8:1 r as part of allow c 8:\\* rwm"),
    (["allow c *:1 r", "deny c 8:* r"], "cgroup v1 cannot express"),
    (["allow b *:* rwm", "deny b 8:0 w"], "cgroup v1 cannot express deny b 8:0 w while the other type"),
])
def test_what_v1_cannot_say_is_an_error(asked, words):
    rules = container_rules(map(rule, asked))
    with pytest.raises(InvalidSpec, match=words):
        lines(rules)
    code(rules)


@pytest.mark.parametrize("wrong", [LinuxDeviceCgroup(allow=True, type="x"),
                                   LinuxDeviceCgroup(allow=True, access="rx")])
def test_unknown_types_and_accesses(wrong):
    with pytest.raises(InvalidSpec, match="no such rule"):
        container_rules([wrong])


@pytest.mark.parametrize("field", ["major", "minor"])
@pytest.mark.parametrize("number", [-2, 2**32])
def test_numbers_that_no_device_has(field, number):
    rules = [LinuxDeviceCgroup(allow=True), LinuxDeviceCgroup(allow=True, type="c", **{field: number})]
    with pytest.raises(InvalidSpec, match=rf"^\$\.linux\.resources\.devices\[1\]\.{field}: {number} "):
        container_rules(rules)


def test_minus_one_is_every_number():
    wildcard = LinuxDeviceCgroup(allow=True, type="c", major=-1, minor=-1)
    assert container_rules([wildcard])[2].line == "c *:* rwm"


def test_a_block_of_the_program():
    """One rule, instruction by instruction: `bpftool prog dump xlated` shows the same."""
    program = code((Rule(True, "c", 1, None, READ),))
    assert program[6 * 8:] == b"".join((
        struct.pack("=BBhI", 0x56, 2, 5, 2),            # if type != char, skip the rule
        struct.pack("=BBhI", 0x56, 4, 4, 1),            # if major != 1, skip the rule
        struct.pack("=BBhI", 0x54, 3, 0, 0xFFFFFFFD),   # reading is decided on
        struct.pack("=BBhI", 0x55, 3, 2, 0),            # if more is asked for, go on
        struct.pack("=BBhI", 0xB7, 0, 0, 1),
        struct.pack("=BBhI", 0x95, 0, 0, 0),            # yes
        struct.pack("=BBhI", 0xB7, 0, 0, 0),
        struct.pack("=BBhI", 0x95, 0, 0, 0),            # no
    ))


@settings(max_examples=60, deadline=None)
@given(RULES)
def test_the_program_decides_as_the_rules_do(rules):
    program = code(rules)
    for device in DEVICES:
        assert bool(run(program, *device)) == allowed(rules, *device)


@settings(max_examples=150, deadline=None)
@given(RULES)
def test_v1_never_opens_what_the_rules_close(rules):
    """It is exact for one access at a time; for several at once it wants one exception with all: that is stricter."""
    try:
        written = lines(rules)
    except InvalidSpec:
        return
    for device in DEVICES:
        if device[3] in (READ, WRITE, MKNOD):
            assert kernel_v1(written, *device) == allowed(rules, *device)
        elif kernel_v1(written, *device):
            assert allowed(rules, *device)


def test_a_policy_is_folded_from_the_last_word_on_everything():
    rules = (Rule(True, "c", 1, 3, ANY), Rule(False, "c", None, None, ANY), Rule(True, "c", 1, 5, READ))
    assert policy(rules)["c"] == Policy(False, (Rule(True, "c", 1, 5, READ),))
