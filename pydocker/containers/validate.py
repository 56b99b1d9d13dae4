"""What cannot be right in a create request, as a table: a test, and Docker's words for it.

Source of rules and words: moby daemon/daemon_unix.go (verifyPlatformContainerResources), daemon/container.go.
"""

import os
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from pydocker.containers import logsettings, security, signals
from pydocker.errors import InvalidParameter, NotSupported
from pydocker.model.container import Config, HostConfig

LEAST_MEMORY = 6 << 20
_HOSTNAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*", re.ASCII)
_CPUS = re.compile(r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*", re.ASCII)
_CGROUP = re.compile(r"/?[a-zA-Z0-9_.:-]+(/[a-zA-Z0-9_.:-]+)*", re.ASCII)
ULIMITS = ("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
           "rtprio", "rttime", "sigpending", "stack")
NETWORKS = ("none", "host")

_RESOURCES: tuple[tuple[Callable[[HostConfig], bool], str], ...] = (
    (lambda it: 0 < it.memory < LEAST_MEMORY, "Minimum memory limit allowed is 6MB"),
    (lambda it: it.memory < 0 or it.memory_reservation < 0 or it.shm_size < 0, "memory sizes must not be negative"),
    (lambda it: it.memory > 0 and 0 < it.memory_swap < it.memory,
     "Minimum memoryswap limit should be larger than memory limit, see usage"),
    (lambda it: it.memory == 0 and it.memory_swap > 0,
     "You should always set the Memory limit when using Memoryswap limit, see usage"),
    (lambda it: 0 < it.memory_reservation < LEAST_MEMORY, "Minimum memory reservation allowed is 6MB"),
    (lambda it: 0 < it.memory < it.memory_reservation,
     "Minimum memory limit can not be less than memory reservation limit, see usage"),
    (lambda it: it.nano_cpus > 0 and it.cpu_period > 0,
     "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
    (lambda it: it.nano_cpus > 0 and it.cpu_quota > 0,
     "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
    (lambda it: it.nano_cpus < 0 or it.nano_cpus > _processors() * 10**9,
     "Range of CPUs is from 0.01 to {processors}.00, as there are only {processors} CPUs available"),
    (lambda it: it.cpu_shares < 0, "invalid CPU shares ({it.cpu_shares}): value must be a positive integer"),
    (lambda it: it.cpu_period != 0 and not 1000 <= it.cpu_period <= 1_000_000,
     "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"),
    (lambda it: 0 < it.cpu_quota < 1000, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    (lambda it: bool(it.cpuset_cpus) and not _CPUS.fullmatch(it.cpuset_cpus),
     "Invalid value {it.cpuset_cpus} for cpuset cpus"),
    (lambda it: bool(it.cpuset_mems) and not _CPUS.fullmatch(it.cpuset_mems),
     "Invalid value {it.cpuset_mems} for cpuset mems"),
    (lambda it: bool(it.cpuset_cpus) and not within(it.cpuset_cpus, _online("cpu")),
     "Requested CPUs are not available - requested {it.cpuset_cpus}, available: {cpus}"),
    (lambda it: bool(it.cpuset_mems) and not within(it.cpuset_mems, _online("node")),
     "Requested memory nodes are not available - requested {it.cpuset_mems}, available: {nodes}"),
    (lambda it: not -1000 <= it.oom_score_adj <= 1000,
     "Invalid value {it.oom_score_adj}, range for oom score adj is [-1000, 1000]"),
    (lambda it: ".." in it.cgroup_parent or (bool(it.cgroup_parent) and not _CGROUP.fullmatch(it.cgroup_parent)),
     "invalid cgroup parent: {it.cgroup_parent}"),
)


def check(config: Config, host: HostConfig) -> None:
    """Raises InvalidParameter, NotSupported: of a request as it came, and of what the image adds."""
    for wrong, words in _RESOURCES:
        if wrong(host):
            raise InvalidParameter(words.format(it=host, processors=_processors(), cpus=_online("cpu"),
                                                nodes=_online("node")))
    _check_ulimits(host)
    _check_names(config, host)
    _check_environment(config)
    _check_words(config)
    if config.working_dir and not posixpath.isabs(config.working_dir):
        raise InvalidParameter(f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute "
                               "path")
    if config.stop_signal:
        signals.number(config.stop_signal)
    logsettings.settings(host.log_config, Path("/"), "")
    security.capabilities(host.cap_add or (), host.cap_drop or ())
    security.parse(host.security_opt or ())
    security.check_sysctls(host.sysctls or {}, host_network=host.network_mode == "host")


def _check_ulimits(host: HostConfig) -> None:
    for limit in host.ulimits or ():
        if limit.name not in ULIMITS:
            raise InvalidParameter(f"invalid ulimit type: {limit.name}")
        if limit.hard != -1 and (limit.soft > limit.hard or limit.soft == -1):
            raise InvalidParameter("ulimit soft limit must be less than or equal to hard limit: "
                                   f"{limit.soft} > {limit.hard}")


def _check_names(config: Config, host: HostConfig) -> None:
    if config.hostname and (len(config.hostname) > 63 or not _HOSTNAME.fullmatch(config.hostname)):
        raise InvalidParameter(f"invalid hostname format: {config.hostname}")
    if host.network_mode not in NETWORKS:
        raise NotSupported(f'network mode "{host.network_mode}" is not supported yet: use none or host')


def _check_environment(config: Config) -> None:
    for entry in config.env:
        name = entry.partition("=")[0]
        if not name or "\0" in entry:
            raise InvalidParameter(f"invalid environment variable: {entry[:100]!r}")


def _check_words(config: Config) -> None:
    """A request with a NUL is refused before it comes here, but the image's presets were not in it."""
    for field, words in (("Entrypoint", config.entrypoint or ()), ("Cmd", config.cmd or ()),
                         ("WorkingDir", (config.working_dir,)), ("User", (config.user,))):
        if any("\0" in word for word in words):
            raise InvalidParameter(f"invalid {field}: it holds a NUL byte")


def within(asked: str, online: str) -> bool:
    """Whether a list such as `0-1,4` names only what another one holds."""
    there = _ranges(online)
    return all(any(first <= low <= high <= last for first, last in there) for low, high in _ranges(asked))


def _ranges(numbers: str) -> list[tuple[int, int]]:
    ends = [part.partition("-") for part in numbers.split(",")]
    return [(int(low), int(high or low)) for low, _, high in ends]


def _online(kind: str) -> str:
    """The processors (`cpu`) or memory nodes (`node`: none are told of by a kernel without NUMA) that there are."""
    try:
        return Path(f"/sys/devices/system/{kind}/online").read_text().strip()
    except FileNotFoundError:
        return "0" if kind == "node" else f"0-{_processors() - 1}"


def _processors() -> int:
    return os.cpu_count() or 1
