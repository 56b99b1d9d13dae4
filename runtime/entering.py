"""The namespaces of config.json as steps: which are made, which are joined, and what a new one needs. Pure: a part of
the plan."""

from collections.abc import Iterator

from runtime.mounting import rows
from runtime.process.entrance import Clone, Enter
from runtime.process.joined import Joined
from runtime.process.names import LoopbackUp
from runtime.spec import Linux, NamespaceType
from runtime.stage import Inside, Outside
from runtime.step import Step


def user_namespace(linux: Linux) -> Iterator[Step[Outside]]:
    """It comes before all others: they belong to it."""
    for number, one in enumerate(linux.namespaces):
        if one.type is NamespaceType.USER:
            from runtime.process.users import NewUserNamespace, OpenUserNamespace

            yield (OpenUserNamespace(one.path, member=f"$.linux.namespaces[{number}].path") if one.path else
                   NewUserNamespace(rows(linux.uid_mappings), rows(linux.gid_mappings)))


def enter(linux: Linux, cgroup: str, *, once: bool) -> Enter:
    """New namespaces and joined ones, by one fork or by two. `cgroup`: where of v2's hierarchy the process is made."""
    others = [(number, one) for number, one in enumerate(linux.namespaces) if one.type is not NamespaceType.USER]
    new = tuple(one.type.value for _, one in others if not one.path)
    joined = tuple(Joined(one.type.value, one.path, f"$.linux.namespaces[{number}].path")
                   for number, one in others if one.path)
    if once:
        return Clone(new=new, joined=joined, cgroup=cgroup)
    return Enter(new=new, joined=joined, user=len(others) < len(linux.namespaces),
                 offsets=tuple((clock, offset.secs, offset.nanosecs) for clock, offset in linux.time_offsets.items()))


def network(linux: Linux) -> Iterator[Step[Inside]]:
    if linux.makes(NamespaceType.NETWORK):
        yield LoopbackUp()
