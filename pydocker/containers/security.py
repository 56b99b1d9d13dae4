"""Capabilities, --security-opt and --sysctl: what users write, as values, or an error in Docker's words."""

from dataclasses import dataclass, replace

from pydocker.containers import seccomp
from pydocker.errors import InvalidParameter, NotSupported
from runtime.linux.capabilities import NAMES
from runtime.spec.defaults import DEFAULT_CAPABILITIES

_YES_NO = {"": True, "true": True, "1": True, "false": False, "0": False}
_SYSCTL_NAMES = ("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
                 "kernel.shmmni", "kernel.shm_rmid_forced")


def capabilities(add: tuple[str, ...], drop: tuple[str, ...], every: tuple[str, ...] = NAMES) -> tuple[str, ...]:
    """Docker's fourteen, with changes; in the kernel's order.

    ALL stands for `every` one that the engine has itself, and then single ones are exceptions.
    """
    added, dropped = _names("CapAdd", add), _names("CapDrop", drop)
    base = every if "ALL" in added else () if "ALL" in dropped else DEFAULT_CAPABILITIES
    wanted = ({*base} - dropped) | (added if "ALL" in dropped else added - dropped)
    return tuple(name for name in NAMES if name in wanted)


def _names(field: str, given: tuple[str, ...]) -> set[str]:
    names = {_full(name) for name in given}
    for name in sorted(names - {"ALL", *NAMES}):
        raise InvalidParameter(f'invalid {field}: unknown capability: "{name}"')
    return names


def _full(name: str) -> str:
    upper = name.upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """--security-opt, read. Empty strings: nothing was asked for."""

    no_new_privileges: bool = False
    open_paths: bool = False  # systempaths=unconfined: nothing of /proc and /sys is masked
    writable_cgroups: bool = False
    seccomp: str = ""  # builtin, unconfined, or a profile's JSON
    apparmor: str = ""


def parse(options: tuple[str, ...]) -> SecurityOptions:
    """Raises InvalidParameter, and NotSupported for SELinux. The last one given counts."""
    found = SecurityOptions()
    for option in options:
        key, separator, value = option.partition("=" if "=" in option else ":")
        if not separator and key != "no-new-privileges":
            raise InvalidParameter(f'invalid --security-opt 1: "{option[:100]}"')
        if key == "no-new-privileges" and value in _YES_NO:
            found = replace(found, no_new_privileges=_YES_NO[value])
        elif key == "writable-cgroups" and value in _YES_NO:
            found = replace(found, writable_cgroups=_YES_NO[value])
        elif (key, value) == ("systempaths", "unconfined"):
            found = replace(found, open_paths=True)
        elif key == "apparmor" and value:
            found = replace(found, apparmor=value)
        elif key == "seccomp" and value:
            found = replace(found, seccomp=_profile(value))
        elif key == "label" and value != "disable":  # without SELinux there is no label that could be turned off
            raise NotSupported(f"security option {option!r} is not supported: this engine sets no SELinux labels")
        elif key != "label":
            raise InvalidParameter(f'invalid --security-opt 2: "{option[:100]}"')
    return found


def _profile(value: str) -> str:
    if value not in (seccomp.BUILTIN, seccomp.UNCONFINED):
        seccomp.parse(value)
    return value


def check_sysctls(sysctls: dict[str, str], *, host_network: bool, host_ipc: bool = False) -> None:
    """Only parameters of the container's own namespaces: all others are the host's (CVE-2022-0811)."""
    for name, value in sysctls.items():
        own = (not host_ipc and (name in _SYSCTL_NAMES or name.startswith("fs.mqueue."))) or (
            name.startswith("net.") and not host_network)
        if not own or "/" in name or ".." in name:
            raise InvalidParameter(f"sysctl '{name}' is not allowed: it belongs to no namespace of the container")
        if not value.isprintable() or "+" in value:
            raise InvalidParameter(f"invalid value of sysctl '{name}': {value!r}")
