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
import stat
from pathlib import Path
from typing import NamedTuple

from pydocker.errors import PydockerError


class Paths(NamedTuple):
    """The two roots, and every path below them."""

    data: Path
    run: Path

    @property
    def images(self) -> Path:
        return self.data / "images"

    @property
    def blobs(self) -> Path:
        return self.images / "blobs" / "sha256"

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
        """Create the roots and their fixed directories, 0700. Raises PydockerError."""
        for path in (self.images, self.blobs.parent, self.blobs, self.layers, self.containers, self.names, self.volumes,
                     self.networks, self.temporary, self.runtime, self.run / "containers"):
            make_own(path)
        for root in (self.data, self.run):
            os.chmod(root, 0o700)


def make_own(path: Path) -> None:
    """Create a directory of the engine's own, 0700, unless it is there.

    Raises PydockerError if something else is, a link above all: what nobody works on is deleted from such a directory,
    and if a link led out of the root, that would be somebody else's files. (A root itself may be reached by links.)
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        if not os.path.lexists(path):
            raise PydockerError(f"make {path}: {os.strerror(error.errno or 0).lower()}") from error
    if not is_own(path):
        led = f"a link to {os.readlink(path)}" if path.is_symlink() else "something else"
        raise PydockerError(f"{path} has to be a directory, and is {led}: move it away (a file system may be mounted "
                            "there instead)")


def is_own(path: Path) -> bool:
    """Whether it is a directory, and no link to one: that could lead anywhere."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
