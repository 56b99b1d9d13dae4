"""The flags that `run` and `create` share, and which field of the create request each of them fills.

`to` is a path in the request's JSON. A flag with a path needs no code: its value is put there (`request`). Flags
without a path are decided together, in `request` too (`-i` and `-a` and `-d` make four fields between them).

At the end stand the flags that Docker has and this command line has not: they are known, so that they get a plain
answer instead of "unknown flag", and none is ever ignored.
"""

from pydocker.cli.flags import (
    BYTES,
    CPUS,
    ENV,
    INT,
    LABEL,
    PAIRS,
    STREAM,
    SWAP,
    SYSCTL,
    ULIMIT,
    Absent,
    Flag,
    absent,
    absent_switch,
    switch,
    value,
    values,
)

_PROCESS = (
    values("-e", "--env", kind=ENV, help="Set environment variables"),
    values("--env-file", help="Read in a file of environment variables"),
    value("-u", "--user", help="Username or UID (format: <name|uid>[:<group|gid>])", to="User"),
    value("-w", "--workdir", help="Working directory inside the container", to="WorkingDir"),
    value("--entrypoint", help="Overwrite the default ENTRYPOINT of the image"),
    switch("-i", "--interactive", help="Keep STDIN open even if not attached"),
    switch("-t", "--tty", help="Allocate a pseudo-TTY", to="Tty"),
    values("-a", "--attach", kind=STREAM, help="Attach to STDIN, STDOUT or STDERR"),
    value("--stop-signal", help="Signal to stop the container", to="StopSignal"),
    value("--stop-timeout", kind=INT, help="Timeout (in seconds) to stop a container", to="StopTimeout"),
)

_IDENTITY = (
    value("--name", help="Assign a name to the container"),
    value("-h", "--hostname", help="Container host name", to="Hostname"),
    value("--domainname", help="Container NIS domain name", to="Domainname"),
    values("-l", "--label", kind=LABEL, help="Set meta data on a container"),
    values("--label-file", help="Read in a line delimited file of labels"),
    values("--annotation", kind=PAIRS, help="Add an annotation to the container (passed through to the OCI runtime)",
           to="HostConfig.Annotations"),
    value("--platform", help="Set platform if server is multi-platform capable"),
    value("--cidfile", help="Write the container ID to the file", to="HostConfig.ContainerIDFile"),
    switch("--rm", help="Automatically remove the container when it exits", to="HostConfig.AutoRemove"),
    value("--runtime", help="Runtime to use for this container", to="HostConfig.Runtime"),
    value("--pull", help='Pull image before running ("always", "missing", "never")', shown='"missing"'),
    switch("-q", "--quiet", help="Suppress the pull output"),
)

_LIMITS = (
    value("-m", "--memory", kind=BYTES, help="Memory limit", to="HostConfig.Memory"),
    value("--memory-reservation", kind=BYTES, help="Memory soft limit", to="HostConfig.MemoryReservation"),
    value("--memory-swap", kind=SWAP, help="Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
          to="HostConfig.MemorySwap"),
    value("--cpus", kind=CPUS, help="Number of CPUs", to="HostConfig.NanoCpus"),
    value("-c", "--cpu-shares", kind=INT, help="CPU shares (relative weight)", to="HostConfig.CpuShares"),
    value("--cpu-period", kind=INT, help="Limit CPU CFS (Completely Fair Scheduler) period",
          to="HostConfig.CpuPeriod"),
    value("--cpu-quota", kind=INT, help="Limit CPU CFS (Completely Fair Scheduler) quota", to="HostConfig.CpuQuota"),
    value("--cpuset-cpus", help="CPUs in which to allow execution (0-3, 0,1)", to="HostConfig.CpusetCpus"),
    value("--cpuset-mems", help="MEMs in which to allow execution (0-3, 0,1)", to="HostConfig.CpusetMems"),
    value("--pids-limit", kind=INT, help="Tune container pids limit (set -1 for unlimited)",
          to="HostConfig.PidsLimit"),
    values("--ulimit", kind=ULIMIT, help="Ulimit options", to="HostConfig.Ulimits"),
    value("--oom-score-adj", kind=INT, help="Tune host's OOM preferences (-1000 to 1000)",
          to="HostConfig.OomScoreAdj"),
    value("--shm-size", kind=BYTES, help="Size of /dev/shm", to="HostConfig.ShmSize"),
    value("--cgroup-parent", help="Optional parent cgroup for the container", to="HostConfig.CgroupParent"),
)

_POWERS = (
    values("--cap-add", help="Add Linux capabilities", to="HostConfig.CapAdd"),
    values("--cap-drop", help="Drop Linux capabilities", to="HostConfig.CapDrop"),
    switch("--privileged", help="Give extended privileges to this container", to="HostConfig.Privileged"),
    switch("--read-only", help="Mount the container's root filesystem as read only", to="HostConfig.ReadonlyRootfs"),
    values("--security-opt", help="Security Options", to="HostConfig.SecurityOpt"),
    values("--group-add", help="Add additional groups to join", to="HostConfig.GroupAdd"),
    values("--sysctl", kind=SYSCTL, help="Sysctl options", to="HostConfig.Sysctls"),
)

_SURROUNDINGS = (
    value("--network", "--net", help="Connect a container to a network: none (the default here) or host",
          to="HostConfig.NetworkMode"),
    value("--log-driver", help="Logging driver for the container", to="HostConfig.LogConfig.Type"),
    values("--log-opt", kind=PAIRS, help="Log driver options", to="HostConfig.LogConfig.Config"),
)

CREATE_FLAGS: tuple[Flag, ...] = _PROCESS + _IDENTITY + _LIMITS + _POWERS + _SURROUNDINGS

_ABSENT_SWITCHES = ("--init", "--no-healthcheck", "--oom-kill-disable", "-P --publish-all", "--use-api-socket")
_ABSENT_VALUES = (
    "--add-host", "--blkio-weight", "--blkio-weight-device", "--cgroupns", "--cpu-count", "--cpu-percent",
    "--cpu-rt-period", "--cpu-rt-runtime", "--device", "--device-cgroup-rule", "--device-read-bps",
    "--device-read-iops", "--device-write-bps", "--device-write-iops", "--dns", "--dns-option", "--dns-search",
    "--expose", "--gpus", "--health-cmd", "--health-interval", "--health-retries", "--health-start-interval",
    "--health-start-period", "--health-timeout", "--io-maxbandwidth", "--io-maxiops", "--ip", "--ip6", "--ipc",
    "--isolation", "--link", "--link-local-ip", "--mac-address", "--memory-swappiness", "--mount", "--network-alias",
    "--pid", "-p --publish", "--restart", "--storage-opt", "--tmpfs", "--userns", "--uts", "-v --volume",
    "--volume-driver", "--volumes-from",
)


ABSENT_FLAGS: tuple[Absent, ...] = (
    *(absent_switch(*names.split()) for names in _ABSENT_SWITCHES),
    *(absent(*names.split()) for names in _ABSENT_VALUES),
)
