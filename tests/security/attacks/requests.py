"""What a config.json or a command line asks for: huge, malformed, ambiguous (R14, R16)."""

import json
import os
import resource

from tests.security.ground import Box, Ground
from tests.security.suite import attack, attacked, held

CEILING = 8 << 30  # bytes of address space; Go reserves a lot that it never uses


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (CEILING, CEILING))


def timed(box: Box, *args: str, text: str = "") -> tuple[int, str, float]:
    """Run it with a memory ceiling; exit code, standard error, seconds of processor time, as a machine may have much
    else to do. `text` replaces config.json.
    """
    box.write(*args)
    if text:
        (box.bundle / "config.json").write_text(text)
    box.made = True
    began = spent()
    done = box.call("run", "--bundle", str(box.bundle), box.id, preexec_fn=limited, timeout=120)
    return done.returncode, done.stderr, spent() - began


def spent() -> float:
    """Seconds on a processor of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@attack("CVE-2018-20699", rules="R16", quick=2, full=6)
def bomb_of_processors(ground: Ground, times: int) -> str:
    """A list of processors or memory nodes that is short to write and endless to expand.

    Attack: resources.cpu.cpus and .mems of 0-9999999999, 1-4294967295, thousands of ranges, and junk.
    Held: refused within three seconds of work, under a ceiling of memory.
    Control: `0` is accepted.
    """
    box = ground.box()
    box.linux["resources"]["cpu"] = {"cpus": "0", "mems": "0"}
    code, error, _ = timed(box, "true")
    attacked(code == 0, error)
    longest = 0.0
    for field in ("cpus", "mems"):
        for value in ("0-9999999999", ",".join(["0-9999999"] * 5000), "1-4294967295", "0-18446744073709551615", "a",
                      "-")[:times]:
            box.linux["resources"]["cpu"] = {field: value}
            code, error, seconds = timed(box, "true")
            held(code != 0, f"{field} = {value[:30]} was accepted")
            held(seconds < 3, f"{field} = {value[:30]} took {seconds:.1f} s")
            box.delete()
            longest = max(longest, seconds)
    return f"{2 * times} lists refused, the slowest in {longest:.2f} s"


@attack("CVE-2021-43784", rules="R16", quick=10_000, full=100_000)
def lists_of_enormous_length(ground: Ground, times: int) -> str:
    """Counts that overflow a 16-bit length on the way to the process inside: 100 000 entries of a kind.

    Attack: so many uid mappings (also with a mapping of root to root in front of an overflow), mounts, groups, masked
    paths, environment lines, arguments, namespaces; each under a ceiling of memory.
    Held: refused, or run as asked; never a crash (signal, traceback, panic), never uid 0 of the host by a mapping that
    was cut off; the answer costs less than a minute.
    Control: a few entries of each kind are accepted.
    """
    def kinds(number: int) -> dict[str, object]:
        return {
            "linux.uidMappings": [{"containerID": one, "hostID": 100_000 + one, "size": 1} for one in range(number)],
            "process.env": ["PATH=/bin", *(f"A{one}=b" for one in range(number))],
            "process.user.additionalGids": list(range(1, number + 1)),
            "linux.maskedPaths": [f"/none/{one}" for one in range(number)],
            "annotations": {f"a{one}": "b" for one in range(number)},
            "process.args": ["true", *map(str, range(number))],
            "linux.namespaces": [{"type": "mount"}, {"type": "uts"}, *[{"type": "pid"}] * number],
        }

    ended = {}
    for path in kinds(1):
        for number in (1, times):
            box = ground.box()
            put(box.config, path, kinds(number)[path])
            code, error, seconds = timed(box, *([] if path == "process.args" else ["true"]))
            crashed = code < 0 or any(word in error for word in ("Traceback", "panic:", "Segmentation", "goroutine "))
            held(not crashed, f"{number} of {path}: exit {code}: {error[-300:]}")
            held(seconds < 60, f"{number} of {path}: {seconds:.0f} s")
            attacked(number > 1 or code == 0 or "apping" in path or "user" in error, f"one of {path}: {error}")
            ended[path] = f"exit {code} in {seconds:.1f} s"
            box.delete()
    return f"{times} of each: " + ", ".join(f"{path} {end}" for path, end in ended.items())


def put(config: object, path: str, value: object) -> None:
    *parents, last = path.split(".")
    at: object = config
    for parent in parents:
        at = at.setdefault(parent, {})  # type: ignore[attr-defined]
    at[last] = value  # type: ignore[index]


@attack("malformed documents", rules="R14 R16", quick=6, full=12)
def documents_that_are_none(ground: Ground, times: int) -> str:
    """config.json is nested a hundred thousand levels deep, cut off, empty, not UTF-8, a FIFO, endless; holds NULs.

    Attack: each of these, and numbers beyond 64 bits, a NUL in names and paths, environment lines without `=`.
    Held: exit 1 (not a signal, a traceback or a hang), one line of error, within five seconds of work.
    Control: the document without the change runs.
    """
    box = ground.box()
    code, error, _ = timed(box, "true")
    attacked(code == 0, error)
    good = json.dumps(box.config)
    deep = 100_000
    documents = {
        "deep lists": "[" * deep + "]" * deep, "deep objects": '{"a":' * deep + "1" + "}" * deep,
        "deep in an unknown field": good[:-1] + ', "x": ' + "[" * deep + "]" * deep + "}",
        "cut off": good[:-20], "empty": " ", "null": "null", "a list": "[]", "a number": "1e400",
        "huge number": good.replace('"uid": 0', '"uid": ' + "9" * 5000),
        "NUL in an argument": good.replace('"true"', '"tr\\u0000ue"'),
        "NUL in a path": good.replace('"/proc"', '"/pr\\u0000oc"', 1),
        "surrogate": good.replace('"true"', '"\\ud800"'),
    }
    for name, text in list(documents.items())[:times]:
        code, error, seconds = timed(box, "true", text=text)
        held(code > 0 and "Traceback" not in error and "panic:" not in error, f"{name}: exit {code}: {error[-300:]}")
        held(seconds < 5, f"{name}: {seconds:.1f} s")
        box.delete()
    (box.bundle / "config.json").unlink()
    os.mkfifo(box.bundle / "config.json")
    (box.bundle / "config.json").unlink()
    (box.bundle / "config.json").symlink_to("/dev/zero")
    box.made = True
    done = box.call("run", "--bundle", str(box.bundle), box.id, preexec_fn=limited, timeout=120)
    held(done.returncode > 0 and "Traceback" not in done.stderr, f"endless: {done.returncode} {done.stderr[-300:]}")
    return f"{times + 1} documents: exit 1 each"


@attack("ids", rules="R13 R14", quick=5, full=14)
def ids_that_are_paths(ground: Ground, times: int) -> str:
    """The container's id becomes a file name in the state directory, and the name of a cgroup.

    Attack: `create`, `state`, `kill`, `delete --force` with ids that hold slashes, dots, newlines, NULs' neighbours,
    flags, 5 000 letters, nothing.
    Held: refused; no file appears beside the state directory, the canary is what it was.
    Control: an ordinary id with all allowed marks is accepted.
    """
    box = ground.box()
    box.write("true")
    good = f"{box.id}-A_b+c.d"
    done = box.call("run", "--bundle", str(box.bundle), good)
    attacked(done.returncode == 0, done.stderr)
    outside = {*os.listdir(ground.directory)} | {"state"}
    evil = ("../canary", "..", "a\nb", "x" * 5000, "", ".", "a/b", "/etc", "a b", "ü", "*", "a;b", "../../x", "$(x)")
    for name in evil[:times]:
        for verb in (("run", "--bundle", str(box.bundle)), ("state",), ("delete", "--force")):
            done = box.call(*verb, name)
            held(verb[0] == "delete" or done.returncode, f"{verb[0]} {name!r} was accepted")
    held({*os.listdir(ground.directory)} <= outside, os.listdir(ground.directory))
    return f"{times} ids refused"
