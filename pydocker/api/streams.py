"""What flows: wait, logs, attach.

An attached client's connection is given to the container's monitor (`monitor.attach`), which reads and writes it from
then on. Nothing that a container says passes through this process, so nothing is lost with it. `logs` are read from the
container's files, and do pass.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from pydocker.api.attaching import Attaching
from pydocker.api.cancel import Cancel, HasFd
from pydocker.api.exchange import Request, Result, Stream, Upgrade
from pydocker.api.router import Routes
from pydocker.containers.options import LogOptions, WaitCondition
from pydocker.errors import InvalidParameter, PydockerError
from pydocker.model.container import Container
from pydocker.monitor import detachkeys
from pydocker.monitor.attach import Attachment
from pydocker.wire import stdcopy
from pydocker.wire.http import MULTIPLEXED_STREAM, RAW_STREAM, Hijacked


class Waiter(Protocol):
    """A subscription to a container's end."""

    def fileno(self) -> int: ...
    def result(self) -> int: ...
    def close(self) -> None: ...


class Containers(Protocol):
    def get(self, ref: str) -> Container: ...
    def wait(self, ref: str, condition: WaitCondition = ...) -> Waiter: ...
    def logs(self, ref: str, options: LogOptions, gone: HasFd | None = None) -> Iterator[tuple[int, bytes]]: ...
    def attachable(self, ref: str, doing: str) -> None: ...
    def attach(self, ref: str, attachment: Attachment) -> None: ...


class Backend(Protocol):
    @property
    def containers(self) -> Containers: ...
    @property
    def attaching(self) -> Attaching: ...


def wait(backend: Backend, request: Request) -> Result:
    """The headers say that the wait has begun: `docker run` starts the container when it has them, not before."""
    text = request.text("condition") or WaitCondition.NOT_RUNNING
    try:
        condition = WaitCondition(text)
    except ValueError:
        raise InvalidParameter(f"invalid condition: {text[:100]!r}") from None
    waiter, gone = backend.containers.wait(request.parameters["id"], condition), Cancel()
    return Stream(_outcome(waiter, gone), cancel=gone.set)


def _outcome(waiter: Waiter, gone: Cancel) -> Iterator[bytes]:
    with contextlib.closing(waiter):
        if gone.wait_for(waiter):
            try:
                yield b'{"StatusCode":%d}\n' % waiter.result()
            except PydockerError as error:
                yield msgspec.json.encode({"StatusCode": -1, "Error": {"Message": str(error)}})


def logs(backend: Backend, request: Request) -> Result:
    options = log_options(request)
    id = request.parameters["id"]
    tty, gone = backend.containers.get(id).record.config.tty, Cancel()
    entries = backend.containers.logs(id, options, gone)
    return Stream(_framed(entries, tty), content_type(request, tty), gone.set)


def log_options(request: Request) -> LogOptions:
    """What the query asks for. Raises InvalidParameter."""
    if not (request.flag("stdout") or request.flag("stderr")):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    tail = None if request.text("tail") == "all" else request.number("tail")
    return LogOptions(
        stdout=request.flag("stdout"), stderr=request.flag("stderr"), follow=request.flag("follow"),
        timestamps=request.flag("timestamps"), details=request.flag("details"), since=request.nanoseconds("since"),
        until=request.nanoseconds("until"), tail=None if tail is None or tail < 0 else tail,
    )


def attach(backend: Backend, request: Request) -> Result:
    container = backend.containers.get(request.parameters["id"])
    detachkeys.parse(request.text("detachKeys"))  # while it can still be told as an error
    backend.containers.attachable(container.record.id, "attach to")
    tty = container.record.config.tty

    def take(switch: Callable[[], Hijacked]) -> None:
        with backend.attaching.under_way(container.record.id):
            hand_over(switch())

    def hand_over(hijacked: Hijacked) -> None:
        with hijacked.socket, reported(hijacked, tty):
            attachment = _attachment(request, hijacked)
            if attachment.stream:
                backend.containers.attach(container.record.id, attachment)
            elif attachment.logs:
                _replay(backend, container, attachment)

    return Upgrade(content_type(request, tty), take)


def _attachment(request: Request, hijacked: Hijacked) -> Attachment:
    return Attachment(
        hijacked.socket, hijacked.leftover, stdin=request.flag("stdin"), stdout=request.flag("stdout"),
        stderr=request.flag("stderr"), logs=request.flag("logs"), stream=request.flag("stream"),
        detach_keys=request.text("detachKeys"),
    )


def _replay(backend: Backend, container: Container, attachment: Attachment) -> None:
    """`logs` without `stream`: what was said so far, and the end. It needs no monitor, so it works when stopped too."""
    options = LogOptions(stdout=attachment.stdout, stderr=attachment.stderr)
    for piece in _framed(backend.containers.logs(container.record.id, options), container.record.config.tty):
        attachment.socket.sendall(piece)


@contextlib.contextmanager
def reported(hijacked: Hijacked, tty: bool) -> Iterator[None]:
    """Tell an error on a connection that is HTTP no more: as text on standard output, where Docker puts it as well."""
    try:
        yield
    except PydockerError as error:
        message = f"{error}\r\n".encode()
        with contextlib.suppress(OSError):
            hijacked.socket.sendall(message if tty else stdcopy.frame(stdcopy.STDOUT, message))


def content_type(request: Request, tty: bool) -> str:
    """Framed streams have had a type of their own since API 1.42."""
    return RAW_STREAM if tty or request.version < (1, 42) else MULTIPLEXED_STREAM


def _framed(entries: Iterator[tuple[int, bytes]], tty: bool) -> Iterator[bytes]:
    for stream, text in entries:
        yield text if tty else stdcopy.frame(stream, text)


ROUTES: Routes[Backend] = (
    ("POST", "/containers/{id}/wait", wait),
    ("GET", "/containers/{id}/logs", logs),
    ("POST", "/containers/{id}/attach", attach),
)
