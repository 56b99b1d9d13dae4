"""The plan, as data: which steps, with what, and what stands before what."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from runtime.cgroups import Hierarchy, Layout
from runtime.checks import check
from runtime.errors import InvalidSpec
from runtime.explain import FORMATS
from runtime.joining import exec_plan
from runtime.linux import mounts as m
from runtime.machine import Machine
from runtime.plan import Container, Plan, plan
from runtime.process.entrance import Clone, Enter, EnterCgroup
from runtime.process.identity import BecomeUser, DropBounding, NoNewPrivileges, SetCapabilities
from runtime.process.joined import Joined
from runtime.process.joining import Join
from runtime.process.limits import SetLimit, SetOomScore
from runtime.process.names import Hostname, LoopbackUp, NewCgroupNamespace, Sysctl
from runtime.process.program import Execute, FindHome, FindProgram, WaitForGo, WaitForStart, WorkingDirectory
from runtime.process.terminal import OpenTerminal, UseTerminal
from runtime.rootfs.devices import BindConsole, DeviceNode
from runtime.rootfs.masks import MaskPath, ReadonlyPath
from runtime.rootfs.mounts import BindMount, NewFilesystem
from runtime.rootfs.root import BindRoot, PivotRoot, Propagation, SetAttributes
from runtime.spec import (
    Linux,
    LinuxBlockIO,
    LinuxCapabilities,
    LinuxDevice,
    LinuxIDMapping,
    LinuxMemory,
    LinuxNamespace,
    LinuxResources,
    LinuxTimeOffset,
    LinuxWeightDevice,
    Mount,
    NamespaceType,
    POSIXRlimit,
    Process,
    Root,
    Spec,
    User,
)
from runtime.spec.defaults import (
    DEFAULT_CAPABILITIES,
    DEFAULT_PATH,
    MASKED_PATHS,
    READONLY_PATHS,
    default_mounts,
    default_namespaces,
)
from runtime.step import Step

V2 = Layout(v2=Hierarchy(2, "/sys/fs/cgroup", ("cpu", "memory", "pids")))
V1 = Layout(v1=(Hierarchy(1, "/sys/fs/cgroup/memory", ("memory",)),
                Hierarchy(1, "/sys/fs/cgroup/cpu,cpuacct", ("cpu", "cpuacct")),
                Hierarchy(1, "/sys/fs/cgroup/devices", ("devices",)),
                Hierarchy(1, "/sys/fs/cgroup/systemd", ("name=systemd",))))
MACHINE = Machine(cgroups=V2, capabilities=(1 << 41) - 1, last=40)
CONTAINER = Container(id="c", rootfs="/b/rootfs", bundle="/b", fifo="/run/c/exec.fifo", cgroup_path="/pydocker/c")
SETS = LinuxCapabilities(bounding=DEFAULT_CAPABILITIES, effective=DEFAULT_CAPABILITIES, permitted=DEFAULT_CAPABILITIES)
PROCESS = Process(cwd="/", args=("sh",), env=(DEFAULT_PATH,), capabilities=SETS)
LINUX = Linux(namespaces=default_namespaces(), masked_paths=MASKED_PATHS, readonly_paths=READONLY_PATHS,
              resources=LinuxResources())
SPEC = Spec(oci_version="1.2.0", hostname="web", root=Root(path="rootfs"), mounts=default_mounts(), process=PROCESS,
            linux=LINUX)


def planned(spec: Spec = SPEC, machine: Machine = MACHINE) -> Plan:
    check(spec, machine)
    return plan(spec, CONTAINER, machine)


def of(kind: type[Any], steps: tuple[Step[Any], ...]) -> list[Any]:
    return [step for step in steps if isinstance(step, kind)]


def names(found: Plan) -> list[str]:
    return [type(step).__name__ for step in found.inside]


def test_the_order_of_the_whole() -> None:
    """Each of these has to come before the next, for the reason that its `why` gives."""
    order = ["NewSession", "LoopbackUp", "Propagation", "BindRoot", "NewFilesystem", "DeviceNode",
             "ReadonlyPath", "MaskPath", "PivotRoot", "Hostname", "WorkingDirectory", "DropBounding", "BecomeUser",
             "SetCapabilities", "FindProgram", "WaitForStart", "Execute"]
    found = names(planned())
    assert [found.index(name) for name in order] == sorted(found.index(name) for name in order)
    assert found[-1] == "Execute" and found.count("Execute") == 1


def test_the_outer_half_makes_the_cgroup_before_the_process() -> None:
    outside = planned().outside
    assert isinstance(outside[-1], Clone) and isinstance(planned().leaving[0], EnterCgroup)
    assert type(outside[0]).__name__ == "MakeCgroup"
    assert outside[-1].new == ("mount", "network", "uts", "pid", "ipc", "cgroup")


def test_plans_are_values() -> None:
    assert planned() == planned()
    assert planned() != planned(replace(SPEC, hostname="other"))


@pytest.mark.parametrize(("without", "step"), [
    (NamespaceType.NETWORK, LoopbackUp), (NamespaceType.CGROUP, NewCgroupNamespace)])
def test_what_a_shared_namespace_does_not_need(without: NamespaceType, step: type[Step[Any]]) -> None:
    linux = replace(LINUX, namespaces=tuple(one for one in LINUX.namespaces if one.type is not without))
    assert of(step, planned().inside) and not of(step, planned(replace(SPEC, linux=linux)).inside)


def test_joined_namespaces_come_by_path() -> None:
    linux = replace(LINUX, namespaces=(LinuxNamespace(type=NamespaceType.MOUNT),
                                       LinuxNamespace(type=NamespaceType.NETWORK, path="/run/netns/x")))
    found = planned(replace(SPEC, linux=linux, hostname=""))
    (enter,) = of(Enter, found.outside)
    joined = (Joined("network", "/run/netns/x", "$.linux.namespaces[1].path"),)
    assert enter == Clone(new=("mount",), joined=joined, cgroup=enter.cgroup)
    assert not of(LoopbackUp, found.inside)


def test_the_cgroup_namespace_begins_before_cgroups_are_mounted() -> None:
    found = names(planned())
    mounts = [step.path for step in planned().inside if isinstance(step, NewFilesystem)]
    assert mounts == ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"]  # noqa: S108
    at = found.index("NewCgroupNamespace")
    following = planned().inside[at + 1]
    assert isinstance(following, NewFilesystem) and following.fstype == "cgroup2"


def test_cgroups_of_version_1_are_one_mount_each() -> None:
    found = planned(machine=replace(MACHINE, cgroups=V1)).inside
    below = {step.path: (step.fstype, step.data) for step in of(NewFilesystem, found) if "cgroup" in step.path}
    assert below == {
        "/sys/fs/cgroup": ("tmpfs", (("mode", "755"),)),
        "/sys/fs/cgroup/memory": ("cgroup", (("memory", None),)),
        "/sys/fs/cgroup/cpu,cpuacct": ("cgroup", (("cpu", None), ("cpuacct", None))),
        "/sys/fs/cgroup/devices": ("cgroup", (("devices", None),)),
        "/sys/fs/cgroup/systemd": ("cgroup", (("none", None), ("name", "systemd"))),
    }
    assert "link /sys/fs/cgroup/cpu to cpu,cpuacct" in [step.describe() for step in found]
    assert [step.path for step in of(SetAttributes, found)] == ["/sys/fs/cgroup"]


def test_without_a_cgroup_namespace_the_hosts_directories_are_bound() -> None:
    linux = replace(LINUX, namespaces=tuple(one for one in LINUX.namespaces if one.type is not NamespaceType.CGROUP))
    (bound,) = of(BindMount, planned(replace(SPEC, linux=linux)).inside)
    assert (bound.source, bound.path) == ("/sys/fs/cgroup", "/sys/fs/cgroup")  # as by runc: the whole tree of v2
    assert bound.attributes.set & m.MOUNT_ATTR_RDONLY
    first, *_ = of(BindMount, planned(replace(SPEC, linux=linux), replace(MACHINE, cgroups=V1)).inside)
    assert (first.source, first.path) == ("/sys/fs/cgroup/memory/pydocker/c", "/sys/fs/cgroup/memory")


def test_mount_options_become_attributes_and_data() -> None:
    proc, dev, *_ = of(NewFilesystem, planned().inside)
    assert proc.attributes.set == m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_NOEXEC | m.MOUNT_ATTR_NODEV and proc.data == ()
    assert dev.data == (("mode", "755"), ("size", "65536k"))
    assert dev.attributes.set == m.MOUNT_ATTR_NOSUID | m.MOUNT_ATTR_STRICTATIME


@pytest.mark.parametrize(("options", "expected"), [
    (("rbind", "ro"), {"recursive": True, "set": m.MOUNT_ATTR_RDONLY, "below": 0, "propagation": ()}),
    (("bind", "rro", "rshared"), {"recursive": False, "set": 0, "below": m.MOUNT_ATTR_RDONLY,
                                  "propagation": ("rshared",)}),
    (("bind", "ro", "rw"), {"recursive": False, "set": 0, "below": 0, "propagation": ()}),
    (("bind", "noatime", "nosuid"), {"recursive": False, "set": m.MOUNT_ATTR_NOATIME | m.MOUNT_ATTR_NOSUID, "below": 0,
                                     "propagation": ()}),
])
def test_bind_mounts(options: tuple[str, ...], expected: dict[str, Any]) -> None:
    spec = replace(SPEC, mounts=(Mount(destination="data/x/..", source="vol", options=options),))
    (bound,) = of(BindMount, planned(spec).inside)
    assert (bound.source, bound.path) == ("/b/vol", "/data")
    assert {"recursive": bound.recursive, "set": bound.attributes.set, "below": bound.below.set,
            "propagation": bound.propagation} == expected


def test_a_read_only_tmpfs_becomes_so_at_the_end() -> None:
    spec = replace(SPEC, mounts=(Mount(destination="/x", type="tmpfs", options=("ro",)),
                                 Mount(destination="/x/y", type="tmpfs")))
    found = [step.describe() for step in planned(spec).inside]
    like = ", with the mode of the directory there"
    assert found.index(f"mount tmpfs on /x{like}") < found.index(f"mount tmpfs on /x/y{like}")
    assert found.index(f"mount tmpfs on /x/y{like}") < found.index("remount /x ro")


def test_a_brought_dev_is_left_as_it_is() -> None:
    spec = replace(SPEC, mounts=(Mount(destination="/dev", type="bind", source="/dev", options=("rbind",)),))
    assert of(DeviceNode, planned().inside) and not of(DeviceNode, planned(spec).inside)


def test_a_terminal() -> None:
    found = planned(replace(SPEC, process=replace(PROCESS, terminal=True))).inside
    kinds = [type(step) for step in found]
    assert kinds.index(OpenTerminal) < kinds.index(BindConsole) < kinds.index(UseTerminal) < kinds.index(PivotRoot)
    assert not of(OpenTerminal, planned().inside)


def test_paths_are_protected_before_they_are_masked_and_before_the_pivot() -> None:
    found = planned().inside
    assert [step.path for step in of(ReadonlyPath, found)] == [*READONLY_PATHS]
    assert [step.path for step in of(MaskPath, found)] == [*MASKED_PATHS]


def test_capabilities_and_user() -> None:
    found = planned(replace(SPEC, process=replace(PROCESS, user=User(uid=7, gid=8, additional_gids=(9,)),
                                                  no_new_privileges=True))).inside
    (bounding,) = of(DropBounding, found)
    assert len(bounding.dropped) == 41 - len(DEFAULT_CAPABILITIES)
    assert of(BecomeUser, found) == [BecomeUser(7, 8, (9,))]
    assert of(SetCapabilities, found) == [SetCapabilities(DEFAULT_CAPABILITIES, DEFAULT_CAPABILITIES)]
    assert of(NoNewPrivileges, found)


def test_no_capabilities_object_means_none() -> None:
    found = planned(replace(SPEC, process=replace(PROCESS, capabilities=None))).inside
    assert len(of(DropBounding, found)[0].dropped) == 41
    assert of(SetCapabilities, found) == [SetCapabilities((), ())]


def test_home_is_looked_up_only_where_it_is_missing() -> None:
    assert of(FindHome, planned().inside)
    with_home = replace(SPEC, process=replace(PROCESS, env=("HOME=/x",)))
    assert not of(FindHome, planned(with_home).inside)
    assert of(FindProgram, planned(with_home).inside) == [FindProgram("sh", "")]


@pytest.mark.parametrize(("asked", "first"), [("", "rslave"), ("rshared", "rshared"), ("private", "private"),
                                              ("unbindable", "rslave")])
def test_propagation(asked: str, first: str) -> None:
    found = planned(replace(SPEC, linux=replace(LINUX, rootfs_propagation=asked))).inside
    assert of(Propagation, found) == [Propagation(first)]
    assert bool(asked) == any(type(step).__name__ == "RootPropagation" for step in found)


def test_limits_and_sysctls() -> None:
    process = replace(PROCESS, oom_score_adj=5, rlimits=(POSIXRlimit(type="RLIMIT_NOFILE", soft=1, hard=2),))
    linux = replace(LINUX, sysctl={"net.ipv4.conf.eth0/1.forwarding": "1"})
    found = planned(replace(SPEC, process=process, linux=linux))
    assert of(SetOomScore, found.outside) == [SetOomScore(5, member="$.process.oomScoreAdj")]
    assert of(SetLimit, found.inside) == [SetLimit("RLIMIT_NOFILE", 1, 2, member="$.process.rlimits[0]")]
    (sysctl,) = of(Sysctl, found.inside)
    assert sysctl.path() == "/proc/sys/net/ipv4/conf/eth0.1/forwarding"
    assert Sysctl("net/ipv4/conf/eth0.1/forwarding", "1").path() == sysctl.path()


def test_exec_enters_instead_of_making() -> None:
    found = exec_plan(PROCESS, 42, 4711, ("mount", "pid"), "/pydocker/c", MACHINE)
    assert isinstance(found.outside[0], Join) and found.outside[0] == Join(42, 4711, ("mount", "pid"))
    kinds = {type(step) for step in found.inside}
    assert {BecomeUser, SetCapabilities, WorkingDirectory, WaitForGo, Execute} <= kinds
    assert not {BindRoot, PivotRoot, Hostname, WaitForStart, NewFilesystem} & kinds


def device(**fields: Any) -> Linux:
    """With two devices, of which the second is as told."""
    fine = LinuxDevice(path="/dev/fuse", type="c", major=10, minor=229)
    return replace(LINUX, devices=(fine, replace(fine, **fields)))


def rows(*map: tuple[int, int, int]) -> tuple[LinuxIDMapping, ...]:
    return tuple(LinuxIDMapping(container_id=inside, host_id=outside, size=size) for inside, outside, size in map)


def mapping(*map: tuple[int, int, int]) -> Linux:
    """With a user namespace, whose users are mapped like that."""
    return replace(LINUX, namespaces=(*LINUX.namespaces, LinuxNamespace(type=NamespaceType.USER)),
                   uid_mappings=rows(*map), gid_mappings=rows((0, 1000, 10)))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"process": None}, "`$.process`"),
    ({"process": replace(PROCESS, args=())}, "`$.process.args`"),
    ({"process": replace(PROCESS, env=("A",))}, "`$.process.env[0]`"),
    ({"process": replace(PROCESS, env=("A=b", "=x"))}, "`$.process.env[1]`"),
    ({"process": replace(PROCESS, rlimits=(POSIXRlimit(type="RLIMIT_X", soft=1, hard=1),))}, "unknown limit"),
    ({"process": replace(PROCESS, rlimits=(POSIXRlimit(type="RLIMIT_CORE", soft=2, hard=1),))}, "above the hard limit"),
    ({"process": replace(PROCESS, capabilities=LinuxCapabilities(bounding=("CAP_X",)))}, "unknown capability 'CAP_X'"),
    ({"process": replace(PROCESS, capabilities=LinuxCapabilities(effective=("CAP_KILL",)))}, "CAP_KILL"),
    ({"process": replace(PROCESS, apparmor_profile="x")}, "`$.process.apparmorProfile`"),
    ({"process": replace(PROCESS, oom_score_adj=1001)}, "`$.process.oomScoreAdj`"),
    ({"root": None}, "`$.root`"),
    ({"linux": None}, "`$.linux`"),
    ({"linux": replace(LINUX, namespaces=())}, "`$.linux.namespaces`"),
    ({"linux": replace(LINUX, namespaces=(*LINUX.namespaces, LINUX.namespaces[0]))}, "duplicated ns"),
    ({"linux": replace(LINUX, sysctl={"kernel.core_pattern": "x"})}, "not in a separate kernel namespace"),
    ({"linux": replace(LINUX, sysctl={"kernel.shm_rmid_forced": "1\n"})}, "malformed"),
    ({"linux": replace(LINUX, rootfs_propagation="odd")}, "`$.linux.rootfsPropagation`"),
    ({"linux": replace(LINUX, mount_label="x")}, "`$.linux.mountLabel`"),
    ({"linux": replace(LINUX, resources=LinuxResources(memory=LinuxMemory(limit=4096)))},
     "unable to set memory limit to 4096: a container needs at least "),
    ({"linux": replace(LINUX, resources=LinuxResources(unified={"memory.max": "4096\n"}))},
     "`$.linux.resources.unified['memory.max']`"),
    ({"linux": replace(LINUX, resources=LinuxResources(block_io=LinuxBlockIO(weight=5)))},
     "$.linux.resources.blockIO.weight: 5"),
    ({"linux": replace(LINUX, resources=LinuxResources(block_io=LinuxBlockIO(weight_device=(
        LinuxWeightDevice(major=8, minor=0, weight=10), LinuxWeightDevice(major=8, minor=1, leaf_weight=1001)))))},
     "$.linux.resources.blockIO.weightDevice[1].leafWeight: 1001"),
    ({"oci_version": "2.0.0"}, "`$.ociVersion`"),
    ({"oci_version": "1.2"}, "`$.ociVersion`"),
    ({"oci_version": "1.2.0x"}, "`$.ociVersion`"),
    ({"oci_version": "1.2.0\n"}, "`$.ociVersion`"),
    ({"process": replace(PROCESS, user=User(additional_gids=(5,) * 65537))}, "`$.process.user.additionalGids`"),
    ({"linux": device(major=-1)}, "`$.linux.devices[1].major`"),
    ({"linux": device(major=2**12)}, "`$.linux.devices[1].major`"),
    ({"linux": device(minor=2**20)}, "`$.linux.devices[1].minor`"),
    ({"linux": device(type="a")}, "`$.linux.devices[1].type`"),
    ({"linux": device(path="/dev/")}, "`$.linux.devices[1].path`"),
    ({"linux": mapping((0, 1000, 10), (5, 2000, 10))}, "`$.linux.uidMappings[1]`"),
    ({"linux": mapping((0, 1000, 10), (10, 1009, 10))}, "`$.linux.uidMappings[1]`"),
    ({"linux": mapping(*((number, number, 1) for number in range(341)))}, "`$.linux.uidMappings`"),
    ({"linux": replace(LINUX, namespaces=(*LINUX.namespaces, LinuxNamespace(type=NamespaceType.TIME)),
                       time_offsets={"monotonic": LinuxTimeOffset(secs=2**62)})},
     "`$.linux.timeOffsets['monotonic'].secs`"),
    ({"annotations": {"": "x"}}, "`$.annotations`"),
    ({"hostname": "a" * 65}, "`$.hostname`"),
    ({"mounts": (Mount(destination="/x"),)}, "`$.mounts[0].type`"),
    ({"mounts": (Mount(destination="", type="tmpfs"),)}, "`$.mounts[0].destination`"),
    ({"mounts": (Mount(destination="/x/..", type="tmpfs"),)}, "`$.mounts[0].destination`"),
    ({"mounts": (Mount(destination="/x", type="bind"),)}, "`$.mounts[0].source`"),
    ({"mounts": (Mount(destination="/x", source="/y", options=("bind", "idmap"), uid_mappings=rows((0, 0, 0)),
                       gid_mappings=rows((0, 0, 1))),)}, "`$.mounts[0].uidMappings[0].size`"),
    ({"mounts": (Mount(destination="/x/../proc/y", source="/x", options=("bind",)),)},
     "cannot be mounted because it is inside /proc - at `$.mounts[0].destination`"),
    ({"mounts": (Mount(destination="/proc", source="/x", options=("bind",)),)}, "cannot be mounted on /proc"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_what_makes_no_sense_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpec, match=re.escape(words)):
        planned(replace(SPEC, **change))


def test_a_capability_that_root_itself_lacks() -> None:
    lacking = replace(MACHINE, capabilities=MACHINE.capabilities & ~1)
    with pytest.raises(InvalidSpec, match="CAP_CHOWN: operation not permitted"):
        planned(machine=lacking)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("layout", [V1, V2])
def test_every_step_can_be_told(format: str, layout: Layout) -> None:
    found = planned(replace(SPEC, process=replace(PROCESS, terminal=True, no_new_privileges=True)),
                    replace(MACHINE, cgroups=layout))
    text = FORMATS[format](found)
    assert "pivot_root" in text and "hostname" in text and "web" in text
    for step in found.steps:
        assert step.why and re.search(r"\(\d\)", step.manual) and step.describe() and step.shell()
        assert step.describe() in " ".join(text.replace("\n# ", " ").split()) or format == "json"
