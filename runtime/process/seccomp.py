"""The filter of system calls: compiled outside, loaded inside, its listener's descriptor handed on outside.

    outside   CompileFilter    the profile becomes a program; from the cache, if it was compiled before
    inside    LoadFilter       the last step but waiting and execve: what comes after it has to be allowed by it
    outside   SendListener     where calls are to be answered by somebody: that one gets the descriptor

After the filter is loaded, this process makes these calls and no others (measured with strace): capset(2) where a
privilege was held back for loading it, write(2), read(2) and close(2) to say that all is ready and to wait for `start`,
rt_sigaction(2), rt_sigprocmask(2) and execve(2). A Go runtime, for which people write profiles, needs all of them.

Compiling takes 5 ms of libseccomp and 30 ms of Python's imports, so programs are kept in <root>/@seccomp, where only
root may write. A file's name is the hash of all that the program depends on.
"""

import errno
import os
import stat
from _blake2 import blake2b  # Python's own; hashlib would load OpenSSL first, for 2 ms
from contextlib import suppress
from shlex import quote
from typing import ClassVar

import msgspec

from runtime.errors import StepFailed
from runtime.linux import capabilities, libseccomp, seccomp
from runtime.linux.descriptors import drain
from runtime.linux.sockets import connect, send_descriptor
from runtime.process.profile import LENIENT, decided, flags, newer, notifies
from runtime.spec import ContainerProcessState, LinuxCapabilities, LinuxSeccomp, State
from runtime.stage import Inside, Outside
from runtime.step import Step
from runtime.sync import Listener

FORMAT = 1  # of what `compiled` makes, beyond libseccomp's version
MOST_KEPT = 64
LONGEST = seccomp.MOST_INSTRUCTIONS * seccomp.INSTRUCTION


class CompileFilter(Step[Outside], frozen=True):
    """Have the program ready before there is a process to load it."""

    why: ClassVar[str] = (
        "the kernel takes a program, not a profile; compiled here, because nothing can be imported any more in the "
        "process that will load it, and only once, because it takes longer than all the rest of the container")
    manual: ClassVar[str] = "seccomp_export_bpf(3), bpf(4)"
    profile: LinuxSeccomp
    directory: str

    def describe(self) -> str:
        names = {name for rule in self.profile.syscalls for name in rule.names}
        return (f"compile the seccomp profile: {self.profile.default_action} but for {len(names)} system calls with "
                "rules of their own")

    def shell(self) -> str:
        return f":  # compiling has no command; a `create` leaves the program in {quote(self.directory)}"

    def apply(self, at: Outside) -> None:
        at.filter = program(self.profile, self.directory)


class LoadFilter(Step[Inside], frozen=True):
    """From now on the kernel asks the program about each system call."""

    why: ClassVar[str] = (
        "as late as possible, since from here on this process, too, may do only what the profile allows; a process "
        "with no_new_privs may load a filter without privileges")
    manual: ClassVar[str] = "seccomp(2), seccomp_unotify(2)"
    profile: LinuxSeccomp
    directory: str

    def describe(self) -> str:
        return f"load the seccomp filter: {self.profile.default_action} by default"

    def shell(self) -> str:
        where = quote(path(self.profile, self.directory))
        # util-linux 2.41 is the first whose setpriv can; without it the words vanish, and so does the filter.
        return (f"$([ -e {where} ] && setpriv --help | grep -q seccomp-filter && "
                f"echo setpriv --seccomp-filter {where}) \\")

    def script(self) -> str:
        return "echo 'no tool of util-linux before 2.41 loads a seccomp filter: the program runs without' >&2"

    def apply(self, at: Inside) -> None:
        at.await_cgroup()
        at.listener = seccomp.load(at.filter, flags(self.profile))


class LoadFilterPrivileged(LoadFilter, frozen=True):
    """The same, where the program may gain privileges: then loading is a privilege itself."""

    why: ClassVar[str] = (
        "as late as possible, since from here on this process, too, may do only what the profile allows; without "
        "no_new_privs it needs CAP_SYS_ADMIN, which was held back for this one call")
    effective: tuple[str, ...]
    permitted: tuple[str, ...]
    inheritable: tuple[str, ...]

    def apply(self, at: Inside) -> None:
        effective, permitted, inheritable = map(capabilities.mask, (
            (*self.effective, *HELD), (*self.permitted, *HELD), self.inheritable))
        capabilities.capset(effective, permitted, inheritable)
        super().apply(at)


