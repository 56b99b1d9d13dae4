"""What the server may ask a monitor, and what it answers: one message each way, on a fresh connection per request.

The socket is unix(7), SOCK_SEQPACKET: messages keep their bounds, arrive in order, and an end is noticed. A message is
JSON; the descriptors it speaks of travel beside it (SCM_RIGHTS).

    AttachRequest + client      Done             the connection is the monitor's from here on
    Resize                      Done
    ExecRequest [+ client]      Done             the process runs; or Failed, with Docker's exit code
    Freeze                      Done             it is paused, or goes on
    Update                      Done             it has these limits now
    Spare                       Done             its end will not be its removal, in spite of --rm
    StayDown                    Done             it will not be started again by its policy
    Wait                        Ended            when it has ended (and, with `removed`, when --rm is through)
    Namespace                   Done + its       network namespace, which stays for its next runs
    Listen + 2 sockets          Done             names are answered on them
    Arrange + sockets           Done             its networks or published ports have changed; the sockets hold new ones
    View                        Done + root      the container's root file system, without its mounts (O_PATH)
    Follow                      a byte           whenever the log has grown; closed when it will grow no more
"""

import contextlib
import os
import select
import socket
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from pydocker.errors import (
    Conflict,
    InvalidParameter,
    NotFound,
    NotSupported,
    PydockerError,
    StartFailed,
    Unavailable,
)
from pydocker.monitor.attach import AttachRequest
from pydocker.monitor.launch import SOCKET
from runtime.spec.resources import LinuxResources

T = TypeVar("T")
LARGEST = 1 << 20  # bytes of one message; net.core.wmem_max bounds it further
_FDS = 64


class Resize(msgspec.Struct, frozen=True, tag="resize", array_like=True):
    """The size of the container's terminal, or of an exec session's, in characters."""

    height: int
    width: int
    exec_id: str = ""


class ExecRequest(msgspec.Struct, frozen=True, tag="exec", array_like=True):
    """Run the session whose file is `execs/<id>.json`; with `client`, one descriptor travels along."""

    id: str
    client: AttachRequest | None = None


class Freeze(msgspec.Struct, frozen=True, tag="freeze", array_like=True):
    """Pause the container, or let it go on."""

    wanted: bool


class Update(msgspec.Struct, frozen=True, tag="update", array_like=True):
    """Give the container these limits; what they leave out stays."""

    limits: LinuxResources


class Spare(msgspec.Struct, frozen=True, tag="spare", array_like=True):
    """Leave the container when it ends, in spite of --rm: it is to be started again."""


class StayDown(msgspec.Struct, frozen=True, tag="stay-down", array_like=True):
    """It is being stopped by hand: its restart policy no longer applies."""


class Wait(msgspec.Struct, frozen=True, tag="wait", array_like=True):
    """Tell when it has ended; with `removed`, only when --rm has removed it, too."""

    removed: bool = False


class Arrange(msgspec.Struct, frozen=True, tag="arrange", array_like=True):
    """The container's endpoints on disk are other ones; one descriptor brings the sockets of new ports."""


class View(msgspec.Struct, frozen=True, tag="view", array_like=True):
    """Hand over the overlay: it is in the monitor's mount namespace and nowhere else."""


class Namespace(msgspec.Struct, frozen=True, tag="namespace", array_like=True):
    """Hand over the network namespace, to be changed."""


class Listen(msgspec.Struct, frozen=True, tag="listen", array_like=True):
    """Answer names on the two sockets that come along: by UDP, and by TCP."""


class Follow(msgspec.Struct, frozen=True, tag="follow", array_like=True):
    """Tell when the log grows."""


Request = (AttachRequest | Resize | ExecRequest | Freeze | Update | Spare | StayDown | Wait | View | Namespace
           | Listen | Arrange | Follow)


def needs_no_process(request: Request, *, ended: bool) -> bool:
    """Whether it can be asked between two runs; or, when the container has `ended`, after the last one."""
    if isinstance(request, Update | Namespace | Listen | Arrange):  # what will hold for the next run
        return not ended
    return isinstance(request, Wait | Follow | StayDown)


class Done(msgspec.Struct, frozen=True, tag="done", array_like=True):
    """It was done."""


class Failed(msgspec.Struct, frozen=True, tag="failed", array_like=True):
    """It was not. `exit_code` is Docker's where a program could not be started, `status` the HTTP status otherwise."""

    message: str
    exit_code: int = 0
    status: int = 500


