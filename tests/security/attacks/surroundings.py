"""What a runtime has around it: state, sockets, hooks, its own imports, its caller's environment (R8, R13, R14)."""

import os
import stat
from pathlib import Path

from tests.security.ground import Ground
from tests.security.suite import NotApplicable, attack, attacked, held

MODULES = ("sitecustomize", "usercustomize", "encodings/__init__", "codecs", "os", "linecache", "pwd", "locale",
           "stringprep", "encodings/idna", "traceback", "warnings", "ctypes/__init__", "msgspec/__init__")


@attack("CVE-2019-14271 CVE-2022-1227", rules="R8", quick=3, full=7)
def code_of_the_image(ground: Ground, times: int) -> str:
    """The runtime loads code after it entered the container: libraries, modules, helpers. They are the image's.

    Attack: the image has Python modules of the standard library's names at every place where a search path may lead
    (/, /bin, /usr/lib/python3*, the host's own paths), libnss*.so, ld.so.preload, nsswitch.conf, gconv modules, and
    helpers in its PATH; each leaves a mark where it runs. Programs that fail in all ways (not found, not executable,
    no such user, no such interpreter), so that the runtime has an error to tell.
    Held: no mark, in `run` and `exec`.
    Control: the image's `python` helper leaves its mark when the program of the container calls it.
    """
    box = ground.box()
    program = "#!/bin/sh\n: > /mark\n"
    import sys

    paths = {"/", "/bin", "/usr/lib/python3/dist-packages", "/usr/lib/python3.11", *filter(None, sys.path), sys.prefix}
    for path in paths:
        directory = box.rootfs / path.lstrip("/")
        for module in MODULES:
            (directory / f"{module}.py").parent.mkdir(parents=True, exist_ok=True)
            (directory / f"{module}.py").write_text("open('/mark', 'w').close()\n")
    for name in ("newuidmap", "newgidmap", "mount", "modprobe", "iptables", "python3", "busctl", "nsenter"):
        (box.rootfs / "bin" / name).unlink(missing_ok=True)
        (box.rootfs / "bin" / name).write_text(program)
        (box.rootfs / "bin" / name).chmod(0o755)
    (box.rootfs / "etc/nsswitch.conf").write_text("passwd: evil\ngroup: evil\nhosts: evil\n")
    (box.rootfs / "etc/ld.so.preload").write_text("/evil.so\n")
    attacked(box.run("python3").returncode == 0 and (box.rootfs / "mark").exists(), "the helper leaves no mark")
    (box.rootfs / "mark").unlink()
    (box.rootfs / "bin/wrong").write_text("#!/no/such\n")
    (box.rootfs / "bin/wrong").chmod(0o755)
    (box.rootfs / "bin/closed").write_text("")
    programs = ("true", "n\u00f6pe", "wrong", "nope", "/nope", "closed", "/etc")[:times]
    for one in programs:
        box.run(one)
        held(not (box.rootfs / "mark").exists(), f"run {one}: the image's code ran")
    box.start("sleep", "100")
    for one in programs:
        box.exec(one)
        held(not (box.rootfs / "mark").exists(), f"exec {one}: the image's code ran")
    return f"{len(paths) * len(MODULES)} modules, {2 * len(programs)} programs: no code of the image's ran"


@attack("CVE-2020-15257", rules="R13")
def abstract_sockets(ground: Ground, times: int) -> str:
    """An abstract unix socket belongs to the network namespace: a container with the host's network can connect.

    Attack: a container in the host's network namespace lists /proc/net/unix while others are created, run and stopped.
    Held: no abstract socket that was not there before the runtime was called.
    Control: an abstract socket of the test's own is in the list.
    """
    import socket

    before = {line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if "@" in line}
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(f"\0{ground.scope.token}")
        other = ground.box()
        held(other.start("sleep", "100").returncode == 0, "does not start")
        box = ground.box()
        box.share("network")
        box.drop("/sys")
        done = box.sh("cat /proc/net/unix")
    inside = {line.split()[-1] for line in done.stdout.splitlines() if "@" in line}
    attacked(f"@{ground.scope.token}" in inside, done.stderr)
    ours = {one for one in inside - before - {f"@{ground.scope.token}"} if ground.runtime.name.split("-")[0] in one
            or other.id in one}
    held(not ours, ours)
    return "none of the runtime's"


