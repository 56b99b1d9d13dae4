"""The engine: one object that knows where everything is. What the API's handlers call, put together in one place."""

from pydocker import __version__, system
from pydocker.config import Config
from pydocker.wire.info import Facts

API, OLDEST_API = "1.47", "1.24"


class Engine:
    """All stores and services over one pair of roots."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.paths = config.paths
        self.paths.make()

    def facts(self) -> Facts:
        """What `version` and `info` tell about this engine."""
        return Facts(
            id=system.machine_id(), version=__version__, python=system.python(), api=API, oldest_api=OLDEST_API,
            root=str(self.paths.data), default_runtime=self.config.default_runtime,
            runtimes={name: entry.path for name, entry in self.config.runtimes.items()},
            insecure_registries=self.config.insecure_registries,
        )

    def close(self) -> None:
        """Let go of what the engine holds; what runs goes on running."""
