"""Which devices a container may open and make: the rules, what they mean together, and what v1 can say of them.

A default container holds CAP_MKNOD, so nothing but this list stands between it and the host's disks: `mknod b 8 0` must
be harmless. Making a node of any device is allowed (tar and debootstrap do it), opening it is not.

A rule allows or denies (read, write, mknod) for a type (b, c, or a for both) and numbers, of which each may stand for
all. Rules are read in order, and the last one that speaks of a device *and* of one kind of access decides on that
access; what no rule speaks of is denied. `allowed()` is this sentence as code, and the measure for both ways to
enforce it:

v2 asks an eBPF program at each open(2) and mknod(2) (see `program`); it can say all that the rules can.
v1's controller keeps one default and a list of exceptions (kernel, security/device_cgroup.c: devcgroup_access_write),
and knows no order. `policy()` folds the rules into that; it fails for the few that cannot be folded, such as "all
character devices, except c 1:8" after "deny all", since ignoring the second half would open what was denied.
"""

from collections.abc import Iterable

import msgspec

from runtime.errors import InvalidSpec
from runtime.spec.resources import LinuxDeviceCgroup

READ, WRITE, MKNOD = 1, 2, 4
LETTERS = {"r": READ, "w": WRITE, "m": MKNOD}


class Rule(msgspec.Struct, frozen=True):
    """One rule for one type (b or c). None stands for every number; `access` is a sum of READ, WRITE, MKNOD."""

    allow: bool
    type: str
    major: int | None
    minor: int | None
    access: int

    def covers(self, other: "Rule") -> bool:
        """Every device of the other rule is one of this rule."""
        return (self.type == other.type and self.major in (None, other.major) and self.minor in (None, other.minor))

    def meets(self, other: "Rule") -> bool:
        """Some device is one of both rules."""
        return (self.type == other.type and (None in (self.major, other.major) or self.major == other.major)
                and (None in (self.minor, other.minor) or self.minor == other.minor))

    @property
    def line(self) -> str:
        """As devices.allow and devices.deny take it: `c 1:3 rwm`."""
        numbers = ":".join("*" if number is None else str(number) for number in (self.major, self.minor))
        return f"{self.type} {numbers} {''.join(letter for letter, bit in LETTERS.items() if self.access & bit)}"


class Policy(msgspec.Struct, frozen=True):
    """What v1 can hold: allow all or nothing, except for these."""

    allow: bool
    exceptions: tuple[Rule, ...] = ()


# What stands before every container's own rules, and what comes after them. Programs take these devices for granted,
# and they show nothing of the host. Source: runc, libcontainer/specconv (AllowedDevices).
NOTHING = LinuxDeviceCgroup(allow=False)
HARMLESS = (
    LinuxDeviceCgroup(allow=True, type="c", access="m"),
    LinuxDeviceCgroup(allow=True, type="b", access="m"),
    LinuxDeviceCgroup(allow=True, type="c", major=1, minor=3),  # null
    LinuxDeviceCgroup(allow=True, type="c", major=1, minor=5),  # zero
    LinuxDeviceCgroup(allow=True, type="c", major=1, minor=7),  # full
    LinuxDeviceCgroup(allow=True, type="c", major=1, minor=8),  # random
    LinuxDeviceCgroup(allow=True, type="c", major=1, minor=9),  # urandom
    LinuxDeviceCgroup(allow=True, type="c", major=5, minor=0),  # tty
    LinuxDeviceCgroup(allow=True, type="c", major=5, minor=1),  # console
    LinuxDeviceCgroup(allow=True, type="c", major=5, minor=2),  # ptmx
    LinuxDeviceCgroup(allow=True, type="c", major=136),  # pts/*
)


def container_rules(asked: Iterable[LinuxDeviceCgroup]) -> tuple[Rule, ...]:
    """The rules of a container: deny all, then what was asked for, then the harmless devices.

    Raises InvalidSpec for an unknown type or access, and for numbers that no device has.
    """
    return tuple(part for number, rule in enumerate((NOTHING, *asked, *HARMLESS))
                 for part in _parts(rule, f"$.linux.resources.devices[{number - 1}]"))


