"""Running Python from a place where nobody can write to it (SECURITY R5, CVE-2019-5736).

The process that becomes a container is, until execve(2), the host's Python: its /proc/PID/exe leads from inside the
container to the host's interpreter, past every mount namespace. An image whose entry point is a link to /proc/self/exe
makes us execute ourselves, with its own libraries, and can then open that file for writing, as root.

So the interpreter is executed again from a *detached, read-only copy of its mount* (open_tree(2), mount_setattr(2)):
the same file and the same pages in memory, but whoever opens it through /proc/PID/exe comes by way of that mount, and
gets EROFS. Nothing is copied, nothing appears in a mount table; the kernel drops the mount with its last process.
The price is one more start of the interpreter (8 ms), paid by a direct call only; a warm parent is protected already.
"""

import os
import sys
from collections.abc import Mapping, Sequence

from runtime.linux.mounts import (
    AT_FDCWD,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    OPEN_TREE_CLONE,
    mount_setattr,
    open_tree,
)


def protected() -> bool:
    """Whether this process's executable lies on a read-only mount, so that /proc/self/exe cannot be written."""
    return bool(os.statvfs("/proc/self/exe").f_flag & os.ST_RDONLY)


def read_only_copy() -> int:
    """A descriptor for this interpreter on a detached, read-only mount; it can be executed as /proc/self/fd/N."""
    tree = open_tree(AT_FDCWD, os.readlink("/proc/self/exe"), OPEN_TREE_CLONE)
    try:
        mount_setattr(tree, attr_set=MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
    except BaseException:
        os.close(tree)
        raise
    return tree


def exec_protected(argv: Sequence[str], env: Mapping[str, str], tree: int) -> None:
    """Execute this interpreter again from its read-only copy `tree`, with these arguments (without argv[0]).

    It runs isolated (-I), without `site` (-S) and without writing bytecode (-B); `bootstrap` gives it this process's
    own module search path back. Returns only by raising OSError.
    """
    try:
        os.execve(f"/proc/self/fd/{tree}", [sys.executable, *argv], dict(env))
    finally:
        os.close(tree)


def bootstrap(entry: str) -> list[str]:
    """Arguments for `exec_protected` that import `module:function` from this process's sys.path and call it.

    The function is called without arguments and finds its own in sys.argv[1:]; what it returns is the exit code.
    """
    module, function = entry.split(":")
    program = (f"import sys; sys.path[:] = {absolute(sys.path)!r}\n"
               f"from {module} import {function}; sys.exit({function}())")
    return ["-I", "-S", "-B", "-c", program]


def absolute(path: Sequence[str]) -> list[str]:
    """Only absolute entries: a relative one would lead into whatever directory the process is in."""
    return [entry for entry in path if os.path.isabs(entry)]
