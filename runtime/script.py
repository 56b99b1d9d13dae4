"""A plan as a script for bash, which makes the same container with nothing but coreutils, util-linux and iproute2.

Each step's own words (`Step.script`) in the order of the plan; here is only what a shell needs around them:

    stages      a command that starts another one in new surroundings (unshare, setsid: words that end with a backslash)
                gets the rest of the script as its argument: one text for each such process, of which each executes
                the next, so that in the end all were one process
    inside      a function that resolves a path as the container will, where the runtime has openat2(2)
    $host       the host's tools after pivot_root: only the image's can be found by path then. What is still needed is
                started by the host's loader with the host's libraries, from a working directory that stays the host's
                /usr; it can be used even when nothing leads there any more
    setpriv     several steps, one command: each alone would take away what the next one needs
    clean_up    what `run` does at its end

Words of a config.json come into the script quoted, and into its comments without line ends: it is a stranger's file.
"""

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from runtime.cgroups.steps import MakeCgroup, braces
from runtime.hooks.meeting import AwaitMounts, LetGoOn
from runtime.hooks.steps import ContainerHook, LaterHook, RuntimeHook
from runtime.plan import Plan
from runtime.process.entrance import Enter, EnterCgroup
from runtime.process.identity import BecomeUser, DropBounding, NoNewPrivileges, SetCapabilities
from runtime.process.names import Domainname, Hostname
from runtime.process.program import Execute, FindHome, WorkingDirectory
from runtime.process.users import NewUserNamespace, OpenUserNamespace
from runtime.rootfs.root import PivotRoot, Propagation
from runtime.step import Step

Steps = tuple[Step[Any], ...]
WIDTH = 112
NAMES = (Hostname, Domainname)
BY_OTHERS = (AwaitMounts, RuntimeHook, LetGoOn)  # done by a process that stays in the host's namespaces

HEAD = """\
#!/bin/bash
# What `pydocker-runtime run` does, as a script of one line or a few for each step: executed as root, it makes the same
# container. Read it from top to bottom; above each step stands what it is, why it is done here, and where to read more.
#
# It needs bash, coreutils, util-linux and iproute2, and is for learning: unlike the runtime it trusts the bundle (its
# links may be exchanged while the script looks at them, and the host's last tools look into the image's /etc).
set -eu
"""

INSIDE = """\
# inside PATH: where a path of the container is, seen from here. Links in it are followed as the container would: one to
# /run leads to the container's /run. (The runtime has the kernel do this: openat2(2), RESOLVE_IN_ROOT.)
inside() {
    local left=$1 found='' part link
    while [ -n "$left" ]; do
        part=${left%%/*} left=${left#"${left%%/*}"} left=${left#/}
        case $part in
            ''|.) ;;
            ..) found=${found%/*} ;;
            *)  if [ -L "$root$found/$part" ]; then
                    link=$(readlink "$root$found/$part")
                    case $link in /*) found='' ;; esac
                    left=$link/$left
                else
                    found=$found/$part
                fi ;;
        esac
    done
    printf '%s' "$root$found"
}
export -f inside
"""

HOST = """\
# Once the root is the container's, only the image's tools can be found. $host starts the host's: by its own loader and
# with its own libraries, from the working directory /usr, in which the process stays until it becomes the program.
loader='' libraries=''
while read -r line; do
    [[ $line =~ ^(.*=\\>\\ )?(/[^\\ ]+)\\ \\(0x ]] || continue
    file=./$(realpath --relative-to=/usr "${BASH_REMATCH[2]}")
    if [ -n "${BASH_REMATCH[1]}" ]; then libraries+=:${file%/*}; else loader=$file; fi
done < <(ldd /usr/bin/{env,mount,setpriv,umount})
export host="$loader --library-path ${libraries#:} ./bin"
"""


SPREADING = """\
# What is mounted in this container is to be seen on the host, too: that is rootfsPropagation shared. By mount(8), which
# attaches at a path of the host's, the mounts that make the container would be seen there as well, and stay; and where
# the parent is shared, pivot_root refuses. The runtime makes them out of sight (open_tree(2), move_mount(2)).
echo 'rootfsPropagation shared: no command of util-linux can do that without mounting on the host' >&2
exit 1
"""


MEETING = """\
# A directory for what the processes have in common.
export meeting=$(mktemp -d)
chmod 711 "$meeting"
"""
LEAVE = """\
# A mount namespace that is still the host's: what is mounted here for the container is seen by nobody else.
unshare --mount --propagation slave bash -euc "$leaving"
"""


