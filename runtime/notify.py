"""sd_notify(3): how the program of a container tells systemd that it is ready.

A service of Type=notify finds the path of a datagram socket in NOTIFY_SOCKET: of systemd's, or of somebody like conmon
who stands between. Inside a container that path leads nowhere. So, as with runc, the program gets one of ours:

    systemd  <── MAINPID=…, READY=1 ──  who starts the container  <── READY=1 ──  the program
    $NOTIFY_SOCKET                      <root>/<id>/notify/notify.sock            /run/notify/notify.sock

One word goes through, once. All else that a container could say (MAINPID=1, STOPPING=1, FDSTORE=1) would have systemd
do something to a service of the host. systemd believes a message by the process that sends it, so that is no child of
ours; and a process that is about to end waits until systemd has looked it up (BARRIER=1).

`start`, and `run --detach`, return when the program is ready, or has ended; `run` in the foreground stays anyway, and
is told of a message by SIGIO, whatever it is waiting for.
"""

import fcntl
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from select import POLLIN, poll
from types import FrameType

from msgspec.structs import replace

from runtime import log
from runtime.linux.sockets import bind_datagram, connect_datagram, send_descriptor
from runtime.spec import Mount, Spec
from runtime.state import Place

INSIDE, NAME = "/run/notify", "notify.sock"
LONGEST = 4096  # bytes of a message
PATIENCE = 30_000  # milliseconds for systemd to look


def mounted(spec: Spec, place: Place) -> Spec:
    """With the socket's directory among the mounts, and its path in the program's environment."""
    assert spec.process is not None
    directory = Mount(destination=INSIDE, type="bind", source=place.notify,
                      options=("bind", "ro", "nosuid", "nodev", "noexec"))
    process = replace(spec.process, env=(*spec.process.env, f"NOTIFY_SOCKET={INSIDE}/{NAME}"))
    return replace(spec, mounts=(*spec.mounts, directory), process=process)


def begin(place: Place, start: Callable[[], None], host: str, *, staying: bool) -> None:
    """Start the container, and pass its word on to the socket `host`: before this returns, or, `staying`, later."""
    ear = listen(place)
    if ear < 0:
        start()
        return
    try:
        pid = place.record().pid
        if staying:
            attend(ear, host)
        start()
        if not staying and heard(ear, pid):
            tell(host, pid, barrier=True)
    finally:
        if not staying:
            os.close(ear)


def listen(place: Place) -> int:
    """Where the program's messages come; -1 for a container that was made without, or was started before."""
    try:
        return bind_datagram(os.path.join(place.notify, NAME))
    except OSError:
        return -1


def heard(ear: int, pid: int) -> bool:
    """Wait for the word. False if the process ends without it."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    events = poll()
    events.register(ear, POLLIN)
    events.register(end, POLLIN)
    try:
        while True:
            which = [descriptor for descriptor, _ in events.poll()]
            if ready(ear):  # what it said last of all counts
                return True
            if end in which:
                return False
    finally:
        os.close(end)


def ready(ear: int) -> bool:
    """Whether one of the messages that have come says so."""
    with suppress(BlockingIOError):
        while message := os.read(ear, LONGEST):
            if b"READY=1" in message.split(b"\n"):
                return True
    return False


def attend(ear: int, host: str) -> None:
    """Have the kernel interrupt us when there is a message. fcntl(2), F_SETOWN, O_ASYNC"""
    def handler(number: int, frame: FrameType | None) -> None:
        if ready(ear):
            signal.signal(signal.SIGIO, signal.SIG_IGN)
            tell(host, os.getpid())

    signal.signal(signal.SIGIO, handler)
    fcntl.fcntl(ear, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(ear, fcntl.F_SETFL, fcntl.fcntl(ear, fcntl.F_GETFL) | os.O_ASYNC)


def tell(host: str, pid: int, *, barrier: bool = False) -> None:
    """Which process to watch, and that it is ready. If nobody listens, that is no reason to end a container."""
    try:
        channel = connect_datagram(host)
        try:
            for message in (b"MAINPID=%d\n" % pid, b"READY=1\n"):
                os.write(channel, message)
            if barrier:
                await_reader(channel)
        finally:
            os.close(channel)
    except OSError as error:
        log.warning(f"tell {host} that the container is ready: {str(error.strerror).lower()} (sd_notify(3))")


def await_reader(channel: int) -> None:
    """Return when the messages before have been read: the reader closes the pipe's end that comes last of all."""
    ours, theirs = os.pipe()
    try:
        send_descriptor(channel, b"BARRIER=1\n", theirs)
    finally:
        os.close(theirs)
    closed = poll()
    closed.register(ours, 0)  # POLLHUP is always told
    closed.poll(PATIENCE)
    os.close(ours)
