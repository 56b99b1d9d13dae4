"""What a mapped root, an idmapped mount or a shared root change in the plan: as data."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from runtime.errors import InvalidSpec
from runtime.joining import exec_plan
from runtime.linux import idmaps
from runtime.plan import Plan, plan
from runtime.process.entrance import Enter, EnterCgroup
from runtime.process.joined import Joined
from runtime.process.limits import SetLimit
from runtime.process.program import OpenFifo
from runtime.process.session import OwnOutputs
from runtime.process.users import NewUserNamespace, OpenUserNamespace, SetLimitOf
from runtime.rootfs.devices import DeviceNode
from runtime.rootfs.mounts import BindMount
from runtime.rootfs.moving import ChangeRoot, CoverHost, MoveRoot, UnmountHost
from runtime.rootfs.root import BindRoot, PivotRoot
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
)
from runtime.spec import (
    LinuxDevice,
    LinuxIDMapping,
    LinuxNamespace,
    LinuxTimeOffset,
    Mount,
    NamespaceType,
    POSIXRlimit,
    User,
)
from runtime.step import Step
from tests.unit.runtime.test_plan import CONTAINER, LINUX, MACHINE, PROCESS, SPEC, of, planned

MAP = (LinuxIDMapping(container_id=0, host_id=100000, size=1000), LinuxIDMapping(container_id=1000, host_id=5, size=1))
USER = replace(LINUX, namespaces=(*LINUX.namespaces, LinuxNamespace(type=NamespaceType.USER)), uid_mappings=MAP,
               gid_mappings=MAP, devices=(LinuxDevice(path="/dev/x", type="c", major=1, minor=3, uid=1000),
                                          LinuxDevice(path="/dev/p", type="p")))
VOLUME = Mount(destination="/v", source="/host", options=("rbind", "rshared"))


def mapped(**process: Any) -> Plan:
    return planned(replace(SPEC, linux=USER, process=replace(PROCESS, **process), mounts=(*SPEC.mounts, VOLUME)))


def every(kind: type[Step[Any]], found: Plan) -> list[Any]:
    return of(kind, found.steps)


def test_without_maps_only_the_cgroup_is_entered_and_the_fifo_opened_before_leaving() -> None:
    assert [type(step) for step in planned().leaving] == [EnterCgroup, OpenFifo]
    assert not every(NewUserNamespace, planned()) and not every(OpenSource, planned())


def test_the_user_namespace_is_made_before_the_others_are_entered() -> None:
    found = mapped()
    (made,) = every(NewUserNamespace, found)
    (enter,) = every(Enter, found)
    assert found.outside.index(made) < found.outside.index(enter)
    assert made.uids == ((0, 100000, 1000), (1000, 5, 1)) and enter.user and "user" not in enter.new


def test_a_joined_one_is_opened_before_the_others_are_joined() -> None:
    linux = replace(LINUX, namespaces=(LinuxNamespace(type=NamespaceType.MOUNT),
                                       LinuxNamespace(type=NamespaceType.NETWORK, path="/n"),
                                       LinuxNamespace(type=NamespaceType.USER, path="/u")))
    found = planned(replace(SPEC, linux=linux, hostname=""))
    assert every(OpenUserNamespace, found) == [OpenUserNamespace("/u", member="$.linux.namespaces[2].path")]
    joined = (Joined("network", "/n", "$.linux.namespaces[1].path"),)
    assert every(Enter, found) == [Enter(new=("mount",), joined=joined, user=True)]


def test_what_a_mapped_root_cannot_do_is_done_elsewhere() -> None:
    found = mapped(rlimits=(POSIXRlimit(type="RLIMIT_CORE", soft=1, hard=2),), user=User(uid=1000, gid=1))
    assert not every(BindRoot, found) and not every(BindMount, found) and not every(SetLimit, found)
    assert every(SetLimitOf, found) == [SetLimitOf("RLIMIT_CORE", 1, 2, member="$.process.rlimits[0]")]
    assert every(OwnOutputs, found) == [OwnOutputs(5)] and OwnOutputs(5) in found.leaving
    assert every(DeviceNode, found) == [DeviceNode("/dev/p", "p", 0, 0, member="$.linux.devices[1]")]
    (shelf,) = every(MakeDevices, found)
    attached = every(AttachDevice, found)
    assert [(step.number, step.path) for step in attached] == [
        (shelf.first + number, node.path) for number, node in enumerate(shelf.nodes)]
    owners = {(node.path, node.uid, node.gid) for node in shelf.nodes}
    assert owners >= {("/dev/x", 5, 100000), ("/dev/null", 100000, 100000)}


def test_the_shelf_is_there_before_anything_is_made_on_it() -> None:
    kinds = [type(step) for step in mapped().leaving]
    assert kinds[-3:] == [MakeShelf, MakeDevices, Shelve]
    other = replace(USER, namespaces=(LinuxNamespace(type=NamespaceType.MOUNT, path="/m"),
                                      LinuxNamespace(type=NamespaceType.USER)))
    kinds = [type(step) for step in planned(replace(SPEC, linux=other, hostname="")).leaving]
    assert kinds[-2:] == [MakeShelf, MakeDevices], "a mount namespace that is joined is no copy of it"


def test_what_is_opened_is_attached() -> None:
    found = mapped()
    opened = {step.number: step.bind for step in found.leaving if isinstance(step, OpenSource | OpenRoot)}
    attached = {step.number: step.bind for step in found.inside if isinstance(step, AttachSource | AttachRoot)}
    assert opened == attached and {"/v", "/b/rootfs"} <= {bind.path for bind in opened.values()}
    assert {step.first for step in every(OpenSource, found)} == {("rslave",)}


@pytest.mark.parametrize(("linux", "first"), [(LINUX, ("rshared",)), (USER, ("rslave",))])
def test_shared_mounts_spread_from_a_mapped_root_to_nobody(linux: Any, first: tuple[str, ...]) -> None:
    found = planned(replace(SPEC, linux=replace(linux, rootfs_propagation="rshared"), mounts=(VOLUME,)))
    assert [step.first for step in (*every(OpenRoot, found), *every(OpenSource, found))] == [first, first]


def test_idmapped_mounts() -> None:
    own = Mount(destination="/own", source="/host", options=("bind",), uid_mappings=MAP, gid_mappings=MAP)
    like = Mount(destination="/like", source="/host", options=("rbind", "ridmap"))
    found = planned(replace(SPEC, mounts=(own,)))
    (mapping,) = every(MapIds, found)
    assert mapping.uids == ((0, 100000, 1000), (1000, 5, 1)) and not mapping.recursive and mapping in found.leaving
    assert every(BindRoot, found), "all else is as ever"
    found = planned(replace(SPEC, mounts=(like,), linux=USER))
    assert [step.recursive for step in every(MapIdsLikeContainer, found)] == [True]
    with pytest.raises(InvalidSpec, match=re.escape("needs uidMappings and gidMappings, or a user namespace")):
        planned(replace(SPEC, mounts=(like,)))


@pytest.mark.parametrize(("linux", "kinds"), [(LINUX, (UnmountHost, MoveRoot, ChangeRoot)),
                                              (USER, (CoverHost, ChangeRoot))])
def test_no_pivot(linux: Any, kinds: tuple[type[Step[Any]], ...]) -> None:
    found = plan(replace(SPEC, linux=linux), replace(CONTAINER, pivot=False), MACHINE)
    assert not every(PivotRoot, found)
    assert tuple(type(step) for step in found.inside if step.__class__ in (UnmountHost, CoverHost, MoveRoot, ChangeRoot)
                 ) == kinds


def test_exec_into_a_user_namespace() -> None:
    process = replace(PROCESS, rlimits=(POSIXRlimit(type="RLIMIT_CORE", soft=1, hard=2),), user=User(uid=3))
    found = exec_plan(process, 42, 4711, ("mount", "user"), "/pydocker/c", MACHINE, uids=((0, 100000, 1000),))
    assert found.leaving == (OwnOutputs(100003),) and every(SetLimitOf, found) and not every(SetLimit, found)
    assert not exec_plan(process, 42, 4711, ("mount",), "/pydocker/c", MACHINE).leaving


def test_clocks() -> None:
    linux = replace(LINUX, namespaces=(*LINUX.namespaces, LinuxNamespace(type=NamespaceType.TIME)),
                    time_offsets={"boottime": LinuxTimeOffset(secs=-5, nanosecs=7)})
    (enter,) = every(Enter, planned(replace(SPEC, linux=linux)))
    assert enter.offsets == (("boottime", -5, 7),) and "time" in enter.new
    assert "--boottime -5" in enter.shell() and "boottime -5 s 7 ns" in enter.describe()


def test_ids_outside() -> None:
    map = ((0, 100, 10), (10, 5, 1))
    assert [idmaps.outside(map, id) for id in (0, 9, 10, 11)] == [100, 109, 5, None]
    assert idmaps.parse(b"         0     100000      65536\n  7 8 9\n") == ((0, 100000, 65536), (7, 8, 9))
    assert idmaps.lines(map) == "0 100 10\n10 5 1\n"


def test_every_step_can_be_told() -> None:
    found = mapped()
    for step in found.steps:
        assert step.why and re.search(r"\(\d\)", step.manual) and step.describe() and step.shell()
