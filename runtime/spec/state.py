"""What `state` answers and hooks read: the OCI state of a container (runtime-spec, runtime.md "State")."""

from enum import StrEnum

import msgspec

from runtime.spec.values import Document


class Status(StrEnum):
    """The life of a container, in order; `paused` is runc's addition to `running`."""

    CREATING = "creating"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class State(Document, frozen=True, kw_only=True, omit_defaults=False):
    """`pid` is 0 once stopped. `rootfs`, `created` and `owner` (told by `list`) are runc's, and callers read them."""

    oci_version: str
    id: str
    pid: int
    status: Status
    bundle: str
    rootfs: str = ""
    created: str = ""
    owner: str = ""
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class ContainerProcessState(Document, frozen=True, kw_only=True, omit_defaults=False):
    """What a seccomp agent gets together with descriptors (config-linux.md): `fds` has their names, in their order."""

    oci_version: str
    fds: tuple[str, ...]
    pid: int
    metadata: str = ""
    state: State
