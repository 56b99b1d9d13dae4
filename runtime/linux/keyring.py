"""keyctl(2): a session keyring of one's own, so that a container does not hold the keys of who started it."""

from runtime.linux.calls import syscall, text

KEYCTL_JOIN_SESSION_KEYRING = 1
KEYCTL_SETPERM = 5
# Possessor: all but setting attributes; user: view (keyctl_setperm(3)). Without "search" for the user, a process that
# joins later could not find it.
_PERMISSIONS = 0x3F0B0000


def join_session_keyring(name: str) -> None:
    """Join the session keyring of this name, or make it. Raises OSError (ENOSYS: a kernel without keys)."""
    ring = syscall("keyctl", KEYCTL_JOIN_SESSION_KEYRING, text(name), 0, 0, 0)
    syscall("keyctl", KEYCTL_SETPERM, ring, _PERMISSIONS, 0, 0)
