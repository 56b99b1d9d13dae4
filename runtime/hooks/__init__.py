"""Hooks: programs of the caller's that run at fixed moments of a container's life (runtime-spec, config.md "Hooks").

    prestart, createRuntime   in the host's namespaces     mounts are made, the root is not yet changed
    createContainer           in the container's           then; from the host's files, in the root's directory
    startContainer            in the container's           `start` was called; all privileges are gone; its own files
    poststart                 in the host's                the program runs
    poststop                  in the host's                the container is gone

Each gets the container's state as JSON on its standard input, and nothing else of ours: its environment and arguments
are those of config.json, exactly (CVE-2024-0132: never the container's environment); descriptors above 2 are closed.
The state's pid is as whoever asks sees it: inside the container's own pid namespace init is 1. The order,
the status in the state, the working directories and the words of errors are runc's; a failing poststart stops the
container, a failing poststop is a warning (runtime.md, "Lifecycle").

    steps     the hooks as steps of the plan
    meeting   how the two sides wait for each other
    running   running one
"""

from typing import Any

import msgspec

from runtime import log
from runtime.errors import StepFailed
from runtime.hooks.meeting import (
    AwaitMounts,
    AwaitRuntimeHooks,
    GoToRoot,
    LetGoOn,
    OpenAnswer,
    RememberProcess,
    TellStarted,
)
from runtime.hooks.steps import ContainerHook, HookStep, LaterHook, RuntimeHook, Subject, subject
from runtime.spec import Hook, Hooks, State, Status
from runtime.stage import Placed

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def placed(hooks: Hooks, answer: str, about: Subject) -> Placed:
    """Where hooks stand in the plan: `about` is the container, still without pid, `answer` the FIFO to `start`."""
    runtime = (*all_of(RuntimeHook, hooks, "prestart", about), *all_of(RuntimeHook, hooks, "createRuntime", about))
    container = all_of(ContainerHook, hooks, "createContainer", about)
    start = all_of(ContainerHook, hooks, "startContainer", about, Status.CREATED)
    return Placed(
        outside=((RememberProcess(),) if runtime or container else ()) +
                ((AwaitMounts(), *runtime, LetGoOn()) if runtime else ()),
        leaving=(OpenAnswer(answer),) if start else (),
        mounted=((AwaitRuntimeHooks(),) if runtime else ()) + ((GoToRoot(), *container) if container else ()),
        started=(*start, TellStarted()) if start else (),
        later=(*all_of(LaterHook, hooks, "poststart", about, Status.RUNNING),
               *all_of(LaterHook, hooks, "poststop", about, Status.STOPPED)))


def all_of(make: type[HookStep[Any]], hooks: Hooks | None, kind: str, about: Subject,
           status: Status | None = None) -> tuple[Any, ...]:
    """The hooks of one kind, in order. `status` is the container's by then, if not that of `about`."""
    then = about if status is None else msgspec.structs.replace(about, status=status)
    return tuple(make(kind, number, hook, then) for number, hook in enumerate(of_kind(hooks, kind)))


def of_kind(hooks: Hooks | None, kind: str) -> tuple[Hook, ...]:
    """The hooks of one kind, by the specification's name."""
    if hooks is None:
        return ()
    return {"prestart": hooks.prestart, "createRuntime": hooks.create_runtime,
            "createContainer": hooks.create_container, "startContainer": hooks.start_container,
            "poststart": hooks.poststart, "poststop": hooks.poststop}[kind]


def after_start(hooks: Hooks | None, state: State) -> None:
    """The poststart hooks. Raises StepFailed at the first that fails."""
    for step in all_of(LaterHook, hooks, "poststart", subject(state)):
        step.apply(state)


def after_end(hooks: Hooks | None, state: State) -> None:
    """The poststop hooks: all of them; one that fails is a warning."""
    gone = msgspec.structs.replace(state, status=Status.STOPPED, pid=0)
    for step in all_of(LaterHook, hooks, "poststop", subject(gone)):
        try:
            step.apply(gone)
        except StepFailed as error:
            log.warning(str(error))
