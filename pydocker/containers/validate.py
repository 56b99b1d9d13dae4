"""What cannot be right in a create request, as a table: a test, and Docker's words for it.

Source of rules and words: moby daemon/daemon_unix.go (verifyPlatformContainerResources), daemon/container.go.
"""

import os
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from pydocker.containers import blockio, hostdevices, logsettings, namesettings, security, signals
from pydocker.errors import InvalidParameter
from pydocker.model import port as ports
from pydocker.model.container import Config, HostConfig
from pydocker.model.image import Healthcheck
from pydocker.model.mount import points

LEAST_MEMORY = 6 << 20
# RFC 1123 is stricter. People use underscores, and the kernel takes all; but /etc/hosts has it between blanks.
_HOSTNAME = re.compile(r"[^\s\x00-\x1f\x7f/#]+")
_CPUS = re.compile(r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*", re.ASCII)
_CGROUP = re.compile(r"/?[a-zA-Z0-9_.:-]+(/[a-zA-Z0-9_.:-]+)*", re.ASCII)
ULIMITS = ("as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
           "rtprio", "rttime", "sigpending", "stack")

_SWAP_ALONE = "You should always set the Memory limit when using Memoryswap limit, see usage"
_RESOURCES: tuple[tuple[Callable[[HostConfig], bool], str], ...] = (
    (lambda it: 0 < it.memory < LEAST_MEMORY, "Minimum memory limit allowed is 6MB"),
    (lambda it: it.memory < 0 or it.memory_reservation < 0 or it.shm_size < 0, "memory sizes must not be negative"),
    (lambda it: it.memory > 0 and 0 < it.memory_swap < it.memory,
     "Minimum memoryswap limit should be larger than memory limit, see usage"),
    (lambda it: it.memory == 0 and it.memory_swap > 0, _SWAP_ALONE),
    (lambda it: 0 < it.memory_reservation < LEAST_MEMORY, "Minimum memory reservation allowed is 6MB"),
    (lambda it: 0 < it.memory < it.memory_reservation,
     "Minimum memory limit can not be less than memory reservation limit, see usage"),
    (lambda it: it.nano_cpus > 0 and it.cpu_period > 0,
     "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
    (lambda it: it.nano_cpus > 0 and it.cpu_quota > 0,
     "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
    (lambda it: it.nano_cpus < 0 or it.nano_cpus > _processors() * 10**9,
     "Range of CPUs is from 0.01 to {processors}.00, as there are only {processors} CPUs available"),
    (lambda it: it.memory_swappiness is not None and not -1 <= it.memory_swappiness <= 100,
     "Invalid value: {it.memory_swappiness}, valid memory swappiness range is 0-100"),
    (lambda it: it.cpu_realtime_runtime > it.cpu_realtime_period > 0,
     "cpu real-time runtime cannot be higher than cpu real-time period"),
    (lambda it: it.cpu_shares < 0, "invalid CPU shares ({it.cpu_shares}): value must be a positive integer"),
    (lambda it: it.cpu_period != 0 and not 1000 <= it.cpu_period <= 1_000_000,
     "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"),
    (lambda it: 0 < it.cpu_quota < 1000, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    (lambda it: bool(it.cpuset_cpus) and not _CPUS.fullmatch(it.cpuset_cpus),
     "Invalid value {it.cpuset_cpus} for cpuset cpus: invalid format: {it.cpuset_cpus}"),
    (lambda it: bool(it.cpuset_mems) and not _CPUS.fullmatch(it.cpuset_mems),
     "Invalid value {it.cpuset_mems} for cpuset mems: invalid format: {it.cpuset_mems}"),
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
    check_resources(host)
    _check_ulimits(host)
    _check_names(config, host)
    _check_environment(config)
    _check_words(config)
    _check_health(config.healthcheck)
    points(config, host)
    ports.check(host.port_bindings or {})
    for key in config.exposed_ports:
        ports.port(key)
    _check_restart(host)
    hostdevices.check(host)
    blockio.check(host)
    for path in (*(host.masked_paths or ()), *(host.readonly_paths or ())):
        if not path.startswith("/"):
            raise InvalidParameter(f"invalid masked or read-only path '{path}': it needs to be an absolute path")
    if config.working_dir and not posixpath.isabs(config.working_dir):
        raise InvalidParameter(f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute "
                               "path")
    if config.stop_signal:
        signals.number(config.stop_signal)
    logsettings.check(host)
    namesettings.check(host)
    security.capabilities(host.cap_add or (), host.cap_drop or ())
    security.parse(host.security_opt or ())
    security.check_sysctls(host.sysctls or {}, host_network=host.network_mode == "host",
                           host_ipc=host.ipc_mode == "host")


def check_resources(host: HostConfig, *, update: bool = False) -> None:
    """The limits. An update may name the swap alone: the memory is the container's."""
    for wrong, words in _RESOURCES:
        if wrong(host) and not (update and words == _SWAP_ALONE):
            raise InvalidParameter(words.format(it=host, processors=_processors(), cpus=_online("cpu"),
                                                nodes=_online("node")))


def _check_health(check: Healthcheck | None) -> None:
    if check is None:
        return
    kind = (check.test or ("NONE",))[0]
    if kind not in ("NONE", "CMD", "CMD-SHELL"):
        raise InvalidParameter(f"Unknown probe type '{kind}' (expected 'CMD', 'CMD-SHELL' or 'NONE')")
    for name, value in (("Interval", check.interval), ("Timeout", check.timeout), ("StartPeriod", check.start_period),
                        ("StartInterval", check.start_interval)):
        if value and value < 1_000_000:
            raise InvalidParameter(f"{name} in Healthcheck cannot be less than 1ms")
    if check.retries and check.retries < 0:
        raise InvalidParameter("Retries in Healthcheck cannot be negative")


def _check_restart(host: HostConfig) -> None:
    policy = host.restart_policy
    if policy.name not in ("", "no", "always", "on-failure", "unless-stopped"):
        raise InvalidParameter(f"invalid restart policy: unknown policy '{policy.name}'; use one of 'no', 'always', "
                               "'on-failure', or 'unless-stopped'")
    if policy.maximum_retry_count < 0:
        raise InvalidParameter("invalid restart policy: maximum retry count cannot be negative")
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise InvalidParameter("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if host.auto_remove and policy.name not in ("", "no"):
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")


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
    if config.domainname and not _HOSTNAME.fullmatch(config.domainname):  # a line's end would be one of /etc/hosts
        raise InvalidParameter(f"invalid domain name format: {config.domainname}")


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
