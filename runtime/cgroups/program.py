"""Device rules as an eBPF program, for cgroup v2, which has no device controller with files.

The kernel runs the program at each open(2) and mknod(2) of a device by a process of the cgroup, and refuses with EPERM
when it returns 0 (kernel, Documentation/admin-guide/cgroup-v2.rst "Device controller"; struct bpf_cgroup_dev_ctx).
The first register points to three numbers: access << 16 | type, major, minor.

The rules say: the last one that speaks of a device and an access decides. So the program goes through them from the
last to the first, and keeps in a register the accesses that nobody has decided on yet:

    an allowing rule takes its accesses out of the register; if nothing is left, the answer is yes
    a denying rule that meets one that is left ends it: the answer is no
    whatever is left at the end was allowed by nobody: no

An instruction is 8 bytes: opcode, registers (source << 4 | destination), offset of a jump in instructions, constant
(kernel, Documentation/bpf/standardization/instruction-set.rst).
"""

import struct
from collections.abc import Iterable

import msgspec

from runtime.cgroups.devices import MKNOD, READ, WRITE, Rule

# Registers: r0 is the result, r1 the argument. The others are ours to choose.
RESULT, CONTEXT, TYPE, LEFT, MAJOR, MINOR, SCRATCH = 0, 1, 2, 3, 4, 5, 6
# Opcodes: the class in the low three bits, the operation above it; "32" ones work on the lower half.
LOAD_32 = 0x61
MOVE, MOVE_REGISTER = 0xB7, 0xBF
AND_32, SHIFT_RIGHT_32 = 0x54, 0x74
JUMP_IF_EQUAL, JUMP_IF_NOT_EQUAL, EXIT = 0x15, 0x55, 0x95
JUMP_IF_NOT_EQUAL_32 = 0x56

TYPES = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR
ACCESSES = {MKNOD: 1, READ: 2, WRITE: 4}  # BPF_DEVCG_ACC_*: the order differs from the letters'


class Instruction(msgspec.Struct, frozen=True):
    """One eBPF instruction."""

    opcode: int
    destination: int = 0
    source: int = 0
    offset: int = 0
    constant: int = 0

    def __bytes__(self) -> bytes:
        """As the kernel reads it; a constant is 32 bits, and majors and minors are unsigned."""
        registers = self.source << 4 | self.destination
        return struct.pack("=BBhI", self.opcode, registers, self.offset, self.constant & 0xFFFFFFFF)


PROLOGUE = (
    Instruction(LOAD_32, TYPE, CONTEXT, 0),
    Instruction(MOVE_REGISTER, LEFT, TYPE),
    Instruction(AND_32, TYPE, constant=0xFFFF),
    Instruction(SHIFT_RIGHT_32, LEFT, constant=16),
    Instruction(LOAD_32, MAJOR, CONTEXT, 4),
    Instruction(LOAD_32, MINOR, CONTEXT, 8),
)
NO = (Instruction(MOVE, RESULT, constant=0), Instruction(EXIT))
YES = (Instruction(MOVE, RESULT, constant=1), Instruction(EXIT))


def instructions(rules: Iterable[Rule]) -> tuple[Instruction, ...]:
    """The whole program."""
    return PROLOGUE + tuple(one for rule in reversed(tuple(rules)) for one in _block(rule)) + NO


def code(rules: Iterable[Rule]) -> bytes:
    """The whole program as bpf(2) takes it."""
    return b"".join(map(bytes, instructions(rules)))


def _block(rule: Rule) -> tuple[Instruction, ...]:
    """The instructions of one rule; each test that fails jumps behind the block."""
    tests = [(TYPE, TYPES[rule.type])]
    tests += [(register, number) for register, number in ((MAJOR, rule.major), (MINOR, rule.minor))
              if number is not None]
    decision = _decision(rule)
    return tuple(
        Instruction(JUMP_IF_NOT_EQUAL_32, register, offset=len(tests) - at - 1 + len(decision), constant=number)
        for at, (register, number) in enumerate(tests)
    ) + decision


def _decision(rule: Rule) -> tuple[Instruction, ...]:
    access = sum(bit for letter, bit in ACCESSES.items() if rule.access & letter)
    if rule.allow:
        return (Instruction(AND_32, LEFT, constant=~access),
                Instruction(JUMP_IF_NOT_EQUAL, LEFT, offset=len(YES)), *YES)
    return (Instruction(MOVE_REGISTER, SCRATCH, LEFT), Instruction(AND_32, SCRATCH, constant=access),
            Instruction(JUMP_IF_EQUAL, SCRATCH, offset=len(NO)), *NO)
