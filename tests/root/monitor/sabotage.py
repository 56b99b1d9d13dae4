"""Stopping the spawner, a monitor, the runtime and a container's init at any function that they call.

Nothing of the product knows about this: a profile function (sys.setprofile), which forks inherit, compares the name of
every function called with the one on a board, a page of memory that all share with the test. Who comes to it stays
there until the test has done what it wants, which is to kill somebody.

Called as `python -m tests.root.monitor.sabotage VERB …` it is a server that does one thing (see `act`).
"""

import mmap
import os
import struct
import sys
import time
from pathlib import Path
from typing import Any

PACKAGES = ("pydocker.", "runtime.")
_SIZE = 1 << 20
_HEAD = struct.Struct("<BxxxIIH250s")  # state, epoch, monitor, length of the name, name
_NAMES = 512  # where the recorded names begin: their total length (4 bytes), then each with a newline
IDLE, ARMED, REACHED, RELEASED, RECORDING = range(5)
PORTS = (18080, 18081, 18082)  # of the host: what `update` leaves, removes and adds


class Board:
    """The page. One of these in every process; they write to it one after the other."""

    def __init__(self, path: Path) -> None:
        with open(path, "a+b") as file:
            file.truncate(_SIZE)
            self._page = mmap.mmap(file.fileno(), _SIZE)

    def _set(self, state: int, name: str = "") -> None:
        text = name.encode()
        _HEAD.pack_into(self._page, 0, state, self.epoch + 1, self.monitor, len(text), text)

    @property
    def state(self) -> int:
        return self._page[0]

    @state.setter
    def state(self, state: int) -> None:
        self._page[0] = state

    @property
    def epoch(self) -> int:
        return struct.unpack_from("<I", self._page, 4)[0]  # type: ignore[no-any-return]

    @property
    def monitor(self) -> int:
        return struct.unpack_from("<I", self._page, 8)[0]  # type: ignore[no-any-return]

    @monitor.setter
    def monitor(self, pid: int) -> None:
        struct.pack_into("<I", self._page, 8, pid)

    @property
    def name(self) -> bytes:
        return self._page[14:14 + struct.unpack_from("<H", self._page, 12)[0]]

    def arm(self, name: str) -> None:
        """The next one who calls this function is stopped."""
        self._set(ARMED, name)

    def record(self) -> None:
        """From now on, the names of all that is called."""
        struct.pack_into("<I", self._page, _NAMES, 0)
        self._set(RECORDING)

    def recorded(self) -> list[str]:
        """In the order of the first calls; nothing is recorded any more."""
        self._set(IDLE)
        (length,) = struct.unpack_from("<I", self._page, _NAMES)
        return list(dict.fromkeys(self._page[_NAMES + 4:_NAMES + 4 + length].decode().split()))

    def note(self, name: bytes) -> None:
        (length,) = struct.unpack_from("<I", self._page, _NAMES)
        start = _NAMES + 4 + length
        self._page[start:start + len(name) + 1] = name + b"\n"
        struct.pack_into("<I", self._page, _NAMES, length + len(name) + 1)

    def idle(self) -> None:
        self._set(IDLE)


def watch(board: Board) -> None:
    """From now on, in this process (its main thread) and all that it forks."""
    names: dict[Any, bytes] = {}
    seen: set[bytes] = set()
    epoch = 0

    def called(frame: Any, event: str, argument: object) -> None:
        nonlocal epoch
        state = board.state
        if event != "call" or state not in (ARMED, RECORDING):
            return
        code = frame.f_code
        if (name := names.get(code)) is None:
            module = frame.f_globals.get("__name__", "")
            ours = module.startswith(PACKAGES) and "<" not in code.co_qualname.rpartition("<locals>")[2]
            name = names[code] = f"{module}:{code.co_qualname}".encode() if ours else b""
        if not name:
            return
        if state == ARMED and name == board.name:
            board.state = REACHED
            while board.state == REACHED:
                time.sleep(0.001)
        elif state == RECORDING:
            if epoch != board.epoch:
                epoch = board.epoch
                seen.clear()
            if name not in seen:
                seen.add(name)
                board.note(name)

    sys.setprofile(called)


def main() -> int:
    """The spawner, its monitors watched. The board's path comes by the environment."""
    from pydocker.monitor import nursery

    board = Board(Path(os.environ["SABOTAGE_BOARD"]))
    become = nursery._be_monitor

    def watched(*arguments: Any) -> None:
        board.monitor = os.getpid()
        watch(board)
        become(*arguments)

    nursery._be_monitor = watched
    return nursery.main()


def act(board: Path, data: str, run: str, parent: str, bridge: str, log: str, verb: str, ref: str) -> None:
    """Be a server that is asked one thing: create, start, stop, rm, exec, update (PORTS),
    connect or disconnect (the default network)."""
    from pydocker.config import Config as EngineConfig
    from pydocker.containers import Containers
    from pydocker.images.store import ImageStore
    from pydocker.model.container import Config, ExecConfig, HostConfig
    from pydocker.model.limits import Update
    from pydocker.model.network import BRIDGE, EndpointConfig, PortBinding
    from pydocker.monitor.spawner import Spawner
    from pydocker.network.service import Networks

    config = EngineConfig(data_root=data, exec_root=run, cgroup_parent=parent, bridge=bridge)
    images = ImageStore(config.paths)
    containers = Containers(config.paths, config, images, images.layers, Spawner(Path(log)),
                            Networks(config.paths, config))
    asked = Config(image="busybox", cmd=("sleep", "1000"))
    verbs = {
        "create": lambda: containers.create(ref, asked, HostConfig(), None, {}),
        "start": lambda: containers.start(ref),
        "stop": lambda: containers.stop(ref, 0),
        "rm": lambda: containers.remove(ref, force=True),
        "exec": lambda: containers.exec_start(
            containers.exec_create(ref, ExecConfig(cmd=("true",))), detach=True, tty=False),
        "connect": lambda: containers.connections.connect(BRIDGE, ref, EndpointConfig()),
        "disconnect": lambda: containers.connections.disconnect(BRIDGE, ref, force=False),
        "update": lambda: containers.update(ref, Update(
            publish_remove={"80/tcp": (PortBinding(host_port=str(PORTS[1])),)},
            publish_add={"80/tcp": (PortBinding("127.0.0.1", str(PORTS[2])),)})),
    }
    watch(Board(board))
    verbs[verb]()


if __name__ == "__main__":
    act(Path(sys.argv[1]), *sys.argv[2:])
