"""Bundles by chance: any features that can be had together, chosen by a number, so that each can be had again."""

import json
import random
import subprocess
from typing import Any

from tests.root.runtime.conftest import Runtime

WORDS = ("nosuid", "nodev", "noexec", "ro", "noatime", "nodiratime", "relatime", "strictatime", "nosymfollow",
         "rnosuid", "rnodev", "rro", "rnoatime")
PROPAGATIONS = ("private", "rprivate", "slave", "rslave", "shared", "rshared")
CAPABILITIES = ("CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
                "CAP_DAC_OVERRIDE", "CAP_SETPCAP", "CAP_MKNOD", "CAP_AUDIT_WRITE")
SYSCTLS = {"net.ipv4.ip_forward": "1", "net.ipv4.ping_group_range": "0 1000", "kernel.msgmax": "9000",
           "kernel.shm_rmid_forced": "1", "net/ipv4/conf/lo/forwarding": "1", "kernel.sem": "100 32000 50 200",
           "fs.mqueue.msg_max": "20", "net.ipv4.ip_local_port_range": "2000 3000"}
PLACES = ("/tmp", "/run", "/mnt/a", "/var/run/b", "/deep/er/c", "/bin/../d", "/file", "/with space", "/etc/link")  # noqa: S108


class Chance:
    """Decides; `mapped` bundles have a user namespace."""

    def __init__(self, number: int) -> None:
        self.random = random.Random(number)
        self.mapped = self.maybe(0.2)

    def maybe(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    def some(self, values: Any, most: int = 3) -> list[Any]:
        values = list(values)
        return self.random.sample(values, self.random.randint(0, min(most, len(values))))

    def one(self, values: Any) -> Any:
        return self.random.choice(list(values))


def change(runtime: Runtime, number: int) -> None:
    """Let the bundle be that of the number. What the program prints is the caller's."""
    chance = Chance(number)
    document = json.loads((runtime.bundle / "config.json").read_text())
    (runtime.rootfs / "var").mkdir(exist_ok=True)
    (runtime.rootfs / "etc/link").symlink_to("../far")
    if not (runtime.rootfs / "var/run").is_symlink():
        (runtime.rootfs / "var/run").symlink_to("/run")
    shared = runtime.directory / "private/shared dir"
    (shared / "below").mkdir(parents=True)
    (shared / "file").write_text("here")
    shared.chmod(0o777)
    shared.parent.chmod(0o700)  # whoever is not the host's root gets there by the mount alone
    kinds = [one["type"] for one in document["linux"]["namespaces"]]
    kinds = [kind for kind in kinds if kind in ("mount", "pid") or chance.maybe(0.8)]
    if chance.mapped:
        map_ids(runtime, document)
        # Who has no right to the host's may not mount what shows them.
        kinds = ["user", "mount", "pid", "network", "ipc", *(kind for kind in kinds if kind in ("uts", "cgroup"))]
    elif chance.maybe(0.2):
        kinds.append("time")
        document["linux"]["timeOffsets"] = {"monotonic": {"secs": 86400, "nanosecs": 0}}
    document["linux"]["namespaces"] = [{"type": kind} for kind in kinds]
    document["mounts"] += mounts(chance, shared, kinds)
    names(chance, document, kinds)
    confinement(chance, document)
    resources(chance, document)
    (runtime.bundle / "config.json").write_text(json.dumps(document))


def map_ids(runtime: Runtime, document: dict[str, Any]) -> None:
    for directory in (runtime.directory.parent, runtime.directory, runtime.bundle):
        directory.chmod(0o711)
    subprocess.run(["chown", "-R", "100000:100000", runtime.rootfs], check=True)
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    document["linux"] |= {"uidMappings": maps, "gidMappings": maps}


def mounts(chance: Chance, shared: Any, kinds: list[str]) -> list[dict[str, Any]]:
    found = []
    for place in sorted(chance.some(PLACES, 5), key=PLACES.index):
        if place == "/file":
            source, options = str(shared / "file"), ["bind"]
        elif chance.maybe():
            source, options = str(shared), [chance.one(("bind", "rbind"))]
        else:
            size = [*chance.some(("size=1m", "nr_inodes=100", "uid=0"), 2), *chance.some(("mode=1770", "tmpcopyup"), 1)]
            found.append({"destination": place, "type": "tmpfs", "source": chance.one(("tmpfs", "a name")),
                          "options": [*size, *chance.some(WORDS[:8]), *chance.some(PROPAGATIONS, 1)]})
            continue
        found.append({"destination": place, "type": "bind", "source": source,
                      "options": [*options, *chance.some(WORDS), *chance.some(PROPAGATIONS, 1)]})
    return found


def names(chance: Chance, document: dict[str, Any], kinds: list[str]) -> None:
    document["hostname"] = chance.one(("web", "a-b.c", "")) if "uts" in kinds else ""
    if "uts" in kinds and chance.maybe(0.3):
        document["domainname"] = "example.org"
    own = [key for key in SYSCTLS if ("network" if key.startswith("net") else "ipc") in kinds]
    if not chance.mapped:
        document["linux"]["sysctl"] = {key: SYSCTLS[key] for key in chance.some(own)}
    if chance.maybe(0.3):
        document["linux"]["rootfsPropagation"] = chance.one(PROPAGATIONS[2:4] if chance.mapped else PROPAGATIONS)
    document["root"]["readonly"] = chance.maybe(0.3)
    linux = document["linux"]
    linux["maskedPaths"] = chance.some([*linux.get("maskedPaths", []), "/etc/passwd", "/nosuch", "/run"], 5)
    linux["readonlyPaths"] = chance.some([*linux.get("readonlyPaths", []), "/etc", "/nosuch", "/bin"], 5)
    if chance.maybe(0.3):
        linux["devices"] = [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o600},
                            {"path": "/dev/sub dir/pipe", "type": "p", "uid": 5, "gid": 7}][:chance.one((1, 2))]


