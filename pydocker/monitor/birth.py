"""What exists only while a container is being made, between the steps of plan.py."""

import os
from dataclasses import dataclass, field

from pydocker.monitor import users
from pydocker.monitor.launch import Launch
from pydocker.monitor.ociruntime import Runtime
from runtime.spec import Process


@dataclass
class Birth:
    """The stage:

    what exists only while the steps run. `stdio` are the process's ends, `ours` what the monitor keeps.
    """

    launch: Launch
    runtime: Runtime
    identity: users.Identity = users.ROOT
    process: Process | None = None
    stdin: int | None = None
    outputs: dict[int, int] = field(default_factory=dict)
    stdio: tuple[int, int, int] = (-1, -1, -1)
    pid: int = 0
    namespace: int = -1  # of the network, which the server has made
    joined: dict[str, int] = field(default_factory=dict)  # descriptors of namespaces by kind

    def let_go(self) -> None:
        """The namespaces have been joined, or will not be: a descriptor would keep them alive."""
        for fd in self.joined.values():
            os.close(fd)
        self.joined.clear()
