"""A program in the kernel that looks at what arrives at a socket, and drops what it does not want (socket(7)).

Classic BPF: instructions of eight bytes each (linux/filter.h). What it returns is how many bytes of a packet to keep.
"""

import ctypes
import struct

from runtime.linux.calls import check, libc

SOL_SOCKET, SO_ATTACH_FILTER = 1, 26
LOAD_HALF = 0x28  # BPF_LD | BPF_H | BPF_ABS: two bytes at a place, as a number in network order
JUMP_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K
ALL = 0xFFFFFFFF
_INSTRUCTION = struct.Struct("=HBBI")


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; the last two are how many of the next ones a jump passes over."""
    return _INSTRUCTION.pack(code, if_true, if_false, value)


def attach(fd: int, program: bytes) -> None:
    """From now on the socket gets only what the program keeps. Raises OSError."""
    argument = Program(len(program) // _INSTRUCTION.size, program)
    check(libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, ctypes.byref(argument), ctypes.sizeof(argument)),
          "socket filter")