def _parts(rule: LinuxDeviceCgroup, at: str) -> tuple[Rule, ...]:
    """A rule of the specification as rules for one type each. -1 is Go's way to write "all numbers"."""
    types = {"": "cb", "a": "cb", "c": "c", "u": "c", "b": "b"}.get(rule.type)
    if types is None or not set(rule.access) <= set(LETTERS):
        raise InvalidSpec(f"{at}: no such rule: {rule.type} {rule.access}")
    for field, number in (("major", rule.major), ("minor", rule.minor)):
        if number is not None and not -1 <= number < 2**32:
            raise InvalidSpec(f"{at}.{field}: {number} is the number of no device, and -1 stands for all")
    major, minor = (None if number in (None, -1) else number for number in (rule.major, rule.minor))
    access = sum(LETTERS[letter] for letter in set(rule.access or "rwm"))
    return tuple(Rule(rule.allow, kind, major, minor, access) for kind in types)


def allowed(rules: Iterable[Rule], type: str, major: int, minor: int, access: int) -> bool:
    """Whether all of `access` to a device is allowed: the definition."""
    device = Rule(True, type, major, minor, access)
    granted = 0
    for rule in rules:
        if rule.covers(device):
            granted = granted | rule.access if rule.allow else granted & ~rule.access
    return access & ~granted == 0


def policy(rules: Iterable[Rule]) -> dict[str, Policy]:
    """Fold the rules into one v1 policy for each type. Raises InvalidSpec where v1 has no words for them."""
    folded = {"c": Policy(False), "b": Policy(False)}
    for rule in rules:
        folded[rule.type] = _folded(folded[rule.type], rule)
    return folded


def _folded(before: Policy, rule: Rule) -> Policy:
    if (rule.major, rule.minor, rule.access) == (None, None, READ | WRITE | MKNOD):
        return Policy(rule.allow)
    if rule.allow != before.allow:
        return Policy(before.allow, _merged(before.exceptions, rule))
    left = []
    for exception in before.exceptions:
        if rule.covers(exception):
            remaining = exception.access & ~rule.access
            left += [msgspec.structs.replace(exception, access=remaining)] if remaining else []
        elif rule.meets(exception) and rule.access & exception.access:
            raise InvalidSpec(f"$.linux.resources.devices: cgroup v1 cannot express {_words(rule)} "
                              f"as part of {_words(exception)}")
        else:
            left.append(exception)
    return Policy(before.allow, tuple(left))


def _merged(exceptions: tuple[Rule, ...], rule: Rule) -> tuple[Rule, ...]:
    """Two exceptions for the same numbers are one to the kernel, which adds up their accesses."""
    for at, exception in enumerate(exceptions):
        if (exception.major, exception.minor) == (rule.major, rule.minor):
            both = msgspec.structs.replace(exception, access=exception.access | rule.access)
            return (*exceptions[:at], both, *exceptions[at + 1:])
    return (*exceptions, rule)


def _words(rule: Rule) -> str:
    return f"{'allow' if rule.allow else 'deny'} {rule.line}"


def lines(rules: Iterable[Rule]) -> tuple[tuple[str, str], ...]:
    """What to write to a v1 devices cgroup, in order: (file name, line) pairs.

    `a` first, which also clears what stood there. The default is one for both types: where the types differ, the one
    that is open is written as an exception to "nothing".
    """
    folded = policy(rules)
    if all(part.allow for part in folded.values()):
        exceptions = [("devices.deny", rule.line) for part in folded.values() for rule in part.exceptions]
        return (("devices.allow", "a"), *exceptions)
    result = [("devices.deny", "a")]
    for type, part in folded.items():
        if part.allow and part.exceptions:
            raise InvalidSpec(f"$.linux.resources.devices: cgroup v1 cannot express {_words(part.exceptions[0])} "
                              "while the other type of devices is closed")
        open = (Rule(True, type, None, None, READ | WRITE | MKNOD),) if part.allow else part.exceptions
        result += [("devices.allow", rule.line) for rule in open]
    return tuple(result)
