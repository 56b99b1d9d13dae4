"""bpf(2): load a device program, and attach it to a cgroup (kernel 4.15; replacing it at one go, 5.6).

`union bpf_attr` is a different structure for each command; the kernel takes a shorter one than its own, with zeros for
what is missing (linux/bpf.h).
"""

import ctypes
import os
import struct

from runtime.linux.calls import check, libc, register

SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "ppc64le": 361, "s390x": 351,
           "armv7l": 386, "i686": 357}
PROG_LOAD, PROG_ATTACH, PROG_DETACH, PROG_GET_FD_BY_ID, PROG_QUERY = 5, 8, 9, 13, 16
PROG_TYPE_CGROUP_DEVICE = 15
CGROUP_DEVICE = 6  # enum bpf_attach_type
F_ALLOW_MULTI, F_REPLACE = 1 << 1, 1 << 2
LOG_SIZE = 1 << 16
MOST_PROGRAMS = 64  # BPF_CGROUP_MAX_PROGS


def bpf(command: int, attributes: ctypes.Array[ctypes.c_char], what: str) -> int:
    """The system call itself. `what` names the object in the OSError."""
    number = SYSCALL.get(os.uname().machine, -1)  # -1 answers ENOSYS
    return check(libc.syscall(ctypes.c_long(number), register(command), attributes, register(len(attributes))), what)


def load_device_program(code: bytes) -> int:
    """Have the kernel check and keep a program of type cgroup device: a descriptor of it.

    Raises OSError; where the verifier refused, its last words are in it.
    """
    instructions, license, log = (ctypes.create_string_buffer(part) for part in (code, b"Apache-2.0", LOG_SIZE))
    attributes = struct.pack("=IIQQIIQ", PROG_TYPE_CGROUP_DEVICE, len(code) // 8, ctypes.addressof(instructions),
                             ctypes.addressof(license), 0, 0, 0)
    try:
        return bpf(PROG_LOAD, ctypes.create_string_buffer(attributes, len(attributes)), "eBPF device program")
    except OSError:
        # Once more with the verifier's log: asking for it always would fail for want of room in it.
        attributes = attributes[:24] + struct.pack("=IIQ", 1, LOG_SIZE, ctypes.addressof(log))
        try:
            return bpf(PROG_LOAD, ctypes.create_string_buffer(attributes, len(attributes)), "eBPF device program")
        except OSError as error:
            said = log.value.decode("ascii", "replace").strip().splitlines()[-2:]
            raise OSError(error.errno, " ".join([error.strerror or "", *said]), error.filename) from None


def attach_device_program(cgroup: int, program: int, *, replacing: int | None = None) -> None:
    """Attach the program to a cgroup (a descriptor of its directory), in the place of another one if given.

    All programs on the way from the cgroup to the root have to allow an access. Raises OSError.
    """
    flags = F_ALLOW_MULTI | (F_REPLACE if replacing is not None else 0)
    attributes = struct.pack("=IIIII", cgroup, program, CGROUP_DEVICE, flags, replacing or 0)
    bpf(PROG_ATTACH, ctypes.create_string_buffer(attributes, len(attributes)), "eBPF device program of a cgroup")


def detach_device_program(cgroup: int, program: int) -> None:
    """Take a program off a cgroup. Raises OSError."""
    attributes = struct.pack("=III", cgroup, program, CGROUP_DEVICE)
    bpf(PROG_DETACH, ctypes.create_string_buffer(attributes, len(attributes)), "eBPF device program of a cgroup")


def device_programs(cgroup: int) -> list[int]:
    """Descriptors of the device programs that are attached to this very cgroup. Raises OSError."""
    ids = (ctypes.c_uint32 * MOST_PROGRAMS)()
    query = struct.pack("=IIIIQI", cgroup, CGROUP_DEVICE, 0, 0, ctypes.addressof(ids), MOST_PROGRAMS)
    attributes = ctypes.create_string_buffer(query, len(query))
    bpf(PROG_QUERY, attributes, "eBPF device programs of a cgroup")
    count = struct.unpack_from("=I", attributes.raw, 24)[0]
    return [_by_id(number) for number in ids[:count]]


def _by_id(number: int) -> int:
    attributes = struct.pack("=III", number, 0, 0)
    return bpf(PROG_GET_FD_BY_ID, ctypes.create_string_buffer(attributes, len(attributes)), f"eBPF program {number}")
