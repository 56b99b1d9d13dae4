"""A backend in memory: containers whose "program" says what its command line says, images that are there by decree.

    echo WORDS         says them, exits 0          fail N           exits N
    cat                gives back its input        sleep            runs until it is stopped
"""

import dataclasses
import itertools
import select
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from pydocker.api.background import Tell
from pydocker.api.cancel import HasFd
from pydocker.containers.options import LogOptions, WaitCondition
from pydocker.errors import Conflict, NotFound, NotModified, StartFailed
from pydocker.model import digest
from pydocker.model.container import (
    Config,
    Container,
    ContainerId,
    ExecConfig,
    ExecId,
    ExecSession,
    HostConfig,
    Record,
    State,
    Status,
)
from pydocker.model.image import Descriptor, Image, ImageConfig, ImageDefaults, RootFS
from pydocker.model.reference import Reference, parse
from pydocker.monitor.attach import Attachment
from pydocker.paths import Paths
from pydocker.wire.info import Facts
from pydocker.wire.stdcopy import STDOUT, frame

LAYER = digest.of(b"layer")


def image(name: str = "busybox:latest") -> Image:
    id = digest.of(name.encode())
    config = ImageConfig(architecture="amd64", os="linux", rootfs=RootFS("layers", (LAYER,)),
                         config=ImageDefaults(cmd=("sh",), labels={"a": "b"}), created="2023-11-14T22:13:20Z")
    return Image(id=id, manifest=Descriptor(media_type="m", digest=id, size=1), config=config, layers=(LAYER,),
                 size=4_000_000, names=(name,) if name else ())


