"""The user namespace: a root that is nobody on the host.

It comes before all other namespaces, as each of them belongs to the user namespace that it was made in, and only who
is privileged *there* may mount, name, route in it. So it is made, or opened, by the process outside; the entrance
enters it as the last thing that it does with the host's privileges, and what needs those (files of the host that user
100000 cannot reach, device nodes, limits) was opened and done before.
"""

import resource
from shlex import quote
from typing import ClassVar

from runtime.errors import StepFailed
from runtime.linux import idmaps
from runtime.process.joined import Joined
from runtime.process.limits import LIMITS, Limit, python
from runtime.stage import Outside
from runtime.step import Step


class NewUserNamespace(Step[Outside], frozen=True):
    """Make a user namespace with these maps."""

    why: ClassVar[str] = (
        "root inside shall be an ordinary user outside; before the other namespaces, since they have to belong to it. "
        "The maps are written from outside: who is inside could map only itself, and would lose setgroups(2)")
    manual: ClassVar[str] = "user_namespaces(7)"
    uids: idmaps.Map
    gids: idmaps.Map

    def describe(self) -> str:
        return f"make a user namespace: users {idmaps.told(self.uids)}; groups {idmaps.told(self.gids)}"

    def shell(self) -> str:
        maps = "; ".join(f"echo {quote(idmaps.lines(map).strip())} > /proc/$COPROC_PID/{name}"
                         for name, map in (("uid_map", self.uids), ("gid_map", self.gids)))
        return ("coproc unshare --user sh -c 'echo; exec cat'; read -r <&\"${COPROC[0]}\"; "
                f"{maps}; exec 8</proc/$COPROC_PID/ns/user")

    def apply(self, at: Outside) -> None:
        at.user_namespace = idmaps.user_namespace(self.uids, self.gids)

    def undo(self, at: Outside) -> None:
        at.leave_user_namespace()


class OpenUserNamespace(Step[Outside], frozen=True):
    """Open the user namespace that was named by a path."""

    why: ClassVar[str] = "another container's: ids mean the same in both, and the namespaces that it owns can be shared"
    manual: ClassVar[str] = "user_namespaces(7), setns(2)"
    path: str

    def describe(self) -> str:
        return f"open the user namespace {self.path}"

    def shell(self) -> str:
        return f"exec 8<{quote(self.path)}"

    def apply(self, at: Outside) -> None:
        at.user_namespace = Joined("user", self.path, self.member).opened()

    def undo(self, at: Outside) -> None:
        at.leave_user_namespace()


class SetLimitOf(Limit[Outside], frozen=True):
    """One rlimit, from outside."""

    why: ClassVar[str] = "raising a hard limit needs CAP_SYS_RESOURCE of the host, which the mapped root has not"
    manual: ClassVar[str] = "prlimit(2)"

    def apply(self, at: Outside) -> None:
        try:
            resource.prlimit(at.pid, LIMITS[self.name], (python(self.soft), python(self.hard)))
        except (OSError, ValueError) as error:  # Python's ValueError is for EPERM and EINVAL
            at.hear()
            raise StepFailed(self.located(f"{self.describe()}: operation not permitted, as the hard limit is lower and "
                                          "CAP_SYS_RESOURCE is missing (prlimit(2), EPERM)")) from error
