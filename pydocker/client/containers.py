"""Routes under `/containers`, one function each (Engine API, "Container")."""

import time
from typing import Any

import msgspec

from pydocker.client import answers
from pydocker.client.api import Client, Query, Response, Stream, decoded, required


class Asked(msgspec.Struct, frozen=True, rename="pascal"):
    """A container's name, and the body of a create request that makes it again."""

    name: str
    request: dict[str, Any]


def _path(container: str, verb: str = "") -> str:
    return f"/containers/{required('container', container)}" + (f"/{verb}" if verb else "")


def create(client: Client, request: object, name: str | None, platform: str | None) -> answers.Created:
    query = {"name": name or None, "platform": platform or None}
    return decoded(client.post("/containers/create", query, request), answers.Created)


def plan(client: Client, request: object, platform: str | None) -> bytes:
    """What `run` would do, as steps, without doing it. pydocker's own route."""
    return client.post("/containers/plan", {"platform": platform or None}, request)


def listed(client: Client, query: Query) -> tuple[answers.ContainerSummary, ...]:
    return client.get("/containers/json", tuple[answers.ContainerSummary, ...], query)


def detail(client: Client, container: str) -> answers.ContainerDetail:
    return client.get(_path(container, "json"), answers.ContainerDetail)


def inspect(client: Client, container: str, size: bool) -> bytes:
    """The document as the server wrote it."""
    return client.send("GET", _path(container, "json"), {"size": size or None}).read()


def asked(client: Client, container: str) -> Asked:
    """The request that makes it again. A route of our own."""
    return client.get(_path(container, "request"), Asked)


def oci(client: Client, container: str) -> bytes:
    """The config.json of its bundle. A route of our own."""
    return client.send("GET", _path(container, "oci")).read()


def start(client: Client, container: str, detach_keys: str | None = None) -> None:
    client.post(_path(container, "start"), {"detachKeys": detach_keys or None})


def stop(client: Client, container: str, timeout: int | None, signal: str | None) -> None:
    client.post(_path(container, "stop"), {"t": timeout, "signal": signal or None})


def restart(client: Client, container: str, timeout: int | None, signal: str | None) -> None:
    client.post(_path(container, "restart"), {"t": timeout, "signal": signal or None})


def pause(client: Client, container: str) -> None:
    client.post(_path(container, "pause"))


def unpause(client: Client, container: str) -> None:
    client.post(_path(container, "unpause"))


def top(client: Client, container: str, options: str) -> answers.Top:
    return client.get(_path(container, "top"), answers.Top, {"ps_args": options or None})


def update(client: Client, container: str, request: object) -> tuple[str, ...]:
    """The server's warnings."""
    return decoded(client.post(_path(container, "update"), None, request), answers.Updated).warnings or ()


def stats(client: Client, container: str, stream: bool) -> Response:
    """A sample a line: every second while it is read, or one."""
    return client.send("GET", _path(container, "stats"), {"stream": stream})


def ports(client: Client, container: str) -> dict[str, tuple[answers.PortBinding, ...] | None]:
    """Where its ports are published, by `80/tcp`."""
    return client.get(_path(container, "json"), answers.Published).network_settings.ports or {}


def kill(client: Client, container: str, signal: str | None) -> None:
    client.post(_path(container, "kill"), {"signal": signal or None})


def rename(client: Client, container: str, name: str) -> None:
    client.post(_path(container, "rename"), {"name": name})


def remove(client: Client, container: str, *, force: bool, volumes: bool, link: bool = False) -> None:
    query = {"force": force or None, "v": volumes or None, "link": link or None}
    client.send("DELETE", _path(container), query).read()


def resize(client: Client, container: str, height: int, width: int) -> None:
    client.post(_path(container, "resize"), {"h": height, "w": width})


def wait(client: Client, container: str, condition: str | None = None) -> Response:
    """Subscribed when this returns (the head of the answer is sent at once); `waited` reads what is waited for."""
    return client.send("POST", _path(container, "wait"), {"condition": condition})


def waited(response: Response) -> answers.Waited:
    """The container's exit status; blocks until there is one."""
    return decoded(response.read(), answers.Waited)


def died(client: Client, container: str) -> int | None:
    """The exit status of the container's last death, of which the events still tell when it has removed itself."""
    chosen = msgspec.json.encode({"type": ["container"], "event": ["die"], "container": [container]}).decode()
    told = client.send("GET", "/events", {"until": str(time.time()), "filters": chosen}).read().split(b"\n")
    last = [decoded(line, answers.Event).actor.attributes or {} for line in told if line][-1:]
    return int(last[0]["exitCode"]) if last else None


def attach(client: Client, container: str, query: Query) -> Stream:
    return client.upgrade(_path(container, "attach"), query)


def logs(client: Client, container: str, query: Query) -> Response:
    return client.send("GET", _path(container, "logs"), query)


def exec_create(client: Client, container: str, request: msgspec.Struct) -> str:
    """The new exec session's id."""
    return decoded(client.post(_path(container, "exec"), None, request), answers.Created).id
