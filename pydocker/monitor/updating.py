"""update, the monitor's part: the runtime is told the new limits, and the container's next run has them as well."""

import os

import msgspec

from pydocker.errors import PydockerError
from pydocker.monitor.launch import FILE, Launch
from pydocker.monitor.ociruntime import Runtime
from pydocker.storage import documents
from runtime.spec import Linux, encode
from runtime.spec.resources import LinuxResources


def change(runtime: Runtime, launch: Launch, limits: LinuxResources) -> None:
    """Raises PydockerError with the runtime's words; then it has changed nothing."""
    document = launch.run_path / "update.json"
    document.write_bytes(encode(limits))
    try:
        code = runtime.act("update", "--resources", str(document), launch.id)
    finally:
        os.unlink(document)
    if code != 0:
        raise PydockerError(f"OCI runtime update failed: {runtime.complaint() or f'exit code {code}'}")


def remember(launch: Launch, limits: LinuxResources) -> Launch:
    """The launch with these limits, in its file as well: by it, a restart policy starts the container again."""
    linux = launch.spec.linux or Linux()
    told = {name: value for name in limits.__struct_fields__ if (value := getattr(limits, name))}
    resources = msgspec.structs.replace(linux.resources or LinuxResources(), **told)
    spec = msgspec.structs.replace(launch.spec, linux=msgspec.structs.replace(linux, resources=resources))
    launch = msgspec.structs.replace(launch, spec=spec)
    documents.write(launch.run_path / FILE, launch, durable=False)
    return launch
