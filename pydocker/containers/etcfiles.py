"""/etc/hostname, /etc/hosts and /etc/resolv.conf: written by the engine beside the container's record, bind-mounted
over the image's own at every start, as Docker does, since they speak of this container and this host."""

import os
from pathlib import Path

from pydocker.model.container import Record
from pydocker.storage import documents
from runtime.linux.descriptors import read

NAMES = ("hostname", "hosts", "resolv.conf")
LOCAL = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


def write(record: Record, directory: Path) -> None:
    """Write the three. Not durable: the next start writes them again."""
    host = record.host.network_mode == "host"
    contents = {
        "hostname": f"{record.config.hostname}\n".encode(),
        "hosts": _host_file("/etc/hosts") if host else LOCAL.encode(),
        "resolv.conf": _host_file("/etc/resolv.conf"),
    }
    for name in NAMES:
        documents.replace(directory / name, contents[name], durable=False, mode=0o644)


def _host_file(path: str) -> bytes:
    try:
        return read(os.path.realpath(path))
    except FileNotFoundError:
        return b""
