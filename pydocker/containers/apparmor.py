"""The default AppArmor profile, where the kernel has AppArmor and there is a program that loads profiles.

As Docker does it: the profile is called `docker-default`, it is loaded when a container needs it and it is not there
(an upgrade of the host may have taken it away), and what runs without a profile of its own runs under it, unless it is
privileged. Where apparmor_parser is missing, containers run without a profile.

The profile allows what capabilities and the seccomp filter allow, except mounting, and what would reach the host by
/proc and /sys. Its last lines are about the outside: the engine may signal and look at what it has confined.
"""

import contextlib
import shutil
import subprocess
from pathlib import Path

from msgspec.structs import replace

from pydocker.containers import security
from pydocker.errors import PydockerError
from pydocker.model.container import HostConfig
from runtime.spec import Spec

NAME = "docker-default"
UNCONFINED = "unconfined"
_ENABLED = Path("/sys/module/apparmor/parameters/enabled")
_SECURITY = Path("/sys/kernel/security/apparmor")

PROFILE = f"""profile {NAME} flags=(attach_disconnected,mediate_deleted) {{
  network,
  capability,
  file,
  unix,
  umount,
  deny mount,

  # Of /proc, only what is below a process, and sys/kernel/shm*, may be written.
  deny /proc/* w,
  deny /proc/[^1-9s]*/** w,
  deny /proc/s[^ey]*/** w,
  deny /proc/sys/[^k]** w,
  deny /proc/sys/kernel/[^s]** w,
  deny /proc/sys/kernel/s[^h]** w,
  deny /proc/sys/kernel/sh[^m]** w,
  deny /proc/sysrq-trigger rwklx,
  deny /proc/kcore rwklx,

  # Of /sys, only fs/cgroup.
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,

  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (send, receive) peer={NAME},
  ptrace (readby, tracedby) peer=unconfined,
  ptrace (trace, read, tracedby, readby) peer={NAME},
}}
"""


def supported() -> bool:
    """Whether the kernel confines, and there is somebody to tell it how."""
    with contextlib.suppress(OSError):
        return _ENABLED.read_bytes().startswith(b"Y") and _SECURITY.is_dir() and _parser() is not None
    return False


def _parser() -> str | None:
    return shutil.which("apparmor_parser", path="/usr/sbin:/sbin:/usr/bin:/bin")


def profile(host: HostConfig) -> str:
    """The one that a container runs under; empty where the kernel has none and none was asked for."""
    asked = security.parse(host.security_opt or ()).apparmor
    if asked or not supported():
        return asked
    return UNCONFINED if host.privileged else NAME


def with_default(it: Spec, host: HostConfig) -> Spec:
    """The default one where none was asked for."""
    assert it.process is not None
    if security.parse(host.security_opt or ()).apparmor or profile(host) != NAME:
        return it
    return replace(it, process=replace(it.process, apparmor_profile=NAME))


def ensure(it: Spec) -> None:
    """Load the default profile, if that is what it has and the kernel has it not. Raises PydockerError."""
    if it.process is None or it.process.apparmor_profile != NAME or _loaded():
        return
    parser = _parser()
    if parser is None:  # somebody asked for it by name, and may have loaded it: the runtime finds out
        return
    done = subprocess.run([parser, "-Kr"], input=PROFILE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise PydockerError(f"AppArmor enabled on system but the {NAME} profile could not be loaded: running {parser} "
                            f"-Kr failed with output: {said}")


def _loaded() -> bool:
    """A line of this file: `NAME (enforce)`."""
    with contextlib.suppress(OSError):
        return any(line.startswith(f"{NAME} (") for line in (_SECURITY / "profiles").read_text().splitlines())
    return False