class Waiter:
    """Ready when the container has ended."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self.code = 0

    def fileno(self) -> int:
        return self._ours.fileno()

    def tell(self, code: int) -> None:
        self.code = code
        self._theirs.close()

    def result(self) -> int:
        self._ours.recv(1)
        return self.code

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


class Containers:
    def __init__(self, images: "Images") -> None:
        self._images = images
        self._all: dict[str, Container] = {}
        self._execs: dict[str, ExecSession] = {}
        self._attached: dict[str, list[Attachment]] = {}
        self._output: dict[str, bytes] = {}
        self.waiters: dict[str, list[Waiter]] = {}
        self.follower_left = threading.Event()
        self.sizes: list[tuple[int, int]] = []
        self.calls: list[tuple[object, ...]] = []
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def create(self, name: str | None, config: Config, host: HostConfig,
               platform: str | None) -> tuple[ContainerId, list[str]]:
        chosen = self._images.resolve(config.image)
        id = ContainerId(f"{next(self._numbers):064x}")
        if any(name == other.record.name for other in self._all.values()):
            raise Conflict(f'Conflict. The container name "/{name}" is already in use')
        record = Record(id=id, name=name or f"name{id[-3:]}", created=time.time(), image=chosen.id,
                        image_name=config.image, platform="linux/amd64", argv=config.cmd or ("sh",), config=config,
                        host=host, layers=chosen.layers)
        self._all[id] = Container(record, State())
        return id, []

    def get(self, ref: str) -> Container:
        for id, container in self._all.items():
            if id.startswith(ref) or container.record.name == ref:
                return container
        raise NotFound(f"No such container: {ref}")

    def start(self, ref: str) -> None:
        container = self.get(ref)
        if container.state.running:
            raise NotModified("already running")
        id, (program, *arguments) = container.record.id, container.record.argv
        if program == "nosuch":
            for attachment in self._attached.pop(id, []):
                attachment.socket.close()
            raise StartFailed(f'exec: "{program}": executable file not found in $PATH', 127)
        self._state(id, status=Status.RUNNING, pid=7, started=time.time())
        if program == "cat":
            for attachment in self._attached.get(id, []):
                data = attachment.leftover + b"".join(iter(lambda it=attachment: it.socket.recv(4096), b""))
                self._say(id, data)
        else:
            self._say(id, " ".join(arguments).encode() + b"\n")
        if program != "sleep":
            self._end(id, int(arguments[0]) if program == "fail" else 0)

    def _say(self, id: str, text: bytes) -> None:
        self._output[id] = self._output.get(id, b"") + text
        for attachment in self._attached.get(id, []):
            attachment.socket.sendall(frame(STDOUT, text))

    def _end(self, id: str, code: int) -> None:
        self._state(id, status=Status.EXITED, exit_code=code, finished=time.time())
        for attachment in self._attached.pop(id, []):
            attachment.socket.close()
        if self._all[id].record.host.auto_remove:
            del self._all[id]
        for waiter in self.waiters.pop(id, []):
            waiter.tell(code)

    def _state(self, id: str, **changes: object) -> None:
        container = self._all[id]
        self._all[id] = Container(container.record, msgspec.structs.replace(container.state, **changes))

    def stop(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        self.calls.append(("stop", timeout, signal))
        if not self.get(ref).state.running:
            raise NotModified("not running")
        self._end(self.get(ref).record.id, 143)

    def restart(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        self.stop(ref, timeout, signal)
        self.start(ref)

    def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        self.calls.append(("kill", signal))
        self._end(self.get(ref).record.id, 137)

    def rename(self, ref: str, name: str) -> None:
        container = self.get(ref)
        record = msgspec.structs.replace(container.record, name=name)
        self._all[record.id] = Container(record, container.state)

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        container = self.get(ref)
        if container.state.running:
            if not force:
                raise Conflict(f"You cannot remove a running container {container.record.id}.")
            self._end(container.record.id, 137)
        del self._all[container.record.id]

    def resize(self, ref: str, height: int, width: int) -> None:
        self.sizes.append((height, width))

    def wait(self, ref: str, condition: WaitCondition = WaitCondition.NOT_RUNNING) -> Waiter:
        container, waiter = self.get(ref), Waiter()
        if condition is WaitCondition.NOT_RUNNING and container.state.status is Status.EXITED:
            waiter.tell(container.state.exit_code)
        else:
            self.waiters.setdefault(container.record.id, []).append(waiter)
        return waiter

    def logs(self, ref: str, options: LogOptions, gone: HasFd | None = None) -> Iterator[tuple[int, bytes]]:
        container = self.get(ref)
        follows = options.follow and container.state.running
        return self._read(self._output.get(container.record.id, b""), gone if follows else None)

    def _read(self, text: bytes, gone: HasFd | None) -> Iterator[tuple[int, bytes]]:
        if text:
            yield STDOUT, text
        if gone:
            select.select([gone], [], [])
            self.follower_left.set()

    def attach(self, ref: str, attachment: Attachment) -> None:
        copy = dataclasses.replace(attachment, socket=attachment.socket.dup())
        self._attached.setdefault(self.get(ref).record.id, []).append(copy)
        self.calls.append(("attach", attachment.stdin, attachment.detach_keys))

    def exec_create(self, ref: str, config: ExecConfig) -> ExecId:
        container = self.get(ref)
        if not container.state.running:
            raise Conflict(f"container {container.record.id} is not running")
        id = ExecId(f"{next(self._numbers):064x}")
        self._execs[id] = ExecSession(id=id, container=container.record.id, config=config)
        return id

    def exec_get(self, id: str) -> ExecSession:
        try:
            return self._execs[id]
        except KeyError:
            raise NotFound(f"No such exec instance: {id}") from None

    def exec_start(self, id: str, *, detach: bool, tty: bool, attachment: Attachment | None = None) -> None:
        program, *arguments = self._execs[id].config.cmd
        code = 127 if program == "nosuch" else int(arguments[0]) if program == "fail" else 0
        self._execs[id] = msgspec.structs.replace(self._execs[id], exit_code=code)
        if program == "nosuch":
            raise StartFailed(f'exec: "{program}": executable file not found in $PATH', 127)
        if attachment:
            text = " ".join(arguments).encode() + b"\n"
            attachment.socket.sendall(text if tty else frame(STDOUT, text))

    def exec_resize(self, id: str, height: int, width: int) -> None:
        self.sizes.append((height, width))

    def plan(self, config: Config, host: HostConfig, platform: str | None) -> tuple[()]:
        return ()

    def list(self, *, all: bool) -> list[Container]:
        return [container for container in reversed(self._all.values()) if all or container.state.running]


class Images:
    def __init__(self, *images: Image) -> None:
        self._all = {name: image for image in images for name in image.names}
        self.pulling = threading.Event()
        self.imported = b""
        self.abandoned = threading.Event()

    def resolve(self, name: str) -> Image:
        familiar = parse(name).with_default_tag().familiar()
        for known, found in self._all.items():
            if familiar == known or found.id == name:
                return found
        raise NotFound(f"No such image: {familiar}")

    def tag(self, name: str, reference: Reference) -> None:
        self._all[reference.familiar()] = self.resolve(name)

    def remove(self, name: str, *, force: bool) -> list[tuple[str, str]]:
        found = self.resolve(name)
        self._all = {known: other for known, other in self._all.items() if other.id != found.id}
        return [("Untagged", found.names[0]), ("Deleted", found.id)]

    def pull(self, reference: Reference, platform: str | None, auth: str, tell: Tell) -> None:
        if reference.path == "library/secret":
            raise NotFound("pull access denied for secret, repository does not exist or may require 'docker login'")
        tell(f"Pulling from {reference.path}", reference.tag or "")
        tell("Downloading", "abc", 1, 2)
        if reference.path == "library/broken":
            raise Conflict("it broke")
        if reference.path == "library/bug":
            raise ZeroDivisionError("oops")
        if reference.path == "library/endless":
            try:
                while True:
                    tell("Downloading", "abc", 1, 2)
                    time.sleep(0.01)
            finally:
                self.abandoned.set()
        name = reference.familiar()
        self._all[name] = image(name)
        tell(f"Status: Downloaded newer image for {name}")

    def import_(self, content: Iterable[bytes], reference: Reference | None, changes: Sequence[str],
                message: str) -> Image:
        self.imported = b"".join(content)
        made = image(reference.familiar() if reference else "")
        self._all |= dict.fromkeys(made.names, made)
        return made

    def list(self) -> list[Image]:
        return [*self._all.values()]


class Engine:
    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "data", root / "run")
        self.images = Images(image())
        self.containers = Containers(self.images)

    def facts(self) -> Facts:
        return Facts(id="id", version="0", python="Python", root=str(self.paths.data))

    def resolve_image(self, name: str) -> Image:
        return self.images.resolve(name)
