"""Settings that live in namespaces: hostname, loopback, sysctls, the session keyring, the cgroup namespace itself."""

import errno
from shlex import quote
from typing import ClassVar

from runtime.linux import namespaces
from runtime.linux.descriptors import write
from runtime.linux.interface import set_up
from runtime.linux.keyring import join_session_keyring
from runtime.stage import Inside
from runtime.step import Step


class Hostname(Step[Inside], frozen=True):
    """The name that uname(2) tells."""

    why: ClassVar[str] = "a UTS namespace starts as a copy of its parent's names"
    manual: ClassVar[str] = "sethostname(2), uts_namespaces(7)"
    name: str

    def describe(self) -> str:
        return f"set the hostname to {self.name}"

    def shell(self) -> str:
        return f"hostname {quote(self.name)}"

    def script(self) -> str:
        return setting("hostname", self.name)

    def apply(self, at: Inside) -> None:
        namespaces.sethostname(self.name)


class Domainname(Step[Inside], frozen=True):
    """The NIS domain name."""

    why: ClassVar[str] = "the UTS namespace's other name"
    manual: ClassVar[str] = "setdomainname(2)"
    name: str

    def describe(self) -> str:
        return f"set the domain name to {self.name}"

    def shell(self) -> str:
        return f"domainname {quote(self.name)}"

    def script(self) -> str:
        return setting("domainname", self.name)

    def apply(self, at: Inside) -> None:
        namespaces.setdomainname(self.name)


def setting(command: str, name: str) -> str:
    """The names as a script sets them: the commands are in no package that it needs, except for a mapped root."""
    return f"{{ echo {quote(name)} > /proc/sys/kernel/{command}; }} 2>/dev/null || {command} {quote(name)}"


class LoopbackUp(Step[Inside], frozen=True):
    """127.0.0.1 answers."""

    why: ClassVar[str] = "a new network namespace has a loopback interface, which is down"
    manual: ClassVar[str] = "netdevice(7), network_namespaces(7)"

    def describe(self) -> str:
        return "bring up the interface lo"

    def shell(self) -> str:
        return "ip link set lo up"

    def apply(self, at: Inside) -> None:
        set_up("lo")


class SessionKeyring(Step[Inside], frozen=True):
    """Keys of the caller's session stay with the caller."""

    why: ClassVar[str] = "keyrings are inherited across fork and execve, and no namespace separates them"
    manual: ClassVar[str] = "keyctl_join_session_keyring(3)"
    name: str

    def describe(self) -> str:
        return f"join the session keyring {self.name}"

    def shell(self) -> str:
        return f"keyctl session {quote(self.name)} \\"

    def script(self) -> str:
        return ":  # by keyctl session, of the package keyutils: left out"

    def apply(self, at: Inside) -> None:
        try:
            join_session_keyring(self.name)
        except OSError as error:
            if error.errno != errno.ENOSYS:  # a kernel without keys has none to protect
                raise


class Sysctl(Step[Inside], frozen=True):
    """A kernel parameter that belongs to one of the container's own namespaces."""

    why: ClassVar[str] = (
        "written through the host's /proc by a process that is in the new namespaces already: the kernel takes the "
        "writer's namespace, and no file of the container can pose as the parameter (CVE-2025-52881)")
    manual: ClassVar[str] = "sysctl(8), namespaces(7)"
    key: str
    value: str

    def path(self) -> str:
        """Dots separate, unless slashes do (net/ipv4/conf/eth0.100/forwarding)."""
        first = min((self.key.find(mark) for mark in "./" if mark in self.key), default=0)
        if self.key[first:first + 1] == "/":
            return "/proc/sys/" + self.key
        return "/proc/sys/" + self.key.translate(str.maketrans("./", "/."))

    def describe(self) -> str:
        return f"set {self.key} to {self.value}"

    def shell(self) -> str:
        return f"echo {quote(self.value)} > {quote(self.path())}"

    def apply(self, at: Inside) -> None:
        write(self.path(), self.value.encode())


class NewCgroupNamespace(Step[Inside], frozen=True):
    """The cgroup that the process is in becomes the root of what it sees."""

    why: ClassVar[str] = (
        "the root of a cgroup namespace is where the process is at that moment, so it has to be in its cgroup; moving "
        "it there takes the kernel milliseconds, which went by while the mounts were made")
    manual: ClassVar[str] = "cgroup_namespaces(7), unshare(2)"

    def describe(self) -> str:
        return "begin a new cgroup namespace"

    def shell(self) -> str:
        return "unshare --cgroup \\"

    def apply(self, at: Inside) -> None:
        at.await_cgroup()
        namespaces.unshare(namespaces.CLONE_NEWCGROUP)
