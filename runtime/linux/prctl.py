"""prctl(2), by python-prctl where it has the word, by libc where it has not (the ambient set, capability 40)."""

import prctl  # type: ignore[import-untyped]

from runtime.linux.calls import call

PR_CAPBSET_DROP = 24
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4


def set_child_subreaper(adopting: bool = True) -> None:
    """Orphans below this process become its children, or no longer. PR_SET_CHILD_SUBREAPER."""
    prctl.set_child_subreaper(int(adopting))


def set_dumpable(allowed: bool) -> None:
    """Whether others may ptrace(2) this process and open its /proc/PID/{exe,mem,fd}, until execve. PR_SET_DUMPABLE."""
    prctl.set_dumpable(int(allowed))


def set_name(name: str) -> None:
    """The name that `ps` shows, at most 15 bytes. PR_SET_NAME."""
    prctl.set_name(name)


def set_pdeathsig(signal: int) -> None:
    """The signal that this process gets when its parent's thread ends. PR_SET_PDEATHSIG."""
    prctl.set_pdeathsig(signal)


def set_no_new_privs() -> None:
    """execve can no longer give privileges: setuid bits and file capabilities have no effect. PR_SET_NO_NEW_PRIVS."""
    prctl.set_no_new_privs(1)


def set_keepcaps(keep: bool) -> None:
    """Keep the permitted set when the user ids leave 0; execve resets it. PR_SET_KEEPCAPS."""
    prctl.set_keepcaps(keep)


def drop_bounding(capability: int) -> None:
    """No execve of this process or its children can gain the capability any more. PR_CAPBSET_DROP."""
    call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)


def clear_ambient() -> None:
    """PR_CAP_AMBIENT_CLEAR_ALL."""
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def raise_ambient(capability: int) -> None:
    """The capability survives execve of a program without file capabilities. PR_CAP_AMBIENT_RAISE."""
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
