"""What a root without the host's privileges cannot do: moved to where those still are. Pure, as the plan is.

The inner steps are decided as if root inside were the host's. Where it is not (a user namespace), where a mount is
idmapped, or where mounts are to spread to the host's namespace (and the root file system must not), some of them are
done by other means:

    step              instead
    SetLimit          from outside (prlimit)
    OwnOutputs        before leaving, for the user that the program's is on the host
    BindRoot          opened before leaving; attached inside
    BindMount         the same
    DeviceNode        made before leaving, on a shelf that nobody else sees; attached inside

What was opened for a user namespace is shelved in between, as that locks its flags (see `rootfs.sources`).
"""

import msgspec

from runtime.linux import idmaps
from runtime.process.limits import SetLimit
from runtime.process.session import OwnOutputs
from runtime.process.users import SetLimitOf
from runtime.rootfs.devices import DeviceNode
from runtime.rootfs.mounts import BindMount
from runtime.rootfs.root import BindRoot
from runtime.rootfs.sources import (
    AttachDevice,
    AttachRoot,
    AttachSource,
    MakeDevices,
    MakeShelf,
    MapIds,
    MapIdsLikeContainer,
    OpenRoot,
    OpenSource,
    Shelve,
    TakeFromShelf,
)
from runtime.stage import Inside, Outside
from runtime.step import Step


class Divided(msgspec.Struct):
    """Where each step went."""

    outside: list[Step[Outside]] = []
    leaving: list[Step[Inside]] = []
    inside: list[Step[Inside]] = []


def divide(steps: tuple[Step[Inside], ...], first: str, *, mapped: bool, uids: idmaps.Map = (),
           gids: idmaps.Map = (), shelf: str = "", copied: bool = False) -> Divided:
    """The steps, in order, each where it can be done.

    `first` is the propagation of all mounts inside; `mapped`: there is a user namespace, with these maps if known;
    `shelf`: a directory to mount on; `copied`: there is a new mount namespace in it, which begins as a copy.
    """
    spreading = "shared" in first
    # As the kernel has it for a mount namespace of another user namespace: nothing spreads from there to the host.
    kinds = ("rslave",) if copied else ("rslave", first) if mapped and first != "rslave" else (first,)
    found = Divided()
    nodes: list[DeviceNode] = []
    base = len(steps)
    for number, step in enumerate(steps):
        if isinstance(step, BindMount) and (mapped or spreading or step.idmap):
            found.leaving += [OpenSource(number, step, kinds, member=step.member), *mapping(number, step)]
            found.inside.append(AttachSource(number, step, shelved=copied and step.idmap is None, member=step.member))
        elif isinstance(step, BindRoot) and (mapped or spreading):
            found.leaving.append(OpenRoot(number, step, kinds))
            found.inside.append(AttachRoot(number, step))
        elif not mapped:
            found.inside.append(step)
        elif isinstance(step, SetLimit):
            found.outside.append(SetLimitOf(step.name, step.soft, step.hard, member=step.member))
        elif isinstance(step, OwnOutputs):
            found.leaving += owned(step, uids)
        elif isinstance(step, DeviceNode) and step.type != "p":
            found.inside.append(AttachDevice(base + len(nodes), step.path, member=step.member))
            nodes.append(of_the_host(step, uids, gids))
        else:
            found.inside.append(step)
    if nodes or copied:
        found.leaving.append(MakeShelf(shelf))
    if nodes:
        found.leaving.append(MakeDevices(base, tuple(nodes)))
    if copied:
        binds = tuple((one.number, one.bind) for one in found.inside if isinstance(one, AttachSource) and one.shelved)
        found.leaving.append(Shelve(binds))
        found.inside.insert(0, TakeFromShelf(first))
    return found


def mapping(number: int, bind: BindMount) -> list[Step[Inside]]:
    """The step that gives an idmapped mount its maps."""
    if bind.idmap is None:
        return []
    if not bind.idmap.uids:
        return [MapIdsLikeContainer(number, bind, bind.idmap.recursive, member=bind.member)]
    return [MapIds(number, bind, bind.idmap.uids, bind.idmap.gids, bind.idmap.recursive, member=bind.member)]


def owned(step: OwnOutputs, uids: idmaps.Map) -> list[Step[Inside]]:
    """For whom the program's user is on the host; for nobody where the maps are not known."""
    owner = idmaps.outside(uids, step.uid)
    return [] if owner is None else [OwnOutputs(owner)]


def of_the_host(node: DeviceNode, uids: idmaps.Map, gids: idmaps.Map) -> DeviceNode:
    """With the owners as the host sees them; an owner that is not mapped becomes the mapped root, as with runc."""
    return msgspec.structs.replace(
        node, uid=idmaps.outside(uids, node.uid) or idmaps.outside(uids, 0) or 0,
        gid=idmaps.outside(gids, node.gid) or idmaps.outside(gids, 0) or 0)
