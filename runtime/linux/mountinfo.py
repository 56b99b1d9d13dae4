"""/proc/PID/mountinfo: the mounts that a process sees (proc_pid_mountinfo(5)).

    36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    id parent dev root target options  fields… - type source super options
"""

import msgspec

from runtime.linux.descriptors import read


class MountPoint(msgspec.Struct, frozen=True):
    """One line. `root` is the mounted directory inside its file system, `target` where it is mounted."""

    id: int
    parent: int
    device: str
    root: str
    target: str
    options: tuple[str, ...]
    propagation: tuple[str, ...]
    fstype: str
    source: str
    super_options: tuple[str, ...]


def mountinfo(pid: int | str = "self", kind: str = "") -> tuple[MountPoint, ...]:
    """All mounts of the process, or those whose type begins with `kind`, in the kernel's order. Raises OSError."""
    return parse(read(f"/proc/{pid}/mountinfo", 64 << 20).decode(errors="surrogateescape"), kind)


def mount_id(descriptor: int) -> int:
    """Of the mount that an open file is on. proc_pid_fdinfo(5)."""
    rows = dict(line.split(b":\t", 1) for line in read(f"/proc/self/fdinfo/{descriptor}").splitlines())
    return int(rows[b"mnt_id"])


def parse(content: str, kind: str = "") -> tuple[MountPoint, ...]:
    """The lines as values. (Most of them are not of the kind that is asked for, and not worth the time.)"""
    return tuple(parse_line(line) for line in content.splitlines() if f" - {kind}" in line)


def parse_line(line: str) -> MountPoint:
    """One line; the optional fields end with a dash."""
    fields = line.split(" ")
    dash = fields.index("-", 6)
    fstype, source, super_options = fields[dash + 1:dash + 4]
    return MountPoint(int(fields[0]), int(fields[1]), fields[2], unescape(fields[3]), unescape(fields[4]),
                      tuple(fields[5].split(",")), tuple(fields[6:dash]), fstype, unescape(source),
                      tuple(super_options.split(",")))


def unescape(path: str) -> str:
    """Space, tab, newline and backslash are written as octal numbers."""
    if "\\" not in path:
        return path
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(escape, character)
    return path
