"""What `spec` writes: runc's starting point, a container whose shell has next to no power; to be edited by hand.

It is kept as the document itself, and not as a Spec, since people read it: members that are at their defaults are said.
"""

from typing import Any

Document = dict[str, Any]

FEW = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")
KERNEL = ("nosuid", "noexec", "nodev")


def starter(version: str) -> Document:
    """The config.json of `spec`."""
    return {
        "ociVersion": version,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {name: [*FEW] for name in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "pydocker",
        "mounts": [
            mount("/proc", "proc", "proc"),
            mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620",
                  "gid=5"),
            mount("/dev/shm", "tmpfs", "shm", *KERNEL, "mode=1777", "size=65536k"),  # noqa: S108
            mount("/dev/mqueue", "mqueue", "mqueue", *KERNEL),
            mount("/sys", "sysfs", "sysfs", *KERNEL, "ro"),
            mount("/sys/fs/cgroup", "cgroup", "cgroup", *KERNEL, "relatime", "ro"),
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
                            "/proc/scsi"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }


def mount(destination: str, kind: str, source: str, *options: str) -> Document:
    found: Document = {"destination": destination, "type": kind, "source": source}
    return {**found, "options": [*options]} if options else found


def rootless(document: Document, uid: int, gid: int) -> Document:
    """For somebody who is not root: a user namespace in which they are, the host's network, and no limits.

    A new network namespace without privileges would have no way out, and sysfs shows the network namespace's owner
    only: so the host's is bound. Who maps only themselves has no group 5 for terminals.
    """
    linux = {name: value for name, value in document["linux"].items() if name != "resources"}
    kept = [one for one in linux["namespaces"] if one["type"] not in ("network", "user")]
    linux |= {"namespaces": [*kept, {"type": "user"}],
              "uidMappings": [{"containerID": 0, "hostID": uid, "size": 1}],
              "gidMappings": [{"containerID": 0, "hostID": gid, "size": 1}]}
    return {**document, "mounts": [unprivileged(one) for one in document["mounts"]], "linux": linux}


def unprivileged(one: Document) -> Document:
    if one["destination"] == "/sys":
        return mount("/sys", "none", "/sys", "rbind", *KERNEL, "ro")
    options = [word for word in one.get("options", ()) if not word.startswith(("gid=", "uid="))]
    return {**one, "options": options} if options else one
