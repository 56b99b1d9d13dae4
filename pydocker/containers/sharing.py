"""Whose namespaces a container is in: `--pid`, `--ipc`, `--uts`, `--userns`, `--cgroupns`, `--network`.

Its own unless asked otherwise; the host's; or (pid, ipc, network) another container's, which has to run when this one
starts.
"""

from pydocker.errors import InvalidParameter
from pydocker.model.container import Config, HostConfig
from runtime.spec import LinuxNamespace
from runtime.spec.defaults import default_namespaces

OTHER = "container:"
_MODES = {  # field: what it may be besides container:x, and the error's word
    "pid_mode": (("", "host"), "PID"), "ipc_mode": (("", "host", "private", "shareable", "none"), "IPC"),
    "uts_mode": (("", "host"), "UTS"), "userns_mode": (("", "host"), "USER"),
    "cgroupns_mode": (("", "host", "private"), "cgroup namespace"),
}
_KINDS = {"pid": "pid_mode", "ipc": "ipc_mode", "uts": "uts_mode", "cgroup": "cgroupns_mode",
          "network": "network_mode"}


def check(asked: Config, host: HostConfig) -> None:
    """Raises InvalidParameter; `asked` is what the user wrote, before any default."""
    for field, (modes, word) in _MODES.items():
        mode: str = getattr(host, field)
        if mode in modes:
            continue
        if not mode.startswith(OTHER) or field not in ("pid_mode", "ipc_mode"):
            raise InvalidParameter(f"invalid {word} mode: {mode}")
        if not mode.removeprefix(OTHER):
            raise InvalidParameter(f"invalid {word} mode: {mode}: it names no container")
    if host.uts_mode == "host" and (asked.hostname or asked.domainname):
        raise InvalidParameter("conflicting options: hostname and the UTS mode")


def others(host: HostConfig) -> dict[str, str]:
    """The kinds of namespace (as in /proc/PID/ns) that are another container's, and whose."""
    return {kind: mode.removeprefix(OTHER) for kind in ("pid", "ipc", "network")
            if (mode := getattr(host, _KINDS[kind])).startswith(OTHER)}


def own(host: HostConfig) -> tuple[LinuxNamespace, ...]:
    """Namespaces that are not the host's; where they are another container's, its monitor adds the path."""
    return tuple(one for one in default_namespaces() if getattr(host, _KINDS.get(one.type, ""), "") != "host")


def check_donor(kind: str, name: str, host: HostConfig) -> None:
    """Whether a container shares its own. Raises InvalidParameter."""
    if kind == "ipc" and host.ipc_mode not in ("shareable", "host"):
        raise InvalidParameter(f"can't join IPC of container {name}: non-shareable IPC (hint: use IpcMode:shareable "
                               "for the donor container)")
