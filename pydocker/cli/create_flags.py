"""The flags that `run` and `create` share, and which field of the create request each of them fills.

`to` is a path in the request's JSON. A flag with a path needs no code: its value is put there (`request`). Flags
without a path are decided together, in `request` too (`-i` and `-a` and `-d` make four fields between them).

At the end stand the flags that Docker has and this command line has not: they are known, so that they get a plain
answer instead of "unknown flag", and none is ever ignored.
"""

from pydocker.cli.flags import (
    BYTES,
    CPUS,
    DURATION,
    ENV,
    INT,
    LABEL,
    PAIRS,
    RESTART,
    STREAM,
    SWAP,
    SYSCTL,
    UINT,
    ULIMIT,
    Absent,
    Flag,
    absent,
    absent_switch,
    switch,
    value,
    values,
)
from pydocker.cli.mount_flags import (
    BYTES_RATE,
    COUNT_RATE,
    DEVICE_RULE,
    GPUS,
    MOUNT,
    TMPFS,
    WEIGHT_DEVICE,
)
from pydocker.cli.name_flags import DOMAIN, EXTRA_HOST, LINK, SERVER
from pydocker.cli.network_flags import ADDRESS, NETWORK, OWN_ADDRESS

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
    switch("--oom-kill-disable", help="Disable OOM Killer", to="HostConfig.OomKillDisable"),
    value("--memory-swappiness", kind=INT, help="Tune container memory swappiness (0 to 100)",
          to="HostConfig.MemorySwappiness"),
    value("--cpu-rt-period", kind=INT, help="Limit CPU real-time period in microseconds",
          to="HostConfig.CpuRealtimePeriod"),
    value("--cpu-rt-runtime", kind=INT, help="Limit CPU real-time runtime in microseconds",
          to="HostConfig.CpuRealtimeRuntime"),
    value("--blkio-weight", kind=UINT, help="Block IO (relative weight), between 10 and 1000, or 0 to disable",
          to="HostConfig.BlkioWeight"),
    values("--blkio-weight-device", kind=WEIGHT_DEVICE, help="Block IO weight (relative device weight)",
           to="HostConfig.BlkioWeightDevice"),
    values("--device-read-bps", kind=BYTES_RATE, help="Limit read rate (bytes per second) from a device",
           to="HostConfig.BlkioDeviceReadBps"),
    values("--device-write-bps", kind=BYTES_RATE, help="Limit write rate (bytes per second) to a device",
           to="HostConfig.BlkioDeviceWriteBps"),
    values("--device-read-iops", kind=COUNT_RATE, help="Limit read rate (IO per second) from a device",
           to="HostConfig.BlkioDeviceReadIOps"),
    values("--device-write-iops", kind=COUNT_RATE, help="Limit write rate (IO per second) to a device",
           to="HostConfig.BlkioDeviceWriteIOps"),
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

_HEALTH = (
    value("--health-cmd", help="Command to run to check health"),
    value("--health-interval", kind=DURATION, help="Time between running the check (ms|s|m|h)", shown="0s",
          to="Healthcheck.Interval"),
    value("--health-timeout", kind=DURATION, help="Maximum time to allow one check to run (ms|s|m|h)", shown="0s",
          to="Healthcheck.Timeout"),
    value("--health-retries", kind=INT, help="Consecutive failures needed to report unhealthy",
          to="Healthcheck.Retries"),
    value("--health-start-period", kind=DURATION, shown="0s", to="Healthcheck.StartPeriod",
          help="Start period for the container to initialize before starting health-retries countdown (ms|s|m|h)"),
    value("--health-start-interval", kind=DURATION, shown="0s", to="Healthcheck.StartInterval",
          help="Time between running the check during the start period (ms|s|m|h)"),
    switch("--no-healthcheck", help="Disable any container-specified HEALTHCHECK"),
)

