"""Who the process is and what it may do: user, groups, capabilities, no_new_privs.

The order is forced by what each call needs (credentials(7), capabilities(7)):

    bounding set      dropping from it needs CAP_SETPCAP: while still privileged
    keep capabilities otherwise leaving uid 0 empties the permitted set
    groups, gid, uid  need CAP_SETGID and CAP_SETUID; groups first, as they need what setuid takes away
    the three sets    what is left after the change of user
    ambient           needs the capability to be permitted and inheritable already
    no_new_privs      last: nothing above would be affected, and seccomp filters need it
"""

import os
from typing import ClassVar

from runtime.linux import capabilities, prctl
from runtime.stage import Inside
from runtime.step import Step


class DropBounding(Step[Inside], frozen=True):
    """Leave only these in the bounding set; `dropped` are the numbers of all others that the kernel knows."""

    why: ClassVar[str] = (
        "no program that is executed, setuid root or with file capabilities, can ever get what is not in this set; "
        "dropping needs CAP_SETPCAP, which may go next")
    manual: ClassVar[str] = "prctl(2) PR_CAPBSET_DROP, capabilities(7)"
    kept: tuple[str, ...]
    dropped: tuple[int, ...]

    def describe(self) -> str:
        return f"limit capabilities to {', '.join(self.kept) or 'none'}"

    def shell(self) -> str:
        drops = ",".join(f"-{capabilities.NAMES[number].removeprefix('CAP_').lower()}" for number in self.dropped
                         if number < len(capabilities.NAMES))
        return f"setpriv --bounding-set {drops or '+all'} \\"

    def apply(self, at: Inside) -> None:
        for number in self.dropped:
            prctl.drop_bounding(number)


class BecomeUser(Step[Inside], frozen=True):
    """Groups, group and user, in this order. The supplementary groups are exactly these, never the caller's."""

    why: ClassVar[str] = (
        "groups before the user, since changing them needs the privilege that leaving uid 0 takes away; the caller's "
        "own groups would open the host's files to the container")
    manual: ClassVar[str] = "setgroups(2), setresgid(2), setresuid(2), credentials(7)"
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def describe(self) -> str:
        others = f", groups {', '.join(map(str, self.groups))}" if self.groups else ""
        return f"become user {self.uid}, group {self.gid}{others}"

    def shell(self) -> str:
        groups = f"--groups {','.join(map(str, self.groups))}" if self.groups else "--clear-groups"
        return f"setpriv --reuid {self.uid} --regid {self.gid} {groups} \\"

    def apply(self, at: Inside) -> None:
        prctl.set_keepcaps(True)
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)


class SetCapabilities(Step[Inside], frozen=True):
    """The effective, permitted, inheritable and ambient sets."""

    why: ClassVar[str] = (
        "after the change of user, which would have changed them; inheritable and ambient are empty unless asked for, "
        "or a program without privileges would keep some (CVE-2016-8867, CVE-2022-24769)")
    manual: ClassVar[str] = "capset(2), prctl(2) PR_CAP_AMBIENT_RAISE, capabilities(7)"
    effective: tuple[str, ...]
    permitted: tuple[str, ...]
    inheritable: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()
    held: tuple[str, ...] = ()  # permitted for now, and not effective: let go again before the program runs

    def describe(self) -> str:
        sets = (("effective", self.effective), ("permitted", self.permitted), ("inheritable", self.inheritable),
                ("ambient", self.ambient))
        told = "; ".join(f"{name} {', '.join(names) or 'none'}" for name, names in sets)
        return f"set capabilities: {told}" + (f"; held back for now: {', '.join(self.held)}" if self.held else "")

    def shell(self) -> str:
        inheritable, ambient = (",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in names)])
                                for names in (self.inheritable, self.ambient))
        return f"setpriv --inh-caps {inheritable} --ambient-caps {ambient} \\"

    def apply(self, at: Inside) -> None:
        capabilities.capset(*(capabilities.mask(names) for names in (self.effective, (*self.permitted, *self.held),
                                                                             self.inheritable)))
        prctl.set_keepcaps(False)
        prctl.clear_ambient()
        for name in self.ambient:
            prctl.raise_ambient(capabilities.NUMBERS[name])


class NoNewPrivileges(Step[Inside], frozen=True):
    """execve gives no privileges any more."""

    why: ClassVar[str] = "a setuid program in the image would otherwise give back what was taken above"
    manual: ClassVar[str] = "prctl(2) PR_SET_NO_NEW_PRIVS"

    def describe(self) -> str:
        return "forbid new privileges"

    def shell(self) -> str:
        return "setpriv --no-new-privs \\"

    def apply(self, at: Inside) -> None:
        prctl.set_no_new_privs()
