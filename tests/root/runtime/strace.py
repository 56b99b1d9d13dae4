"""What strace(1) saw, and what a trace file says, in one form: so that they can be compared call by call."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.linux.capabilities import NAMES
from tests.root.runtime.conftest import REPOSITORY, Runtime

CALLS = ("unshare", "setns", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr", "mount",
         "umount2", "pivot_root", "sethostname", "setdomainname", "capset", "seccomp")
FILTER = ",".join((*CALLS, "clone", "clone3", "prctl", "write"))


class Watched:
    """Runs the runtime under strace, with --trace; afterwards `seen` and `told` are the calls of interest."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.log = runtime.directory / "strace"
        self.file = runtime.directory / "trace"

    def __call__(self, verb: str, *words: str) -> None:
        """One command, until all that it started has ended: strace -f follows a container to its end."""
        with self.begun(verb, *words):
            pass

    @contextmanager
    def begun(self, verb: str, *words: str) -> Iterator[None]:
        """Inside the block the command runs; a container that it made has to come to its end there."""
        command = ["strace", "-f", "-y", "-s", "65536", "-A", "-o", str(self.log), "-e", f"trace={FILTER}", "--",
                   sys.executable, "-m", "runtime", "--root", str(self.runtime.root), verb, "--trace", str(self.file),
                   *words]
        # A created container holds on to its output, so that is no pipe.
        with open(self.runtime.directory / "errors", "w+") as errors:
            process = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=errors)
            try:
                yield
                assert process.wait(60) == 0, errors.seek(0) or errors.read()
            finally:
                process.kill()
                process.wait()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def told(self) -> Counter[str]:
        return Counter(normal(call) for line in self.lines() for call in line["calls"] if of_interest(call))

    def seen(self) -> Counter[str]:
        return Counter(normal(call) for call in calls(self.log.read_text()) if of_interest(call))


def calls(log: str) -> list[str]:
    """The calls of strace's log, those that were interrupted by another process's put together."""
    found = []
    begun: dict[str, str] = {}
    for line in log.splitlines():
        pid, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest.removesuffix("<unfinished ...>").rstrip()
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
        if resumed:
            rest = begun.pop(pid) + resumed[1]
        if re.match(r"\w+\(", rest):
            found.append(re.sub(r"\)\s+= (-?\d+|\?).*$", ")", rest))
    return found


def of_interest(call: str) -> bool:
    """The list of the contract: cgroup files among the writes, the bounding set among prctl, flags among clone."""
    name = call.partition("(")[0]
    if name == "write":
        return "/sys/fs/cgroup/" in call.partition(",")[0]
    if name == "prctl":
        return "PR_CAPBSET_DROP" in call
    if name.startswith("clone"):
        return "CLONE_NEW" in call or "CLONE_INTO_CGROUP" in call
    return name in CALLS


def normal(call: str) -> str:
    """One spelling for both: descriptors by their number, sets of capabilities by names, flags sorted, no zeros."""
    name, _, rest = call.removesuffix(")").partition("(")
    if name == "write":
        path, _, value = rest.partition(", ")
        return f"write {path.partition('/')[2].rstrip('>').rstrip(chr(34))} {value.rpartition(', ')[0] or value}"
    if name == "capset":
        return f"capset {[capability_set(rest, kind) for kind in ('effective', 'permitted', 'inheritable')]}"
    if name == "prctl":
        return "prctl " + ", ".join(rest.split(", ")[:2])
    if name == "clone3":
        return f"clone3 {sorted(re.findall(r'CLONE_(?:NEW|INTO)[A-Z_]+', rest))}"
    rest = re.sub(r"(\b\d+|AT_FDCWD)<[^<>]*(?:<[^<>]*>)?[^<>]*>", r"\1", rest)
    rest = re.sub(r" /\* .*? \*/", "", rest)
    rest = re.sub(r"(len=\d+), filter=0x\w+", r"\1", rest)
    rest = re.sub(r"(?:, )?(?:attr_set|attr_clr|propagation|userns_fd)=0(?=[,}])", "", rest).replace("{, ", "{")
    rest = re.sub(r"\w+(?:\|\w+)+", lambda found: "|".join(sorted(found[0].split("|"))), rest)
    return f"{name}({rest})"


def capability_set(text: str, kind: str) -> list[str]:
    found = re.search(rf"{kind}=([^,}}]*)", text)
    assert found, text
    if found[1].startswith("0x"):
        return sorted(name for number, name in enumerate(NAMES) if int(found[1], 16) >> number & 1)
    return sorted(re.findall(r"CAP_\w+", found[1]))


def differences(watched: Watched) -> list[str]:
    """Empty if the trace told all that was done, and nothing else."""
    seen, told = watched.seen(), watched.told()
    return [*(f"done, not told: {call}" for call in (seen - told).elements()),
            *(f"told, not done: {call}" for call in (told - seen).elements())]


def steps(file: Path) -> list[str]:
    return [json.loads(line)["step"] for line in file.read_text().splitlines()]
