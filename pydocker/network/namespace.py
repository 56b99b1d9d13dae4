"""A network namespace that belongs to no process yet: held by a descriptor, entered by a thread for a moment.

Other threads of the server are not touched: a network namespace is a thread's own (clone(2)). A thread that could not
come back must not go on; the kernel has no reason to refuse that, and if it does, the process ends.
"""

import contextlib
import os
from collections.abc import Iterator

from runtime.linux import namespaces

OWN = "/proc/thread-self/ns/net"


def make() -> int:
    """A new one; its descriptor. The kernel removes it, and the links in it, with the last descriptor or process."""
    with _returning():
        namespaces.unshare(namespaces.CLONE_NEWNET)
        return os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def inside(namespace: int) -> Iterator[None]:
    """This thread is in `namespace` for the length of the block: sockets made there, and /proc/sys/net, are of it."""
    with _returning():
        namespaces.setns(namespace, namespaces.CLONE_NEWNET)
        yield


@contextlib.contextmanager
def _returning() -> Iterator[None]:
    home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        try:
            namespaces.setns(home, namespaces.CLONE_NEWNET)
        except OSError:
            os.abort()
        os.close(home)
