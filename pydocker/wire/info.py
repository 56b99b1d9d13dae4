"""The shapes of `GET /version` and `GET /info` (Engine API, SystemVersion, SystemInfo), and the facts in them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydocker.wire.times import rfc3339

# The newest version of the Engine API that is spoken here, and the oldest.
API, OLDEST_API = "1.47", "1.24"

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine, as far as a client may want to know it. `memory` in bytes; `machine` as uname(2) has it."""

    name: str
    kernel: str
    machine: str
    system: str  # os-release(5), PRETTY_NAME
    system_version: str  # os-release(5), VERSION_ID
    cpus: int
    memory: int
    cgroup_version: int
    controllers: frozenset[str]

    @property
    def architecture(self) -> str:
        """Go's word for the machine, which is Docker's and OCI's too: amd64, arm64, …"""
        return ARCHITECTURES.get(self.machine, self.machine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The engine, as far as a client may want to know it."""

    id: str
    version: str
    python: str
    root: str
    running: int = 0
    paused: int = 0
    stopped: int = 0
    images: int = 0
    runtimes: Mapping[str, str] = field(default_factory=dict)  # name -> path
    default_runtime: str = ""
    insecure_registries: tuple[str, ...] = ()
    hub_mirrors: tuple[str, ...] = ()
    security: tuple[str, ...] = ()


def version(host: Host, facts: Facts) -> dict[str, object]:
    """`GET /version`. `GoVersion` has to be there for the clients' templates: it says what really runs this."""
    details = {"ApiVersion": API, "Arch": host.architecture, "Experimental": "false", "GoVersion": facts.python,
               "KernelVersion": host.kernel, "MinAPIVersion": OLDEST_API, "Os": "linux", "GitCommit": "",
               "BuildTime": ""}
    return {
        "Platform": {"Name": "pydocker"},
        "Components": [{"Name": "Engine", "Version": facts.version, "Details": details}],
        "Version": facts.version, "ApiVersion": API, "MinAPIVersion": OLDEST_API, "GitCommit": "",
        "GoVersion": facts.python, "Os": "linux", "Arch": host.architecture, "KernelVersion": host.kernel,
        "BuildTime": "",
    }


def info(host: Host, facts: Facts) -> dict[str, object]:
    """`GET /info`."""
    return {**_engine(facts), **_machine(host), **_registries(facts), **_ABSENT}


def _engine(facts: Facts) -> dict[str, object]:
    return {
        "ID": facts.id, "Containers": facts.running + facts.paused + facts.stopped, "ContainersRunning": facts.running,
        "ContainersPaused": facts.paused, "ContainersStopped": facts.stopped, "Images": facts.images,
        "Driver": "overlay2", "DriverStatus": [["Backing", "overlayfs"]], "DockerRootDir": facts.root,
        "ServerVersion": facts.version, "LoggingDriver": "json-file", "CgroupDriver": "cgroupfs",
        "Runtimes": {name: {"path": path} for name, path in facts.runtimes.items()},
        "DefaultRuntime": facts.default_runtime, "LiveRestoreEnabled": True,
        "SecurityOptions": facts.security, "SystemTime": rfc3339(time.time()),
        "Plugins": {"Volume": ["local"], "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
                    "Authorization": None,
                    "Log": ["journald", "json-file", "local", "none"]},
    }


def _machine(host: Host) -> dict[str, object]:
    has = host.controllers.__contains__
    return {
        "Name": host.name, "KernelVersion": host.kernel, "OperatingSystem": host.system, "OSType": "linux",
        "OSVersion": host.system_version, "Architecture": host.machine, "NCPU": host.cpus, "MemTotal": host.memory,
        "CgroupVersion": str(host.cgroup_version), "MemoryLimit": has("memory"), "SwapLimit": has("memory"),
        "CpuCfsPeriod": has("cpu"), "CpuCfsQuota": has("cpu"), "CPUShares": has("cpu"), "CPUSet": has("cpuset"),
        "PidsLimit": has("pids"), "OomKillDisable": False, "KernelMemoryTCP": False,
    }


def _registries(facts: Facts) -> dict[str, object]:
    insecure = facts.insecure_registries
    indexes = {name: {"Name": name, "Mirrors": [], "Secure": False, "Official": False} for name in insecure}
    official = {"docker.io": {"Name": "docker.io", "Mirrors": facts.hub_mirrors, "Secure": True, "Official": True}}
    return {
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {**official, **indexes},
                           "Mirrors": facts.hub_mirrors},
    }


# What Docker has and this engine has not; the clients print some of it, so it has to be there.
_ABSENT: dict[str, object] = {
    "IPv4Forwarding": True, "BridgeNfIptables": True, "BridgeNfIp6tables": True, "Debug": False, "NFd": 0,
    "NGoroutines": 0, "NEventsListener": 0, "GenericResources": None, "HttpProxy": "", "HttpsProxy": "",
    "NoProxy": "", "Labels": [], "ExperimentalBuild": False, "Isolation": "", "InitBinary": "",
    "ContainerdCommit": {"ID": "", "Expected": ""}, "RuncCommit": {"ID": "", "Expected": ""},
    "InitCommit": {"ID": "", "Expected": ""}, "Warnings": None, "CDISpecDirs": [],
    "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False, "Error": "",
              "RemoteManagers": None},
}