def script(plan: Plan) -> str:
    """The whole script."""
    at = next(number for number, step in enumerate(plan.outside) if isinstance(step, Enter))
    before, enter, after = plan.outside[:at], plan.outside[at], plan.outside[at + 1:]
    assert isinstance(enter, Enter)
    if not enter.user and any(isinstance(step, Propagation) and "shared" in step.kind for step in plan.inside):
        return "\n".join((HEAD, SPREADING))
    hooks = tuple(step for step in after if isinstance(step, BY_OTHERS))
    own = tuple(step for step in after if not isinstance(step, BY_OTHERS))
    users = tuple(step for step in before if isinstance(step, NewUserNamespace | OpenUserNamespace))
    host = tuple(step for step in before if step not in users)
    # This shell stays outside, and ends what is in the cgroup; the process in the new namespaces is what enters it.
    counted = tuple(step for step in plan.leaving if isinstance(step, EnterCgroup))
    rest = tuple(step for step in plan.leaving if step not in counted)
    # A process in another user namespace may no longer write to the host's files: so it does before.
    entering: Steps = (enter,) if enter.user else (enter, *counted, *own)
    _, *stages = split((*entering, *ordered(plan.inside)))
    texts = [stage(name(began), began, steps, following) for began, steps, following in joined(stages)]
    if enter.user:
        texts.append(leaving((*own, *rest, *users), enter))
        last = LEAVE
    else:
        host = (*host, *rest)
        last = started(enter, wait=True)
    meeting = MEETING if hooks or enter.user else ""
    return "\n".join(filter(None, (
        HEAD, clean_up(plan), INSIDE, HOST, body(host), meeting, runner(hooks), *texts,
        "# ---- And now all that is executed.\n", last))) + "\n"


def leaving(steps: Steps, enter: Enter) -> str:
    """What is done with the host's privileges before a user namespace takes them: in a mount namespace of its own."""
    text = f"{body(steps)}\n{started(enter)}"
    return "# ---- Executed with the host's privileges, the last time\n" + kept("leaving", text)


Stage = tuple[Step[Any] | None, Steps]


def ordered(steps: Steps) -> Steps:
    """As planned, but for the names: bash has no word for sethostname(2), and the host's /proc is there before the
    root changes."""
    names = tuple(step for step in steps if isinstance(step, NAMES))
    rest = tuple(step for step in steps if not isinstance(step, NAMES))
    at = next(number for number, step in enumerate(rest) if isinstance(step, PivotRoot))
    return (*rest[:at], *names, *rest[at:])


def split(steps: Steps) -> list[Stage]:
    """By the steps that start another process; what comes after the change of root is one command in the end."""
    stages: list[tuple[Step[Any] | None, list[Step[Any]]]] = [(None, [])]
    for step in steps:
        moved = any(isinstance(began, PivotRoot) for began, _ in stages)
        if isinstance(step, PivotRoot) or (step.script().endswith(" \\") and not moved):
            stages.append((step, []))
        else:
            stages[-1][1].append(step)
    return [(began, tuple(own)) for began, own in stages]


def joined(stages: list[Stage]) -> list[tuple[Step[Any], Steps, Step[Any] | None]]:
    """Each stage with the step that began it, and the one that it ends with."""
    following = [began for began, _ in stages[1:]]
    return [(began, steps, after) for (began, steps), after in zip(stages, [*following, None], strict=True)
            if began is not None]


def name(step: Step[Any]) -> str:
    """BindRoot: bind_root."""
    return "after" + "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(step).__name__)


def stage(variable: str, began: Step[Any], steps: Steps, following: Step[Any] | None) -> str:
    """The text of one process, kept in a variable until it is executed."""
    lines = []
    if isinstance(began, Enter) and began.user:
        lines.append("exec 8<&-  # the user namespace: this process is in it\n")
    if isinstance(began, PivotRoot):
        lines.append(f"{began.script()}\n")
    lines.append(body(steps) if following is not None else last(steps))
    if following is not None:
        lines.append(started(following))
    text = "\n".join(filter(None, lines))
    return f"# ---- {heading(began)}\n{kept(variable, text)}"


def kept(variable: str, text: str) -> str:
    """The text in a variable. Quoted words of a config.json in it may have any lines: none of them ends it."""
    end = f"END_OF_{variable}"
    while end in text:
        end += "_"
    return f"read -r -d '' {variable} <<'{end}' || true\n{text}\n{end}\nexport {variable}\n"


def heading(began: Step[Any]) -> str:
    return f"Executed after: {line(began.describe())}"


def started(step: Step[Any], *, wait: bool = False) -> str:
    """The command that the next stage is the argument of."""
    words = "" if isinstance(step, PivotRoot) else step.script().removesuffix("\\")
    begin = "" if wait else "exec "
    return f"{comment(step)}\n{begin}{words}bash -euc \"${name(step)}\""


