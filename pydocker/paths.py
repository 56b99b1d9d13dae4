"""Where everything lies on disk: one value, handed down, so that tests run a whole engine inside a directory.

    data root (survives a reboot, /var/lib/pydocker)          run root (does not, /run/pydocker)
      images/                  an OCI image layout              containers/<id>/   bundle, mount point, sockets, locks
      layers/<chain-id>/diff   unpacked layers                  runtime/           the OCI runtime's --root
      containers/<id>/         config.json state.json *.log     server.lock
      names/<name>             symlinks to container ids       networks/<id>/     endpoints.json: who is in it
      networks/<id>/           network.json
      volumes/<name>/          volume.json, and _data: what is in it
      events.jsonl             what happened
      tmp/                     what is not finished yet

Both are root's alone (0700): a setuid file inside a layer must not be reachable by the host's users (CVE-2021-41091).
"""

import os
from pathlib import Path
from typing import NamedTuple


class Paths(NamedTuple):
    """The two roots, and every path below them."""

    data: Path
    run: Path

    @property
    def images(self) -> Path:
        return self.data / "images"

    @property
    def layers(self) -> Path:
        return self.data / "layers"

    @property
    def containers(self) -> Path:
        return self.data / "containers"

    @property
    def names(self) -> Path:
        return self.data / "names"

    @property
    def volumes(self) -> Path:
        return self.data / "volumes"

    @property
    def networks(self) -> Path:
        return self.data / "networks"

    @property
    def temporary(self) -> Path:
        """Half-made things. On the same file system as the data, so that a rename finishes them."""
        return self.data / "tmp"

    @property
    def events(self) -> Path:
        return self.data / "events.jsonl"

    @property
    def runtime(self) -> Path:
        return self.run / "runtime"

    def container(self, id: str) -> Path:
        return self.containers / id

    def container_run(self, id: str) -> Path:
        return self.run / "containers" / id

    def volume(self, name: str) -> Path:
        return self.volumes / name

    def volume_data(self, name: str) -> Path:
        """What a volume holds, and Docker calls its mount point."""
        return self.volumes / name / "_data"

    def make(self) -> None:
        """Create the roots and their fixed directories, 0700."""
        for path in (self.images, self.layers, self.containers, self.names, self.volumes, self.temporary,
                     self.runtime, self.run / "containers"):
            os.makedirs(path, mode=0o700, exist_ok=True)
        for root in (self.data, self.run):
            os.chmod(root, 0o700)
