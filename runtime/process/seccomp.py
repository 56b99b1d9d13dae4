"""The filter of system calls: compiled outside, loaded inside, its listener's descriptor handed on outside.

    outside   CompileFilter    the profile becomes a program; from the cache, if it was compiled before
    inside    LoadFilter       the last step but waiting and execve: what comes after it has to be allowed by it
    outside   SendListener     where calls are to be answered by somebody: that one gets the descriptor

After the filter is loaded, this process makes these calls and no others (measured with strace): capset(2) where a
privilege was held back for loading it, write(2), read(2) and close(2) to say that all is ready and to wait for `start`,
rt_sigaction(2), rt_sigprocmask(2) and execve(2). A Go runtime, for which people write profiles, needs all of them.
"""

from shlex import quote
from typing import ClassVar

from runtime.linux import capabilities, seccomp
from runtime.process.filters import path, program
from runtime.process.profile import flags, notifies
from runtime.spec import LinuxCapabilities, LinuxSeccomp, State
from runtime.stage import Inside, Outside, Placed
from runtime.step import Step

HELD = ("CAP_SYS_ADMIN",)


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


def filtering(profile: LinuxSeccomp, directory: str, state: State | None, sets: LinuxCapabilities | None) -> Placed:
    """The steps for a profile. `sets` are the program's capabilities where it has no no_new_privs."""
    load: Step[Inside] = LoadFilter(profile, directory)
    let_go: tuple[Step[Inside], ...] = ()
    if sets is not None:
        three = (sets.effective, sets.permitted, sets.inheritable)
        load, let_go = LoadFilterPrivileged(profile, directory, *three), (LetPrivilegeGo(*three),)
    tell, send = listening(profile, state) if state and notifies(profile) else ((), ())
    return Placed(before=(CompileFilter(profile, directory),), ready=(load, *tell, *let_go), outside=send,
                  held=HELD if let_go else ())


def listening(profile: LinuxSeccomp, state: State) -> tuple[tuple[Step[Inside], ...], tuple[Step[Outside], ...]]:
    """What is done for the listener on either side."""
    from runtime.process.listener import SendListener, TellListener

    return (TellListener(),), (SendListener(profile, state),)
