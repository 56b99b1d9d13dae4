"""Labels of the security modules: AppArmor's profile, SELinux's context. They take effect with the program's execve.

The kernel has at most one of them that labels like this; which, `machine` knows. A label that was asked for on a kernel
that has no use for it is an error: whoever asked relies on it.
"""

from collections.abc import Iterator
from shlex import quote
from typing import ClassVar

from runtime.linux.procfs import write_attribute
from runtime.machine import Machine
from runtime.spec import Process
from runtime.stage import Inside
from runtime.step import Step

Complaint = tuple[str, str]

WITHOUT_APPARMOR = ("", "unconfined")  # what is so without AppArmor, too
LABELLED_BY_THEMSELVES = ("proc", "sysfs", "mqueue", "cgroup", "cgroup2")  # they take no `context=` (mount(8))


class AppArmorProfile(Step[Inside], frozen=True):
    """The profile under which the program will run."""

    why: ClassVar[str] = (
        "while privileged, as a confined process may not change its profile; through a procfs that was checked, or a "
        "file of the container's could swallow the word (CVE-2019-16884)")
    manual: ClassVar[str] = "aa_change_onexec(3), apparmor(7)"
    profile: str

    def describe(self) -> str:
        return f"apply the AppArmor profile {self.profile} on execve"

    def shell(self) -> str:
        return f"aa-exec -p {quote(self.profile)} -- \\"

    def script(self) -> str:
        return f"setpriv --apparmor-profile {quote(self.profile)} \\"

    def apply(self, at: Inside) -> None:
        # The directory of its own is there since Linux 5.8; the shared file may belong to another module.
        write_attribute(("apparmor/exec", "exec"), f"exec {self.profile}")


class SELinuxLabel(Step[Inside], frozen=True):
    """The context in which the program will run."""

    why: ClassVar[str] = "with execve, as changing one's own context at once is a privilege of its own (setexeccon(3))"
    manual: ClassVar[str] = "setexeccon(3), selinux(8)"
    label: str

    def describe(self) -> str:
        return f"apply the SELinux label {self.label} on execve"

    def shell(self) -> str:
        return f"runcon {quote(self.label)} \\"

    def script(self) -> str:
        return f"setpriv --selinux-label {quote(self.label)} \\"

    def apply(self, at: Inside) -> None:
        write_attribute(("exec",), self.label)


class KeyringLabel(Step[Inside], frozen=True):
    """The context of keys that this process makes."""

    why: ClassVar[str] = "before the session keyring is made, or the program could not use its own (setkeycreatecon(3))"
    manual: ClassVar[str] = "setkeycreatecon(3)"
    label: str

    def describe(self) -> str:
        return f"label new keys {self.label}"

    def shell(self) -> str:
        return f"echo -n {quote(self.label)} > /proc/$$/attr/keycreate"

    def apply(self, at: Inside) -> None:
        write_attribute(("keycreate",), self.label)


def labels(process: Process, machine: Machine) -> Iterator[Step[Inside]]:
    if process.apparmor_profile and machine.apparmor:
        yield AppArmorProfile(process.apparmor_profile)
    if process.selinux_label:
        yield SELinuxLabel(process.selinux_label)


def mount_context(fstype: str, label: str) -> tuple[tuple[str, str | None], ...]:
    """The option that gives all files of a new file system this SELinux context (mount(8))."""
    return (("context", label),) if label and fstype not in LABELLED_BY_THEMSELVES else ()


def of_labels(process: Process, machine: Machine, path: str) -> Iterator[Complaint]:
    if process.apparmor_profile not in WITHOUT_APPARMOR and not machine.apparmor:
        yield f"{path}.apparmorProfile", "apparmor: config provided but apparmor not supported"
    if process.selinux_label and not machine.selinux:
        yield (f"{path}.selinuxLabel",
               "selinux label is specified in config, but selinux is disabled or not supported")
    if "\n" in process.apparmor_profile or "\n" in process.selinux_label:
        yield path, "a label has no second line"
