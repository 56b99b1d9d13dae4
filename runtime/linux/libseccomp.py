"""libseccomp: from names and comparisons to the BPF program that says the same (seccomp_export_bpf(3)).

It knows each architecture's numbers, and how arguments are passed there (socketcall and ipc on i386, for instance); it
also checks that a call came from one of the filter's architectures. What it makes is kept (`process.filters`), so
importing it is rare.
"""

import ctypes
import functools
import os
from types import ModuleType

import msgspec

LIBRARY = "libseccomp.so.2"

Condition = tuple[int, int, int, int]
"""Number of the argument, operator, value, second value (seccomp_rule_add(3))."""


class Rule(msgspec.Struct, frozen=True):
    """What becomes of one system call; all conditions have to be met."""

    name: str
    action: int
    conditions: tuple[Condition, ...] = ()


class Filter(msgspec.Struct, frozen=True):
    """All that libseccomp has to be told. `architectures` are its tokens, beside the machine's own."""

    default: int
    architectures: tuple[int, ...] = ()
    rules: tuple[Rule, ...] = ()


@functools.cache
def version() -> str:
    """The version of the library, without the Python around it."""
    class Version(ctypes.Structure):
        _fields_ = [("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint)]

    library = ctypes.CDLL(LIBRARY)
    library.seccomp_version.restype = ctypes.POINTER(Version)
    found = library.seccomp_version().contents
    return f"{found.major}.{found.minor}.{found.micro}"


def library() -> ModuleType:
    """pyseccomp. Its import would run gcc, ld and ldconfig from PATH to find two libraries whose names are known."""
    import ctypes.util  # it imports subprocess and tempfile: only where there is something to compile

    find = ctypes.util.find_library
    ctypes.util.find_library = lambda name: {"seccomp": LIBRARY}.get(name)  # None for libc: what is loaded already
    try:
        import pyseccomp  # type: ignore[import-untyped]
    finally:
        ctypes.util.find_library = find
    module: ModuleType = pyseccomp
    return module


def numbers(filter: Filter) -> dict[int, int]:
    """The highest system call that the filter speaks of, for each of its architectures, by libseccomp's token."""
    names = {rule.name for rule in filter.rules}
    resolve, native = library().resolve_syscall, library().system_arch()
    return {token: max((resolve(token, name) for name in names), default=-1)
            for token in {native, *filter.architectures}}


def compiled(filter: Filter) -> bytes:
    """The program. Raises OSError, which names the rule or the architecture."""
    pyseccomp = library()
    made = pyseccomp.SyscallFilter(filter.default)
    native = pyseccomp.system_arch()
    for number, token in enumerate(filter.architectures):
        what = f"architectures[{number}]"
        if not added(made.exist_arch, token, what=what):  # which refuses one that this version does not know
            added(made.add_arch, token, what=what)
    if len(filter.rules) > 32:
        made.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)  # a binary tree, as comparing with hundreds of numbers takes time
    for rule in filter.rules:
        # A name that this version does not know is one that no rule can be made for: runc skips it, too.
        if rule.action != filter.default and pyseccomp.resolve_syscall(native, rule.name) != -1:
            arguments = (pyseccomp.Arg(*condition) for condition in rule.conditions)
            added(made.add_rule, rule.action, rule.name, *arguments, what=f"rule for {rule.name}")
    return exported(made)


def added(add: object, *arguments: object, what: str) -> object:
    assert callable(add)
    try:
        return add(*arguments)
    except OSError as error:
        raise OSError(error.errno, error.strerror, what) from None


def exported(made: object) -> bytes:
    """seccomp_export_bpf(3) writes to a descriptor."""
    with open(os.memfd_create("filter"), "w+b") as memory:
        made.export_bpf(memory)  # type: ignore[attr-defined]
        memory.seek(0)
        return memory.read()
