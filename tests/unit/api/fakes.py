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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from pydocker.api.background import Tell
from pydocker.api.cancel import HasFd
from pydocker.containers.options import LogOptions, WaitCondition
from pydocker.errors import (
    Conflict,
    InvalidParameter,
    NotFound,
    NotModified,
    PydockerError,
    StartFailed,
    Unauthorized,
)
from pydocker.images.progress import Progress
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
from pydocker.model.network import EndpointConfig
from pydocker.model.platform import Platform
from pydocker.model.reference import Reference, parse
from pydocker.model.stack import Share
from pydocker.model.usage import Bytes, ContainerUsage, ImageUsage, Usage, VolumeUsage
from pydocker.model.volume import Volume
from pydocker.monitor.attach import Attachment
from pydocker.paths import Paths
from pydocker.upkeep.findings import Summary, Verdict
from pydocker.wire.info import Facts
from pydocker.wire.stdcopy import STDOUT, frame
from tests.unit.api.networks import Connections, Networks

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
               platform: str | None,
               networks: Mapping[str, EndpointConfig] | None = None) -> tuple[ContainerId, list[str]]:
        chosen = self._images.resolve(config.image)
        id = ContainerId(f"{next(self._numbers):064x}")
        if any(name == other.record.name for other in self._all.values()):
            raise Conflict(f'Conflict. The container name "/{name}" is already in use')
        record = Record(id=id, name=name or f"name{id[-3:]}", created=time.time(), image=chosen.id,
                        image_name=config.image, platform="linux/amd64", argv=config.cmd or ("sh",), config=config,
                        host=host, layers=chosen.layers, networks=dict(networks or {}))
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

    def attachable(self, ref: str, doing: str) -> None:
        pass

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

    def unfinished_execs(self, container: ContainerId) -> tuple[ExecId, ...]:
        return tuple(one.id for one in self._execs.values() if one.container == container and one.exit_code is None)

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

    def asked(self, ref: str) -> tuple[str, Config, HostConfig, Mapping[str, EndpointConfig]]:
        record = self.get(ref).record
        return record.name, record.config, record.host, record.networks

    def oci_config(self, ref: str) -> bytes:
        return b'{"ociVersion":"1.2.0"}' if self.get(ref) else b""

    def plan(self, config: Config, host: HostConfig, platform: str | None,
             networks: Mapping[str, EndpointConfig]) -> tuple[()]:
        return ()

    def list(self, *, all: bool) -> list[Container]:
        return [container for container in reversed(self._all.values()) if all or container.state.running]


class Images:
    def __init__(self, *images: Image) -> None:
        self._all = {name: image for image in images for name in image.names}
        self.pulling = threading.Event()
        self.imported = b""
        self.abandoned = threading.Event()

    def resolve(self, name: str, platform: Platform | None = None) -> Image:
        familiar = parse(name).with_default_tag().familiar()
        for known, found in self._all.items():
            if familiar == known or found.id == name:
                return found
        raise NotFound(f"No such image: {familiar}")

    def tag(self, name: str, reference: Reference) -> None:
        self._all[reference.familiar()] = self.resolve(name)

    def layer_sizes(self, image: Image) -> tuple[int, ...]:
        return (image.size,)

    def shares(self, image: Image) -> tuple[Share, ...]:
        return (Share(size=image.size, added=3, changed=0, removed=0, wasted=0),)

    def document(self, image: Image) -> dict[str, object]:
        return {"config": {"Healthcheck": {"Test": ["CMD", "true"]}, "HostConfig": {"Privileged": True}}}

    def usage(self) -> list[ImageUsage]:
        return [ImageUsage(image=image, size=Bytes(1_000_000, image.size), shared=Bytes(), containers=(),
                           manifests=((image.manifest, 1_000_000),)) for image in self.list()]

    def prune(self, wanted: Callable[[Image], bool]) -> tuple[list[tuple[str, str]], int]:
        going = [image for image in self.list() if wanted(image)]
        self._all = {name: image for name, image in self._all.items() if image not in going}
        return [("Deleted", image.id) for image in going], sum(image.size for image in going)

    def remove(self, name: str, *, force: bool, platforms: Sequence[Platform] = ()) -> list[tuple[str, str]]:
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
                message: str, platform: object = None) -> Image:
        self.imported = b"".join(content)
        made = image(reference.familiar() if reference else "")
        self._all |= dict.fromkeys(made.names, made)
        return made

    def push(self, reference: Reference, platform: str | None, auth: str, tell: Tell) -> None:
        self.pushed = (str(reference), platform, auth)
        tell(f"The push refers to repository [{reference.name}]")
        self.resolve(reference.with_default_tag().familiar())
        tell("Pushing", "abc", 1, 2)
        tell("Pushed", "abc")
        tell(f"{reference.tag}: digest: {LAYER} size: 7")
        tell("", aux={"Tag": reference.tag or "", "Digest": LAYER, "Size": 7})

    def search(self, term: str, limit: int | None, auth: str) -> list[dict[str, object]]:
        self.searched = (term, limit, auth)
        return [{"name": f"{term}{stars}", "description": "a <b>", "star_count": stars, "is_official": stars > 5,
                 "is_automated": False} for stars in (3, 9)]

    def login(self, server: str, username: str, password: str, identity_token: str) -> str:
        if password == "wrong":
            raise Unauthorized(f'Get "https://{server}/v2/": unauthorized: incorrect username or password')
        return "later" if server == "tokens.test" else ""

    def import_from(self, url: str, reference: Reference | None, changes: Sequence[str], message: str,
                    platform: object, tell: Tell) -> None:
        tell(f"Downloading from {url}")

    def save(self, names: Sequence[str], platforms: Sequence[object]) -> Iterator[bytes]:
        for name in names:
            self.resolve(name)
        yield b"archive of "
        yield f"{' '.join(names)} {' '.join(map(str, platforms))}".encode()

    def load(self, archive: Iterable[bytes], platforms: Sequence[object]) -> Iterator[Progress | str]:
        first = next(iter(archive), b"")
        if first.startswith(b"junk"):
            raise InvalidParameter("junk")
        self.imported = first + b"".join(archive)
        if not self.imported:
            raise InvalidParameter("not an archive")
        yield Progress("abc", "Loading layer", 5, 5)
        yield "Loaded image: box:latest"
        if self.imported == b"half":
            raise PydockerError("disk full")

    def list(self) -> list[Image]:
        return [*self._all.values()]


