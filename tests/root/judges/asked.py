"""What people ask an engine for when they run a container, and how its effect is seen from inside.

Asked of an engine with its own runtime and with ours: both have to give the same answer, and the expected one.
"""

from typing import NamedTuple


class Asked(NamedTuple):
    """Options of `run`, a script for the container's shell, the exit code, and what its output contains."""

    options: str
    script: str
    code: int
    answers: tuple[str, ...]


def limit(name: str, old: str, new: str) -> str:
    """A line of script that shows a limit: a file of cgroup v1, or of v2."""
    return f"echo {name} $(cat /sys/fs/cgroup/{old} 2>/dev/null || cat /sys/fs/cgroup/{new})\n"


NOTHING = "0000000000000000"
POWERS = "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status\n"
LIMITS = "".join((
    limit("memory", "memory/memory.limit_in_bytes", "memory.max"),
    limit("swap", "memory/memory.memsw.limit_in_bytes", "memory.swap.max"),
    limit("soft", "memory/memory.soft_limit_in_bytes", "memory.low"),
    limit("pids", "pids/pids.max", "pids.max"),
    limit("quota", "cpu/cpu.cfs_quota_us", "cpu.max"),
    limit("shares", "cpu/cpu.shares", "cpu.weight"),
    "cat /proc/self/oom_score_adj; grep Cpus_allowed_list /proc/self/status",
))
# Stricter with us alone: what masks a file is read-only, so that nobody inside may change the host's /dev/null, and so
# is the directory of cgroup v1's hierarchies, where the empty v2 one of a hybrid system is shown, too.
MOUNTS = """awk '$5 !~ "^/sys/fs/cgroup" { print $5, $4 == "/null" ? "masked" : $6 }' /proc/self/mountinfo | sort\n"""

ASKED = {
    "nothing": Asked("", f"id; pwd; env | sort | grep -v HOSTNAME; ulimit -a; umask; tty; {POWERS}", 0,
                     ("uid=0(root)", "Seccomp:\t2", "CapEff:\t00000000a80425fb")),
    "the file systems": Asked("", f"{MOUNTS} ls -l /dev | cut -c1-28; wc -c /proc/keys; ls /proc/acpi /sys/firmware; "
                              "echo x > /proc/sys/kernel/hostname", 1,
                              ("/proc/keys masked", "0 /proc/keys", "Read-only file system")),
    "resources": Asked("--memory 64m --memory-swap 64m --memory-reservation 32m --pids-limit 50 --cpus 0.5 "
                       "--cpu-shares 512 --cpuset-cpus 0 --oom-score-adj 500", LIMITS, 0,
                       ("memory 67108864", "pids 50", "quota 50000", "\n500\n", "Cpus_allowed_list:\t0")),
    "read-only": Asked("--read-only", "touch /x", 1, ("touch: /x: Read-only file system",)),
    "mounts": Asked("--read-only --tmpfs /scratch:size=1m --shm-size 2m --volume {shared}:/shared:ro,rslave "
                    "--volume {shared}:/mine --device /dev/null:/dev/other:rw",
                    f"{MOUNTS} df -k /scratch /dev/shm; ls -l /dev/other; echo x > /dev/other; cat /shared/file;"
                    "grep -o '/shared.*master' /proc/self/mountinfo | wc -l; "
                    "touch /mine/x /scratch/x; touch /shared/x", 1,
                    ("/scratch rw", " 1024 ", " 2048 ", "1,   3", "/shared/x: Read-only file system")),
    "user": Asked("--user 1000:1000 --group-add 7", f"id; touch /x; {POWERS}", 0,
                  ("uid=1000(user) gid=1000(user)", "/x: Permission denied", f"CapEff:\t{NOTHING}")),
    "cap-drop": Asked("--cap-drop all", POWERS, 0, (f"CapBnd:\t{NOTHING}", f"CapEff:\t{NOTHING}")),
    "cap-add": Asked("--cap-drop all --cap-add net_raw --security-opt no-new-privileges", POWERS, 0,
                     ("CapEff:\t0000000000002000", "NoNewPrivs:\t1")),
    "seccomp=unconfined": Asked("--security-opt seccomp=unconfined", f"{POWERS} unshare -U true", 0, ("Seccomp:\t0",)),
    "seccomp=profile": Asked("--security-opt seccomp={profile}", f"{POWERS} mkdir /made; ls -d /made", 1,
                             ("Seccomp:\t2", "'/made': Operation not supported")),
    "settings": Asked("--hostname web --workdir /var --env WHO=you --ulimit nofile=64:128 --ulimit nproc=100:200 "
                      "--sysctl net.ipv4.ip_default_ttl=17 --sysctl kernel.msgmax=4321",
                      "hostname; cat /etc/hostname; pwd; echo I am $WHO; ulimit -Sn; ulimit -Hn; "
                      "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/msgmax", 0,
                      ("web\nweb", "/var\n", "I am you", "64\n128\n17\n4321",)),
    "the host's namespaces": Asked("--network host --pid host --ipc host --uts host",
                                   "cat /proc/2/comm; for n in net pid ipc uts; do readlink /proc/self/ns/$n; done", 0,
                                   ("kthreadd", "net:[", "pid:[")),
    "no network": Asked("--network none", "ip -o address | tr -s ' '", 0, ("127.0.0.1/8",)),
    "exit": Asked("", "echo out; echo err >&2; exit 42", 42, ("out\n", "err\n")),
}
