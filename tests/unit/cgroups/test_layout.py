"""Which host is this: mountinfo and /proc/self/cgroup as real hosts have them, and where a container's cgroup goes."""

import pytest

from runtime import cgroups
from runtime.cgroups.layout import Layout, layout, mounts
from runtime.errors import InvalidSpec
from runtime.linux.mountinfo import parse

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
V1 = """\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory
34 31 0:31 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd
35 31 0:32 / /dev/cpuset rw - cgroup none rw,cpuset,noprefix
"""
UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
OWN_V1 = "12:cpuset:/\n4:memory:/session/7\n3:cpu,cpuacct:/\n1:name=systemd:/user.slice/x.scope\n"


def read(mountinfo: str, own: str, offered: str = "") -> Layout:
    return layout(mounts(parse(mountinfo)), own, offered.split())


def test_v2():
    host = read(V2, "0::/user.slice/session-1.scope\n", "cpu memory pids")
    assert host.mode == "v2"
    assert host.v2 is not None
    assert host.v2.controllers == ("cpu", "memory", "pids")
    assert host.v2.name == ""
    assert host.v2.directory("/pydocker/1") == "/sys/fs/cgroup/pydocker/1"


def test_v1_with_shared_and_named_hierarchies():
    host = read(V1, OWN_V1)
    assert host.mode == "v1"
    assert {tree.name: tree.mountpoint for tree in host.v1} == {
        "memory": "/sys/fs/cgroup/memory",
        "cpu,cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "name=systemd": "/sys/fs/cgroup/systemd",
    }


def test_a_hierarchy_without_prefixes_or_mounted_nowhere_is_left_out():
    names = [name for tree in read(V1, OWN_V1 + "13:pids:/\n").v1 for name in tree.controllers]
    assert "cpuset" not in names
    assert "pids" not in names


def test_hybrid():
    host = read(V1 + UNIFIED, OWN_V1 + "0::/\n", "hugetlb")
    assert host.mode == "hybrid"
    assert host.v2 is not None
    assert host.v2.directory("/pydocker/1") == "/sys/fs/cgroup/unified/pydocker/1"


def test_no_cgroups_at_all():
    assert read("1 1 0:1 / / rw - ext4 /dev/sda rw\n", OWN_V1).mode == "none"


def test_an_absolute_path_counts_from_the_mount_wherever_this_process_is():
    memory = next(tree for tree in read(V1, OWN_V1).v1 if tree.name == "memory")
    assert memory.own == "/session/7"
    assert memory.directory("/pydocker/1") == "/sys/fs/cgroup/memory/pydocker/1"


def test_a_relative_path_counts_from_this_process():
    memory = next(tree for tree in read(V1, OWN_V1).v1 if tree.name == "memory")
    assert memory.directory("box") == "/sys/fs/cgroup/memory/session/7/box"


@pytest.mark.parametrize("own, expected", [
    ("/user.slice/session-1.scope", "/sys/fs/cgroup/user.slice/box"),
    ("/one.service", "/sys/fs/cgroup/box"),
    ("/", "/sys/fs/cgroup/box"),
])
def test_a_relative_path_in_v2_stands_beside_our_own_cgroup_which_holds_processes(own, expected):
    host = read(V2, f"0::{own}\n")
    assert host.v2 is not None
    assert host.v2.directory("box") == expected


def test_inside_a_container_only_a_part_is_mounted():
    mounted = "33 31 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    host = read(mounted, "4:memory:/docker/abc/x\n")
    assert host.v1[0].own == "/x"
    assert host.v1[0].directory("/pydocker/1") == "/sys/fs/cgroup/memory/pydocker/1"


def test_the_mount_that_shows_most_is_taken():
    host = read("50 31 0:30 /docker/abc /mnt/part rw - cgroup cgroup rw,memory\n" + V1, OWN_V1)
    assert next(tree for tree in host.v1 if tree.name == "memory").mountpoint == "/sys/fs/cgroup/memory"


def test_a_mount_from_outside_of_our_cgroup_namespace_takes_absolute_paths_only():
    host = read("33 31 0:30 /../.. /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "4:memory:/\n")
    assert host.v1[0].directory("/pydocker/1") == "/sys/fs/cgroup/memory/pydocker/1"
    with pytest.raises(InvalidSpec, match="relative, but the own cgroup is outside"):
        host.v1[0].directory("box")


def test_open_bundles_a_branch_of_every_hierarchy():
    host = read(V1 + UNIFIED, OWN_V1 + "0::/\n")
    assert cgroups.open("/pydocker//1/", host).paths == {
        "memory": "/sys/fs/cgroup/memory/pydocker/1",
        "cpu,cpuacct": "/sys/fs/cgroup/cpu,cpuacct/pydocker/1",
        "name=systemd": "/sys/fs/cgroup/systemd/pydocker/1",
        "": "/sys/fs/cgroup/unified/pydocker/1",
    }


@pytest.mark.parametrize("path", ["", "/", "//", ".", "/a/../b", "..", "/a\nb", "/a\0b", "/" + "x" * 256])
def test_a_path_that_is_no_cgroup_of_a_container(path):
    with pytest.raises(InvalidSpec, match="cgroupsPath"):
        cgroups.open(path, read(V2, "0::/\n"))
