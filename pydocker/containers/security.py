"""Capabilities, --security-opt and --sysctl: what users write, as values, or an error in Docker's words."""

from dataclasses import dataclass

from pydocker.errors import InvalidParameter, NotSupported
from runtime.linux.capabilities import NAMES
from runtime.spec.defaults import DEFAULT_CAPABILITIES

_YES_NO = {"": True, "true": True, "1": True, "false": False, "0": False}
# What is asked here is the case anyway: there is no profile and no label that could be turned off.
_ALREADY = {("seccomp", "unconfined"), ("apparmor", "unconfined"), ("label", "disable")}
_SYSCTL_NAMES = ("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
                 "kernel.shmmni", "kernel.shm_rmid_forced")


def capabilities(add: tuple[str, ...], drop: tuple[str, ...]) -> tuple[str, ...]:
    """Docker's fourteen, with changes; in the kernel's order.

    ALL stands for every one, and then single ones are exceptions.
    """
    added, dropped = _names("CapAdd", add), _names("CapDrop", drop)
    base = NAMES if "ALL" in added else () if "ALL" in dropped else DEFAULT_CAPABILITIES
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
    """--security-opt, read."""

    no_new_privileges: bool = False
    open_paths: bool = False  # systempaths=unconfined: nothing of /proc and /sys is masked


def parse(options: tuple[str, ...]) -> SecurityOptions:
    """Raises InvalidParameter, and NotSupported for profiles: those come with the hardening of the runtime."""
    no_new_privileges = open_paths = False
    for option in options:
        key, _, value = option.replace(":", "=", 1).partition("=") if "=" not in option else option.partition("=")
        if key == "no-new-privileges" and value in _YES_NO:
            no_new_privileges = _YES_NO[value]
        elif (key, value) == ("systempaths", "unconfined"):
            open_paths = True
        elif (key, value) in _ALREADY:
            continue
        elif key in ("seccomp", "apparmor", "label"):
            raise NotSupported(f"security option {option!r} is not supported yet: this engine has no {key} profiles")
        else:
            raise InvalidParameter(f"invalid --security-opt: {option!r}")
    return SecurityOptions(no_new_privileges, open_paths)


def check_sysctls(sysctls: dict[str, str], *, host_network: bool) -> None:
    """Only parameters of the container's own namespaces: all others are the host's (CVE-2022-0811)."""
    for name, value in sysctls.items():
        own = name in _SYSCTL_NAMES or name.startswith("fs.mqueue.") or (name.startswith("net.") and not host_network)
        if not own or "/" in name or ".." in name:
            raise InvalidParameter(f"sysctl '{name}' is not allowed: it belongs to no namespace of the container")
        if not value.isprintable() or "+" in value:
            raise InvalidParameter(f"invalid value of sysctl '{name}': {value!r}")