class Ended(msgspec.Struct, frozen=True, tag="ended", array_like=True):
    """The container's process has ended."""

    exit_code: int


Reply = Done | Failed | Ended


def send(to: socket.socket, message: msgspec.Struct, fds: Sequence[int] = ()) -> None:
    """Send one message. Raises OSError: EPIPE when the peer is gone, EMSGSIZE when it is too large."""
    socket.send_fds(to, [msgspec.json.encode(message)], fds)


def ask(connection: socket.socket, request: msgspec.Struct, asked: str, fds: Sequence[int] = ()) -> None:
    """Send what has to be answered. Unavailable: the peer is gone, or has just closed with others in its queue."""
    try:
        send(connection, request, fds)
    except ConnectionError as error:
        raise Unavailable(f"{asked}: it ended without an answer") from error


def receive(connection: socket.socket, type: type[T]) -> tuple[T | None, list[int]]:
    """One message (None: the peer is gone) and its descriptors, close-on-exec. Raises msgspec.MsgspecError."""
    try:
        content, fds = receive_descriptors(connection, LARGEST, _FDS)
    except ConnectionResetError:  # gone as well: it ended before it had read what we sent
        return None, []
    if not content:
        return None, fds
    try:
        return msgspec.json.decode(content, type=type), fds
    except msgspec.MsgspecError:
        close(fds)
        raise


def receive_descriptors(connection: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Up to `size` bytes and the descriptors that came along, close-on-exec.

    (socket.recv_fds of Python 3.11 takes flags and drops them: its descriptors would reach every program.)
    """
    fds = array("i")
    space = socket.CMSG_SPACE(most * fds.itemsize)
    content, ancillary, _, _ = connection.recvmsg(size, space, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
    return content, list(fds)


def answered(connection: socket.socket, seconds: float) -> bool:
    """Whether there is an answer within this time, or will never be one."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def given_up(connection: socket.socket) -> bool:
    """Whether the peer waits for nothing any more, as it has closed both directions (a half-closed one still reads)."""
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(0))  # poll(2): POLLHUP and POLLERR are told unasked


def expect_done(connection: socket.socket, asked: str) -> None:
    """Wait for Done. Raises what a Failed says; Unavailable when the peer dies instead of answering."""
    try:
        reply, fds = receive(connection, Reply)  # type: ignore[arg-type]
    except (OSError, msgspec.MsgspecError) as error:
        raise Unavailable(f"{asked}: {error}") from error
    close(fds)
    if isinstance(reply, Failed):
        raise error_of(reply)
    if not isinstance(reply, Done):
        raise Unavailable(f"{asked}: it ended without an answer")


def expect_descriptor(connection: socket.socket, asked: str) -> int:
    """Wait for a Done that brings a descriptor. Raises as `expect_done` does."""
    try:
        reply, fds = receive(connection, Reply)  # type: ignore[arg-type]
    except (OSError, msgspec.MsgspecError) as error:
        raise Unavailable(f"{asked}: {error}") from error
    if isinstance(reply, Done) and len(fds) == 1:
        return fds[0]
    close(fds)
    raise error_of(reply) if isinstance(reply, Failed) else Unavailable(f"{asked}: it ended without an answer")


def error_of(failed: Failed) -> PydockerError:
    """The exception that a Failed stands for, by the HTTP status."""
    if failed.exit_code:
        return StartFailed(failed.message, failed.exit_code)
    kinds = {kind.status: kind for kind in (InvalidParameter, NotFound, Conflict, NotSupported, Unavailable)}
    return kinds.get(failed.status, PydockerError)(failed.message)


def close(fds: Sequence[int]) -> None:
    """Close received descriptors."""
    for fd in fds:
        os.close(fd)


def listen(run: Path) -> socket.socket:
    """Make `monitor.sock` in the container's run directory."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(run / SOCKET)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with short_name(run) as name:
        listener.bind(name + SOCKET)
    listener.listen(128)
    return listener


def connect(run: Path) -> socket.socket:
    """Connect to the container's monitor. Raises Unavailable when there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with short_name(run) as name:
            connection.connect(name + SOCKET)
    except OSError as error:
        connection.close()
        raise Unavailable(f"connect {run / SOCKET}: {os.strerror(error.errno or 0).lower()}: no monitor") from error
    return connection


@contextlib.contextmanager
def short_name(run: Path) -> Iterator[str]:
    """A short name for the directory, with a slash behind it:

    a socket's path has at most 108 bytes (unix(7)), and data roots may lie deep.
    """
    fd = os.open(run, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/"
    finally:
        os.close(fd)