class Volumes:
    """Names, and nothing in them."""

    def __init__(self) -> None:
        self._all: dict[str, Volume] = {}
        self.used: dict[str, list[str]] = {}
        self.imported: dict[str, bytes] = {}

    def get(self, name: str) -> Volume:
        if name not in self._all:
            raise NotFound(f"get {name}: no such volume")
        return self._all[name]

    def users(self) -> dict[str, list[str]]:
        return self.used

    def create(self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]
               ) -> tuple[str, Volume]:
        name = name or "f" * 64
        return name, self._all.setdefault(name, Volume(created=1e9, options=dict(options), labels=dict(labels)))

    def remove(self, name: str, *, force: bool = False) -> None:
        if not (force and name not in self._all):
            self.get(name)
            del self._all[name]

    def prune(self, wanted: Callable[[str, Volume], bool]) -> tuple[list[str], int]:
        going = [name for name, found in self._all.items() if name not in self.used and wanted(name, found)]
        self._all = {name: found for name, found in self._all.items() if name not in going}
        return going, 7 * len(going)

    def rename(self, old: str, new: str) -> None:
        self._all[new] = self._all.pop(old)

    def clone(self, source: str, name: str) -> None:
        self._all[name] = self.get(source)

    def export(self, name: str) -> Iterator[bytes]:
        self.get(name)
        return iter([b"archive of ", name.encode()])

    def import_(self, name: str, content: Iterable[bytes], labels: Mapping[str, str]) -> None:
        self.imported[name] = b"".join(content)
        self.create(name, "", {}, labels)

    def list(self) -> list[tuple[str, Volume]]:
        return sorted(self._all.items())


class Engine:
    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "data", root / "run")
        self.images = Images(image())
        self.containers = Containers(self.images)
        self.volumes = Volumes()
        self.networks = Networks(root)
        self.connections = Connections(self.networks)

    def facts(self) -> Facts:
        return Facts(id="id", version="0", python="Python", root=str(self.paths.data),
                     security=("name=seccomp,profile=builtin",))

    def usage(self, kinds: Collection[str]) -> Usage:
        images = self.images.usage() if "image" in kinds else []
        return Usage(images=tuple(images), layers=sum(one.size.total for one in images), containers=tuple(
            ContainerUsage(container=one, size=9, image=4_000_000)
            for one in self.containers.list(all=True) if "container" in kinds), volumes=tuple(
            VolumeUsage(name=name, volume=volume, size=7, containers=len(self.volumes.used.get(name, ())))
            for name, volume in self.volumes.list() if "volume" in kinds))

    def written(self, container: Container) -> ContainerUsage:
        return ContainerUsage(container=container, size=9, image=4_000_000)

    def prune_containers(self, wanted: Callable[[Container], bool]) -> tuple[list[str], int]:
        going = [one for one in self.containers.list(all=True) if not one.state.running and wanted(one)]
        for one in going:
            self.containers.remove(one.record.id)
        return [one.record.id for one in going], 9 * len(going)

    def check(self, told: Callable[[Verdict], None], tell: Callable[[str, int, int], None], *,
              repair: bool) -> Summary:
        tell("Verifying blobs", 1, 2)
        told(Verdict(subject="blob x", problem="is bad", remedy="removed", mendable=True, mended=repair))
        return Summary(images=1, blobs=2, problems=1, mended=int(repair))

    def resolve_image(self, name: str) -> Image:
        return self.images.resolve(name)