@attack("CVE-2021-41103 CVE-2021-21284", rules="R13")
def state_that_others_can_reach(ground: Ground, times: int) -> str:
    """State directories and files that other users of the host may read or write.

    Attack: walk the state directory of a running container as nobody.
    Held: no file can be read or written by others, no directory be listed by them.
    Control: the walk found the container's state.
    """
    box = ground.box()
    held(box.start("sleep", "100").returncode == 0, "does not start")
    state = ground.directory / "state"
    found = [state, *state.rglob("*")]
    attacked(any(box.id in str(path) for path in found) and len(found) > 2, found)
    for path in found:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        allowed = 0o001 if stat.S_ISDIR(mode) else 0
        reachable = all(one.stat().st_mode & 0o001 for one in path.parents if state in (one, *one.parents))
        held(not mode & 0o007 & ~allowed or not reachable, f"{path} has mode {mode & 0o777:o}")
        held(path.lstat().st_uid == 0, f"{path} belongs to {path.lstat().st_uid}")
    return f"{len(found)} names, none for others"


@attack("CVE-2024-0132 CVE-2025-23266", rules="R14")
def environment_of_hooks(ground: Ground, times: int) -> str:
    """A hook runs as root on the host; the image's environment (LD_PRELOAD, PATH, PYTHONPATH) must not come with it.

    Attack: the config's process.env (as it comes from an image) has LD_PRELOAD, LD_LIBRARY_PATH, PATH, BASH_ENV; all
    six kinds of hooks write their environment down; the caller's own environment has a marked variable.
    Held: a hook has exactly the environment that the config gives to the hook.
    Control: all hooks ran, and the program itself has these variables.
    """
    box = ground.box()
    out = ground.directory / "hooks"
    out.mkdir()
    hook = ground.directory / "hook"
    hook.write_text(f"#!/bin/sh\nenv | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= > {out}/$1\ncat > /dev/null\n")
    hook.chmod(0o755)
    box.process["env"] += ["LD_PRELOAD=/evil.so", "LD_LIBRARY_PATH=/evil", "BASH_ENV=/evil", "PYTHONPATH=/evil"]
    kinds = ("prestart", "createRuntime", "poststart", "poststop")
    box.config["hooks"] = {kind: [{"path": str(hook), "args": ["hook", kind], "env": ["PATH=/usr/bin:/bin", "MINE=1"]}]
                           for kind in kinds}
    done = box.run("sh", "-c", "echo $LD_PRELOAD", env={**os.environ, "CALLERS": "secret"})
    if done.returncode and "not supported" in done.stderr:
        raise NotApplicable(f"no hooks: {done.stderr}")
    attacked(done.stdout == "/evil.so\n" and {*os.listdir(out)} == {*kinds}, f"{done}: {os.listdir(out)}")
    for kind in kinds:
        names = {line.partition("=")[0] for line in (out / kind).read_text().splitlines()}
        held(names == {"PATH", "MINE"}, f"{kind}: {names}")
    return f"{', '.join(kinds)}: only their own"


@attack("CVE-2026-57231 CVE-2020-14370", rules="R14")
def environment_of_the_caller(ground: Ground, times: int) -> str:
    """The environment, and the session keyring, of whoever called the runtime get into the container.

    Attack: the caller has a marked variable; the config's environment is one line; `run` and `exec`.
    Held: the program has what the config says, and HOME; lines without `=` are refused or passed on as they are, and
    never looked up in the caller's environment.
    Control: the caller's child has the variable.
    """
    caller = {"env": {**os.environ, "SECRET": "the-callers"}}
    attacked("the-callers" in ground.runs("env", stdout=-1, **caller).communicate()[0], "the caller has it not")
    for lines in (["PATH=/bin"], ["PATH=/bin", "SECRET"], ["PATH=/bin", "*"], ["PATH=/bin", "=x"]):
        box = ground.box()
        box.process["env"] = lines
        box.write("true")
        done = box.run("cat", "/proc/self/environ", **caller)
        held("the-callers" not in done.stdout, f"{lines}: {done.stdout!r}")
        attacked(done.returncode == 0 or len(lines) > 1, done.stderr)
    box = ground.box()
    box.start("sleep", "100", **caller)
    done = box.call("exec", box.id, "cat", "/proc/self/environ", **caller)
    held("the-callers" not in done.stdout and done.returncode == 0, done.stdout + done.stderr)
    return "nothing of the caller's"
