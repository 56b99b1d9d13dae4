"""Exec sessions: further programs in a running container. Created first, then started, on a connection or detached."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from pydocker.api.containers import set_size
from pydocker.api.exchange import Request, Response, Result, Upgrade, reply
from pydocker.api.router import Routes
from pydocker.api.streams import content_type, reported
from pydocker.errors import Conflict, InvalidParameter
from pydocker.model.container import ExecConfig, ExecId, ExecSession
from pydocker.monitor import detachkeys
from pydocker.monitor.attach import Attachment
from pydocker.wire import containers as wire
from pydocker.wire import requests
from pydocker.wire.http import Hijacked


class Containers(Protocol):
    def exec_create(self, ref: str, config: ExecConfig) -> ExecId: ...
    def attachable(self, ref: str, doing: str) -> None: ...
    def exec_get(self, id: str) -> ExecSession: ...
    def exec_start(self, id: str, *, detach: bool, tty: bool, attachment: Attachment | None = None) -> None: ...
    def exec_resize(self, id: str, height: int, width: int) -> None: ...


class Backend(Protocol):
    @property
    def containers(self) -> Containers: ...


class Start(msgspec.Struct, frozen=True, rename="pascal"):
    """The body of `POST /exec/{id}/start`."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None  # height, width


def create(backend: Backend, request: Request) -> Result:
    config = requests.execute(request.document())
    if not config.cmd:
        raise InvalidParameter("No exec command specified")
    detachkeys.parse(config.detach_keys)
    return reply({"Id": backend.containers.exec_create(request.parameters["id"], config)}, 201)


def start(backend: Backend, request: Request) -> Result:
    body = requests.convert(request.document(), Start)
    session = backend.containers.exec_get(request.parameters["id"])
    if session.running or session.exit_code is not None:
        raise Conflict(f"Error: Exec command {session.id} has already run")
    if body.detach:
        backend.containers.exec_start(session.id, detach=True, tty=body.tty)
        return Response()

    backend.containers.attachable(session.container, "exec in")
    # Whether it has a terminal was decided when it was created: the bytes are framed by that, so is what is said here.
    config = session.config

    def take(switch: Callable[[], Hijacked]) -> None:
        hijacked = switch()
        with hijacked.socket, reported(hijacked, config.tty):
            attachment = Attachment(hijacked.socket, hijacked.leftover, config.attach_stdin, config.attach_stdout,
                                    config.attach_stderr, detach_keys=config.detach_keys)
            backend.containers.exec_start(session.id, detach=False, tty=config.tty, attachment=attachment)

    return Upgrade(content_type(request, config.tty), take)


def resize(backend: Backend, request: Request) -> Result:
    set_size(request, lambda height, width: backend.containers.exec_resize(request.parameters["id"], height, width))
    return Response()


def inspect(backend: Backend, request: Request) -> Result:
    return reply(wire.inspect_exec(backend.containers.exec_get(request.parameters["id"])))


ROUTES: Routes[Backend] = (
    ("POST", "/containers/{id}/exec", create),
    ("POST", "/exec/{id}/start", start),
    ("POST", "/exec/{id}/resize", resize),
    ("GET", "/exec/{id}/json", inspect),
)
