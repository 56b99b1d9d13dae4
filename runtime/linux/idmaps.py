"""user_namespaces(7): whose user 0 is the host's user 100000, made from outside.

A user namespace begins with unshare(2) or clone(2), and stays useless until its maps are written: which ids inside are
which outside. Whoever is inside may map no id but its own; so they are written by a process outside that has
CAP_SETUID and CAP_SETGID, and then setgroups(2) stays allowed inside. What is needed of the process inside is only
that it exists: here it is a child that does nothing else, and a descriptor of its namespace outlives it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from runtime.errors import StepFailed
from runtime.linux import namespaces
from runtime.linux.calls import note
from runtime.linux.descriptors import read, write

Map = tuple[tuple[int, int, int], ...]  # (first id inside, first id outside, how many)


def lines(map: Map) -> str:
    """As /proc/PID/uid_map wants them, all in one write(2)."""
    return "".join(f"{inside} {outside} {size}\n" for inside, outside, size in map)


def user_namespace(uids: Map, gids: Map) -> int:
    """A new user namespace with these maps, as a descriptor. Raises StepFailed with the map that the kernel refused."""
    with held(lambda: namespaces.unshare(namespaces.CLONE_NEWUSER), "unshare", namespaces.CLONE_NEWUSER) as pid:
        if not pid:
            raise StepFailed("no new user namespace can be made (unshare(2)): see /proc/sys/user/max_user_namespaces")
        for name, map in (("uid_map", uids), ("gid_map", gids)):
            fill(f"/proc/{pid}/{name}", map)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def held(enter: Callable[[], None], *call: Any) -> Iterator[int]:
    """The pid of a child that entered a namespace, and lives as long as this block; 0 if it could not enter.

    `call` is what it does, to be noted here for a trace: the child's notes end with it.
    """
    inner, outer = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        hold(inner, outer, enter)
    note(*call)
    os.close(inner[1])
    os.close(outer[0])
    try:
        yield pid if os.read(inner[0], 1) == b"+" else 0
    finally:
        os.close(inner[0])
        os.close(outer[1])
        os.waitpid(pid, 0)


def hold(inner: tuple[int, int], outer: tuple[int, int], enter: Callable[[], None]) -> NoReturn:
    """In the child: enter the namespace, say so, and stay until the parent closes its end, or dies."""
    try:
        os.close(outer[1])
        enter()
        os.write(inner[1], b"+")
        os.read(outer[0], 1)
    finally:
        os._exit(0)


def fill(path: str, map: Map) -> None:
    try:
        write(path, lines(map).encode())
    except OSError as error:
        raise StepFailed(f"map ids ({told(map)}): {str(error.strerror).lower()} "
                         f"(write(2) to {os.path.basename(path)}, user_namespaces(7))") from error


def maps_at(path: str) -> tuple[Map, Map] | None:
    """The maps of the user namespace at the path, uids and gids; None where they cannot be seen from here.

    Only a process in it shows them: where the path is not one of /proc, one is brought in.
    """
    if path.startswith("/proc/") and path.endswith("/ns/user"):
        return maps_of(path[:-len("/ns/user")])
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with held(lambda: namespaces.setns(descriptor, namespaces.CLONE_NEWUSER),
                  "setns", descriptor, namespaces.CLONE_NEWUSER) as pid:
            return maps_of(f"/proc/{pid}") if pid else None
    finally:
        os.close(descriptor)


def maps_of(process: str) -> tuple[Map, Map] | None:
    try:
        return parse(read(process + "/uid_map")), parse(read(process + "/gid_map"))
    except OSError:
        return None


def parse(content: bytes) -> Map:
    rows = [tuple(map(int, line.split())) for line in content.splitlines()]
    return tuple((row[0], row[1], row[2]) for row in rows)


def outside(map: Map, id: int) -> int | None:
    """What the id inside is outside; None if nothing is mapped to it."""
    return next((first + id - inside for inside, first, size in map if inside <= id < inside + size), None)


def told(map: Map) -> str:
    """`0-65535 are 100000-165535`: the host's."""
    return ", ".join(f"{inside}-{inside + size - 1} are {first}-{first + size - 1}"
                     for inside, first, size in map) or "none"