class TellListener(Step[Inside], frozen=True):
    """Say which of this process's descriptors is the listener."""

    why: ClassVar[str] = "at once: from now on, any other call may be one that waits for the listener's answer"
    manual: ClassVar[str] = "seccomp_unotify(2), pipe(7)"

    def describe(self) -> str:
        return "tell the outside where the seccomp listener is"

    def shell(self) -> str:
        return ":  # no command makes a listener"

    def apply(self, at: Inside) -> None:
        at.channel.send(Listener(at.listener))


class LetPrivilegeGo(Step[Inside], frozen=True):
    """Set the capabilities to what was asked for."""

    why: ClassVar[str] = "CAP_SYS_ADMIN was held back to load the filter, and the program is not to have it"
    manual: ClassVar[str] = "capset(2), capabilities(7)"
    effective: tuple[str, ...]
    permitted: tuple[str, ...]
    inheritable: tuple[str, ...]

    def describe(self) -> str:
        return "let CAP_SYS_ADMIN go, which loading the filter needed"

    def shell(self) -> str:
        return ":  # execve lets it go, as the bounding set lacks it"

    def apply(self, at: Inside) -> None:
        capabilities.capset(*map(capabilities.mask, (self.effective, self.permitted, self.inheritable)))


HELD = ("CAP_SYS_ADMIN",)


class SendListener(Step[Outside], frozen=True):
    """Give the descriptor, on which the calls can be read and answered, to who listens at the socket."""

    why: ClassVar[str] = (
        "the process whose calls are held cannot answer them itself; before the program starts, as its first call may "
        "be one of them")
    manual: ClassVar[str] = "seccomp_unotify(2), pidfd_getfd(2), unix(7)"
    profile: LinuxSeccomp
    state: State  # pid 0 stands for the process that is being made

    def describe(self) -> str:
        return f"send the seccomp listener to {self.profile.listener_path}"

    def shell(self) -> str:
        return ":  # no command takes a descriptor out of another process"

    def apply(self, at: Outside) -> None:
        assert at.channel is not None
        message = at.channel.receive()
        assert isinstance(message, Listener), message
        send_listener(at.pid, message.descriptor, self.profile, self.state)


class Filtering(msgspec.Struct, frozen=True):
    """The steps of a filter, by place: `before` the process exists, `inside`, `after` it is in its cgroup."""

    before: tuple[Step[Outside], ...]
    inside: tuple[Step[Inside], ...]
    after: tuple[Step[Outside], ...] = ()
    held: tuple[str, ...] = ()


def filtering(profile: LinuxSeccomp, directory: str, state: State | None,
              sets: LinuxCapabilities | None) -> Filtering:
    """The steps for a profile. `sets` are the program's capabilities where it has no no_new_privs."""
    load: Step[Inside] = LoadFilter(profile, directory)
    let_go: tuple[Step[Inside], ...] = ()
    if sets is not None:
        three = (sets.effective, sets.permitted, sets.inheritable)
        load, let_go = LoadFilterPrivileged(profile, directory, *three), (LetPrivilegeGo(*three),)
    listens = notifies(profile) and state is not None
    return Filtering(before=(CompileFilter(profile, directory),),
                     inside=(load, *((TellListener(),) if listens else ()), *let_go),
                     after=(SendListener(profile, state),) if listens and state else (),
                     held=HELD if let_go else ())


def send_listener(pid: int, number: int, profile: LinuxSeccomp, state: State) -> None:
    """Take the descriptor out of the process, and send it with the state. Raises StepFailed."""
    told = ContainerProcessState(
        oci_version=state.oci_version, fds=("seccompFd",), pid=pid, metadata=profile.listener_metadata,
        state=msgspec.structs.replace(state, pid=state.pid or pid))
    opened: list[int] = []
    try:
        opened.append(os.pidfd_open(pid))
        opened.append(seccomp.take_descriptor(opened[0], number))
        opened.append(connect(profile.listener_path))
        send_descriptor(opened[2], msgspec.json.encode(told), opened[1])
    except OSError as error:
        raise StepFailed("failed to connect with seccomp agent specified in the seccomp profile: "
                         f"{profile.listener_path}: {str(error.strerror).lower()}") from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


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
        if os.write(descriptor, content) < len(content):  # a full disk: half a filter must not be kept
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), temporary)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, name, src_dir_fd=cache, dst_dir_fd=cache)
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
