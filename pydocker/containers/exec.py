"""Exec sessions, as the engine sees them: a file that it writes, a request to the monitor.

The file lies in the container's run directory, so it outlives the server and ends with the container's removal; whose
it is says its place.
"""

import re
import secrets
from collections.abc import Callable
from contextlib import suppress

from pydocker.containers import pausing, staying
from pydocker.containers.status import Statuses
from pydocker.containers.store import Store
from pydocker.containers.streams import Streams
from pydocker.errors import Conflict, InvalidParameter, NotFound
from pydocker.model.container import Container, ContainerId, ExecConfig, ExecId, ExecSession
from pydocker.monitor import control, detachkeys
from pydocker.monitor.attach import Attachment
from pydocker.monitor.launch import EXECS
from pydocker.storage import documents

_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Execs:
    """Creates, finds and starts sessions."""

    def __init__(self, store: Store, statuses: Statuses, streams: Streams,
                 settled: Callable[[ContainerId], Container]) -> None:
        """`settled`: the container, when it is not being started."""
        self._store = store
        self._settled = settled
        self._statuses = statuses
        self._streams = streams

    def create(self, container: ContainerId, config: ExecConfig) -> ExecId:
        """Conflict: the container does not run. InvalidParameter: nothing to run, or senseless."""
        found = self._settled(container)
        if not found.state.running:
            raise Conflict(f"container {container} is not running")
        staying.refuse(found)
        pausing.refuse(found, "exec")
        _check(config)
        id = ExecId(secrets.token_hex(32))
        path = self._store.paths.container_run(container) / EXECS / f"{id}.json"
        try:
            documents.write(path, ExecSession(id=id, container=container, config=config), durable=False)
        except FileNotFoundError:  # it has just ended, and its directory is gone: it is restarting now, or is not there
            return self.create(container, config)
        self._store.journal.container(found.record, f"exec_create: {' '.join(config.cmd)}", execID=id)
        return id

    def get(self, id: str) -> ExecSession:
        """NotFound: no such session, or it ended more than five minutes ago."""
        if _ID.fullmatch(id):
            for container in self._store.ids():
                path = self._store.paths.container_run(container) / EXECS / f"{id}.json"
                with suppress(FileNotFoundError):
                    session = documents.read(path, ExecSession)
                    if session.running and self._statuses.lost_monitor(container):
                        self._statuses.container(container)  # which records its end, and the session's
                        return documents.read(path, ExecSession)
                    return session
        raise NotFound(f"No such exec instance: {id}")

    def unfinished(self, container: ContainerId) -> tuple[ExecId, ...]:
        """The sessions that have not ended yet."""
        found: list[ExecId] = []
        for path in sorted((self._store.paths.container_run(container) / EXECS).glob("*.json")):
            with suppress(FileNotFoundError):  # it ended a while ago, and its file goes just now
                session = documents.read(path, ExecSession)
                found += [session.id] if session.exit_code is None else []
        return tuple(found)

    def start(self, id: str, attachment: Attachment | None) -> None:
        """Returns when its process runs. StartFailed: it cannot."""
        session = self.get(id)
        found = self._statuses.container(session.container)
        if not found.state.running:
            raise Conflict(f"container {session.container} is not running")
        pausing.refuse(found, "exec")
        request = control.ExecRequest(id, attachment.request() if attachment else None)
        self._streams.ask(session.container, request, f"exec in container {session.container[:12]}",
                          [attachment.socket.fileno()] if attachment else [])


def _check(config: ExecConfig) -> None:
    if not config.cmd:
        raise InvalidParameter("No exec command specified")
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidParameter(f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute "
                               "path")
    for entry in config.env or ():
        if not entry.partition("=")[0] or "\0" in entry:
            raise InvalidParameter(f"invalid environment variable: {entry[:100]!r}")
    if any("\0" in word for word in (*config.cmd, config.working_dir, config.user)):
        raise InvalidParameter("invalid exec command: it holds a NUL")
    detachkeys.parse(config.detach_keys)