def confinement(chance: Chance, document: dict[str, Any]) -> None:
    process = document["process"]
    if chance.maybe(0.4):
        process["user"] = {"uid": chance.one((0, 5, 1000)), "gid": chance.one((0, 1000)),
                           "additionalGids": chance.some((1, 7, 1000, 20000))}
    if chance.maybe(0.2):
        process["user"] = {**process.get("user", {"uid": 0, "gid": 0}), "umask": 0o27}
    if chance.maybe(0.3):
        process["noNewPrivileges"] = True
    elif chance.maybe(0.6):  # both for root: a script has no word for it, and says so
        permitted = chance.some(CAPABILITIES, 8)
        inheritable = chance.some(permitted, 4)
        process["capabilities"] = {"bounding": [*permitted, *chance.some(CAPABILITIES)], "permitted": permitted,
                                   "effective": chance.some(permitted, 8), "inheritable": inheritable,
                                   "ambient": chance.some(inheritable)}
    if chance.maybe(0.3):
        process["rlimits"] = [{"type": kind, "soft": 100, "hard": 1000}
                              for kind in chance.some(("RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_MSGQUEUE"))]
    if chance.maybe(0.3):
        process["oomScoreAdj"] = chance.one((500, 1000))
    if chance.maybe(0.2):
        process["ioPriority"] = {"class": chance.one(("IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE")), "priority": 7}
    if chance.maybe(0.2):
        process["scheduler"] = {"policy": chance.one(("SCHED_BATCH", "SCHED_OTHER")), "nice": 5}
    if chance.maybe(0.2):
        document["linux"]["personality"] = {"domain": "LINUX"}
    process["env"] += chance.some(("A=b c", "Q='\"$x`", "HOME=/elsewhere", "EMPTY=", "U=\u00fc", "A=twice"), 4)
    process["cwd"] = chance.one(("/", "/run", "/new/dir", "/mnt/a", "/bin/.."))


def resources(chance: Chance, document: dict[str, Any]) -> None:
    found: dict[str, Any] = {"pids": {"limit": chance.one((64, 100, -1))}}
    if chance.maybe():
        found["memory"] = {"limit": 64 << 20, **chance.one(({}, {"reservation": 32 << 20}, {"swappiness": 10}))}
    if chance.maybe():
        found["cpu"] = chance.one(({"shares": 300}, {"quota": 50000, "period": 100000}, {"cpus": "0"},
                                   {"shares": 2, "quota": -1}, {"idle": 0}))
    if chance.maybe(0.3):
        found["blockIO"] = {"weight": 100}
    if chance.maybe(0.4):
        found["devices"] = [{"allow": False, "access": "rwm"},
                            *({"allow": True, "type": "c", "major": 10, "minor": minor, "access": "rw"}
                              for minor in chance.some((200, 229)))]
    document["linux"]["resources"] = found
