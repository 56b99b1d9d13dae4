"""Who owns a container's cgroup: its user, where the container may write to it."""

from typing import Any

import msgspec
import pytest

from runtime.rootfs.cgroupfs import owner
from runtime.spec import Spec

MAP = [{"containerID": 0, "hostID": 100000, "size": 10}]
WRITABLE = {"destination": "/sys/fs/cgroup", "type": "cgroup2", "source": "cgroup", "options": ["nosuid"]}
READ_ONLY = {**WRITABLE, "options": ["nosuid", "ro"]}


def spec(uid: int, mount: dict[str, Any], maps: list[dict[str, int]], *kinds: str) -> Spec:
    return msgspec.convert({
        "ociVersion": "1.2.0", "root": {"path": "r"}, "mounts": [mount],
        "process": {"cwd": "/", "args": ["sh"], "user": {"uid": uid, "gid": 0}},
        "linux": {"namespaces": [{"type": kind} for kind in kinds], "uidMappings": maps}}, Spec)


@pytest.mark.parametrize("uid, mount, maps, kinds, expected", [
    (0, WRITABLE, MAP, ("user", "cgroup"), 100000),
    (3, WRITABLE, MAP, ("user", "cgroup"), 100003),
    (11, WRITABLE, MAP, ("user", "cgroup"), 0),
    (1000, WRITABLE, [], ("cgroup",), 1000),
    (0, WRITABLE, [], ("cgroup",), 0),
    (3, READ_ONLY, MAP, ("user", "cgroup"), 0),
    (3, WRITABLE, MAP, ("user",), 0),
])
def test_the_owner(uid, mount, maps, kinds, expected):
    assert owner(spec(uid, mount, maps, *kinds)) == expected
