"""The flags of the command line, as tables: those of runc, by its names, and where runc takes them."""

from runtime.cli.arguments import Flag, Flags

GLOBAL: Flags = {
    "root": Flag(str, "directory for the containers' state (default /run/pydocker/runtime)"),
    "log": Flag(str, "append errors to this file"),
    "log-format": Flag(str, "text or json (default text)", choices=("text", "json")),
    "debug": Flag(bool, "tell the log more: what was called, the plan, where an error arose"),
    "systemd-cgroup": Flag(bool, "let systemd make the cgroups; cgroupsPath is then slice:prefix:name"),
    "rootless": Flag(str, "auto or false: this runtime is for root (true is an error)"),
    "criu": Flag(str, "an error: there is no checkpoint and no restore"),
    "version": Flag(bool, "print the version", "v"),
    "help": Flag(bool, "show this page", "h"),
}

HELP = {"help": Flag(bool, "show this page", "h")}
TRACE = {"trace": Flag(str, "append to this file, as JSON, what is done: a line for each step")}
CREATE: Flags = {
    "bundle": Flag(str, "directory of config.json (default: the current one)", "b"),
    "console-socket": Flag(str, "unix socket to send the terminal's master to"),
    "pid-file": Flag(str, "write the process number to this file"),
    "no-pivot": Flag(bool, "move the root over / and chroot, where pivot_root(2) cannot be had (initramfs)"),
    "no-new-keyring": Flag(bool, "keep the caller's session keyring"),
    "preserve-fds": Flag(int, "how many descriptors after standard error the program inherits"),
    **TRACE,
    **HELP,
}
RUN: Flags = {**CREATE, "detach": Flag(bool, "do not wait for the program", "d"),
              "no-subreaper": Flag(bool, "let others adopt what the container leaves behind"),
              "keep": Flag(bool, "do not delete the container when the program has ended")}
EXEC: Flags = {
    "process": Flag(str, "process.json to take everything from", "p"),
    "console-socket": Flag(str, "unix socket to send the terminal's master to"),
    "pid-file": Flag(str, "write the process number to this file"),
    "detach": Flag(bool, "do not wait for the program", "d"),
    "tty": Flag(bool, "give it a terminal", "t"),
    "cwd": Flag(str, "working directory"),
    "env": Flag(list, "NAME=value", "e"),
    "user": Flag(str, "uid[:gid]", "u"),
    "additional-gids": Flag(list, "supplementary group", "g"),
    "cap": Flag(list, "one more capability", "c"),
    "cgroup": Flag(list, "[CONTROLLERS:]PATH below the container's cgroup, to run in"),
    "cgroupns": Flag(bool, "begin a cgroup namespace there: the program sees that place as the root"),
    "apparmor": Flag(str, "AppArmor profile"),
    "process-label": Flag(str, "SELinux label"),
    "no-new-privs": Flag(bool, "execve gives no privileges any more"),
    "preserve-fds": Flag(int, "how many descriptors after standard error the program inherits"),
    "ignore-paused": Flag(bool, "also in a paused container: the process begins when it is resumed"),
    **TRACE,
    **HELP,
}

UPDATE: Flags = {
    "resources": Flag(str, "file with limits as in config.json, - for standard input; all other options are ignored",
                      "r"),
    "blkio-weight": Flag(str, "share of the disks, from 10 to 1000"),
    "cpu-period": Flag(str, "period of the quota, in microseconds"),
    "cpu-quota": Flag(str, "processor time in each period, in microseconds"),
    "cpu-burst": Flag(str, "unused processor time that may be saved up, in microseconds"),
    "cpu-share": Flag(str, "share of the processors, in relation to other containers"),
    "cpu-rt-period": Flag(str, "period of realtime processes, in microseconds"),
    "cpu-rt-runtime": Flag(str, "processor time of realtime processes in each period, in microseconds"),
    "cpu-idle": Flag(str, "1: only the processors' idle time"),
    "cpuset-cpus": Flag(str, "processors to run on"),
    "cpuset-mems": Flag(str, "memory nodes to use"),
    "kernel-memory": Flag(str, "(obsolete, ignored with a warning)"),
    "kernel-memory-tcp": Flag(str, "(obsolete, ignored with a warning)"),
    "memory": Flag(str, "most memory, in bytes or with a unit; -1 is no limit"),
    "memory-reservation": Flag(str, "memory that is left to it when there is little"),
    "memory-swap": Flag(str, "memory and swap together; -1 is no limit"),
    "pids-limit": Flag(str, "most processes; -1 is no limit"),
    "l3-cache-schema": Flag(str, "(Intel RDT: not supported)"),
    "mem-bw-schema": Flag(str, "(Intel RDT: not supported)"),
    **HELP,
}
