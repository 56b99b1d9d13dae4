"""Profiles to programs, which are kept: compiling takes 5 ms of libseccomp and 30 ms of Python's imports.

They lie in <root>/@seccomp, where only root may write. A file's name is the hash of all that the program depends on.
"""

import os
import stat
from _blake2 import blake2b  # Python's own; hashlib would load OpenSSL first, for 2 ms
from contextlib import suppress

import msgspec

from runtime.errors import StepFailed
from runtime.linux import libseccomp, seccomp
from runtime.linux.descriptors import drain, write_all
from runtime.process.profile import LENIENT, decided, newer
from runtime.spec import LinuxSeccomp

FORMAT = 1  # of what `compiled` makes, beyond libseccomp's version
MOST_KEPT = 64
LONGEST = seccomp.MOST_INSTRUCTIONS * seccomp.INSTRUCTION


def program(profile: LinuxSeccomp, directory: str) -> bytes:
    """The profile's program: the one that was kept, or a new one, which is kept. Raises StepFailed."""
    cache = opened(directory)
    try:
        name = digest(profile)
        found = kept(cache, name)
        if not found:
            found = compiled(profile)
            keep(cache, name, found)
        return found
    finally:
        os.close(cache)


def compiled(profile: LinuxSeccomp) -> bytes:
    """By libseccomp. Raises StepFailed."""
    wanted = decided(profile)
    try:
        made = libseccomp.compiled(wanted)
        if profile.default_action not in LENIENT:
            made = newer(libseccomp.numbers(wanted)) + made
    except OSError as error:
        raise StepFailed(f"compile the seccomp profile: {error.filename or 'filter'}: {str(error.strerror).lower()} "
                         "(seccomp_rule_add(3))") from error
    if len(made) > LONGEST:
        raise StepFailed(f"compile the seccomp profile: {len(made) // seccomp.INSTRUCTION} instructions, and the "
                         f"kernel takes {seccomp.MOST_INSTRUCTIONS} at most")
    return made


def digest(profile: LinuxSeccomp) -> str:
    """A name for all that the program depends on; the kernel's release, as libseccomp asks what the kernel can do."""
    system = os.uname()
    told = (FORMAT, libseccomp.version(), system.machine, system.release, profile)
    return blake2b(msgspec.json.encode(told), digest_size=32).hexdigest()


def path(profile: LinuxSeccomp, directory: str) -> str:
    return os.path.join(directory, digest(profile))


def opened(directory: str) -> int:
    """The cache's directory. Whoever could write there could take a filter away, so it has to be root's alone (R13)."""
    os.makedirs(os.path.dirname(directory), mode=0o711, exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        os.close(descriptor)
        raise StepFailed(f"{directory}: is to be a directory of uid {os.geteuid()} with mode 0700, as it holds seccomp "
                         f"filters; it has uid {status.st_uid} and mode {stat.S_IMODE(status.st_mode):04o}")
    return descriptor


def kept(cache: int, name: str) -> bytes:
    """The program of that name; empty if there is none."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=cache)
    except FileNotFoundError:
        return b""
    try:
        return drain(descriptor, LONGEST)
    finally:
        os.close(descriptor)


def keep(cache: int, name: str, content: bytes) -> None:
    """Add a program: on the disk first, then under its name. The oldest go where there are too many."""
    temporary = f".{name}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=cache)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
        os.rename(temporary, name, src_dir_fd=cache, dst_dir_fd=cache)
    except OSError as error:  # a full disk: half a filter must not be kept
        remove(cache, temporary)
        raise StepFailed(f"write @seccomp/{name}: {str(error.strerror).lower()} (write(2), rename(2))") from error
    finally:
        os.close(descriptor)
    by_age = sorted(os.listdir(cache), key=lambda one: age(cache, one))
    for one in by_age[:-MOST_KEPT]:
        remove(cache, one)


def age(cache: int, name: str) -> float:
    try:
        return os.stat(name, dir_fd=cache, follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return 0.0


def remove(cache: int, name: str) -> None:
    with suppress(FileNotFoundError):  # somebody else did
        os.unlink(name, dir_fd=cache)