def last(steps: Steps) -> str:
    """After the root has changed: what bash does itself, and then the one command that becomes the program.

    It has no `exec` before it, which makes paths absolute: the last command of `bash -c` takes its place anyway.
    """
    starting = tuple(step for step in steps if step.script().endswith(" \\"))
    privileges = tuple(step for step in starting if step.script().startswith("setpriv "))
    execute = tuple(step for step in steps if isinstance(step, Execute))
    rest = tuple(step for step in steps if step not in starting and step not in execute)
    unsaid = UNSAID if kept_back(steps) else ""
    options = " ".join(step.script().removesuffix(" \\").removeprefix("setpriv ") for step in privileges)
    # As who the program will be.
    hooks = {id(step): step.words("$host/", f"$host/setpriv {options} ", pid="$$", directory=" -C \"$directory\"")
             for step in rest if isinstance(step, ContainerHook)}
    others = "".join(f"$host/{step.script()}\n    " for step in starting if step not in privileges)
    directory = "".join(" -C \"$directory\"" for step in steps if isinstance(step, WorkingDirectory))
    home = "".join(" HOME=\"$home\"" for step in steps if isinstance(step, FindHome))
    words = "".join(step.script() for step in execute)
    return "\n".join((body(rest, hooks), *(comment(step) for step in (*starting, *execute)),
                      f"{unsaid}{others}$host/setpriv {options} \\\n    $host/env -i{directory}{home} {words}"))


UNSAID = """\
# setpriv(1) has no word for the permitted set (capset(2)). Mostly execve(2) makes a new one anyway; but without new
# privileges root keeps what it had, so that the program has all of the bounding set here, which is more than it should.
"""


def kept_back(steps: Steps) -> bool:
    """Whether the permitted set lasts beyond execve, and is not the bounding set: capabilities(7), for root."""
    asked = {type(step): step for step in steps}
    user, sets, most = asked.get(BecomeUser), asked.get(SetCapabilities), asked.get(DropBounding)
    return (NoNewPrivileges in asked and isinstance(user, BecomeUser) and user.uid == 0
            and isinstance(sets, SetCapabilities) and isinstance(most, DropBounding)
            and not {*most.kept} <= {*sets.permitted})


def runner(hooks: Steps) -> str:
    """Hooks of the host's side run in a process that stays there, and meets the container's at two FIFOs."""
    if not hooks:
        return ""
    inner = textwrap.indent(body(hooks), "    ")
    return ("# ---- A process that stays in the host's namespaces, and runs the hooks when the mounts are made\n"
            f"mkfifo \"$meeting\"/due \"$meeting\"/done\n"
            f"(\n    trap 'kill -KILL $pid' ERR  # a hook that fails is the end of the container\n{inner}\n) &\n")


def clean_up(plan: Plan) -> str:
    """The end of `run`: nobody is left, no cgroup, and the hooks of the end."""
    made = tuple(directory for step in plan.outside if isinstance(step, MakeCgroup) for directory in step.directories)
    if not made:
        return ""
    hooks = [step.script() for step in plan.later if isinstance(step, LaterHook) and step.kind == "poststop"]
    after = "".join(f"    {words}\n" for words in hooks)
    if any(isinstance(step, LaterHook) and step.kind == "poststart" for step in plan.later):
        after += "    echo 'poststart hooks were left out: nobody is here while the program runs' >&2\n"
    return f"""\
# At the end nothing is left: whoever is still in the cgroup is killed, and it is removed as soon as the kernel lets go.
clean_up() {{
    for cgroup in {braces(made)}; do
        kill -KILL $(cat "$cgroup"/**/cgroup.procs) 2>/dev/null || true
        for try in {{1..500}}; do
            mapfile -t all < <(printf '%s\\n' "$cgroup"/**/ | sort -r)
            rmdir "${{all[@]}}" 2>/dev/null || [ ! -d "$cgroup" ] && break
            sleep 0.02
        done
    done
    [ -z "${{meeting-}}" ] || rm -r "$meeting"
{after}}}
shopt -s globstar
trap clean_up EXIT
"""


def body(steps: Iterable[Step[Any]], others: Mapping[int, str] | None = None) -> str:
    """Each step's words below their comment; `others` by id for those that need other words here."""
    found: list[str] = []
    before: type[object] = object
    for step in steps:
        found.append(f"{comment(step, again=type(step) is before)}\n{(others or {}).get(id(step)) or step.script()}\n")
        before = type(step)
    return "\n".join(found)


def comment(step: Step[Any], *, again: bool = False) -> str:
    """What; and, if the step before was not of the same kind, why, and where to read more."""
    reason = "" if again else f"{line(step.why)} -- {line(step.manual)}"
    return "\n".join(f"# {text}" for text in (
        *textwrap.wrap(line(step.describe()), WIDTH, break_long_words=False),
        *textwrap.wrap(reason, WIDTH, initial_indent="  ", subsequent_indent="  ")))


def line(text: str) -> str:
    """Without anything that could end a comment."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