_SURROUNDINGS = (
    value("--restart", kind=RESTART, help="Restart policy to apply when a container exits", shown='"no"',
          to="HostConfig.RestartPolicy"),
    switch("--init", help="Run an init inside the container that forwards signals and reaps processes",
           to="HostConfig.Init"),
    values("-v", "--volume", help="Bind mount a volume"),
    values("--mount", kind=MOUNT, help="Attach a filesystem mount to the container",
           to="HostConfig.Mounts"),
    values("--volumes-from", help="Mount volumes from the specified container(s)", to="HostConfig.VolumesFrom"),
    value("--volume-driver", help="Optional volume driver for the container", to="HostConfig.VolumeDriver"),
    values("--tmpfs", kind=TMPFS, help="Mount a tmpfs directory", to="HostConfig.Tmpfs"),
    values("--device", help="Add a host device to the container"),
    values("--device-cgroup-rule", kind=DEVICE_RULE, help="Add a rule to the cgroup allowed devices list",
           to="HostConfig.DeviceCgroupRules"),
    value("--pid", help="PID namespace to use: host or container:NAME", to="HostConfig.PidMode"),
    value("--ipc", help="IPC mode to use: private, shareable, none, host or container:NAME",
          to="HostConfig.IpcMode"),
    value("--uts", help="UTS namespace to use: host", to="HostConfig.UTSMode"),
    value("--userns", help="User namespace to use: host", to="HostConfig.UsernsMode"),
    value("--isolation", help="Container isolation technology (on Linux: default)", to="HostConfig.Isolation"),
    value("--cgroupns", help="Cgroup namespace to use: host or private", to="HostConfig.CgroupnsMode"),
    values("-p", "--publish", help="Publish a container's port(s) to the host"),
    switch("-P", "--publish-all", help="Publish all exposed ports to random ports", to="HostConfig.PublishAllPorts"),
    values("--expose", help="Expose a port or a range of ports"),
    values("--network", "--net", kind=NETWORK, help="Connect a container to a network"),
    values("--network-alias", help="Add network-scoped alias for the container"),
    value("--ip", kind=OWN_ADDRESS, help="IPv4 address (e.g., 172.30.100.104)"),
    value("--ip6", kind=OWN_ADDRESS, help="IPv6 address (e.g., 2001:db8::33)"),
    values("--link-local-ip", kind=ADDRESS, help="Container IPv4/IPv6 link-local addresses"),
    values("--add-host", kind=EXTRA_HOST, help="Add a custom host-to-IP mapping (host:ip)", to="HostConfig.ExtraHosts"),
    values("--dns", kind=SERVER, help="Set custom DNS servers", to="HostConfig.Dns"),
    values("--dns-option", "--dns-opt", help="Set DNS options", to="HostConfig.DnsOptions"),
    values("--dns-search", kind=DOMAIN, help="Set custom DNS search domains", to="HostConfig.DnsSearch"),
    values("--link", kind=LINK, help="Add link to another container", to="HostConfig.Links"),
    value("--mac-address", help="Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    value("--gpus", kind=GPUS, help="GPU devices to add to the container ('all' to pass all GPUs): not supported"),
    value("--log-driver", help="Logging driver for the container", to="HostConfig.LogConfig.Type"),
    values("--log-opt", kind=PAIRS, help="Log driver options", to="HostConfig.LogConfig.Config"),
)

CREATE_FLAGS: tuple[Flag, ...] = _PROCESS + _IDENTITY + _LIMITS + _POWERS + _HEALTH + _SURROUNDINGS

_OF_WINDOWS = ("--cpu-count", "--cpu-percent", "--io-maxbandwidth", "--io-maxiops")


ABSENT_FLAGS: tuple[Absent, ...] = (
    *(absent(name, why="it is for containers of Windows") for name in _OF_WINDOWS),
    absent("--storage-opt", why="an overlay has no size of its own; what a container writes is limited by the disk"),
    absent_switch("--use-api-socket", why="whoever holds the server's socket is root of the machine; mount it with -v "
                                          "where that is meant"),
)
