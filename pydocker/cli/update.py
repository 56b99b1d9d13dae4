"""`pydocker update`: other limits for containers, at once where they run."""

import re
from typing import Any

from pydocker.cli import publish_flags
from pydocker.cli.command import SOME, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.flags import BYTES, CPUS, INT, SWAP, UINT, value, values
from pydocker.cli.lifecycle import each
from pydocker.cli.request import put
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.model.port import publish


def update(session: Session, arguments: tuple[str, ...], *, restart: str | None, publish_add: tuple[str, ...],
           publish_rm: tuple[str, ...], **limits: Any) -> int:
    """Change each; what the server warns of is said at the end."""
    request: dict[str, Any] = {}
    for flag in _FLAGS:
        found = limits.get(str(flag.name))
        if flag.to and found is not None:
            put(request, flag.to, found)
    if restart is not None:
        request["RestartPolicy"] = policy(restart)
    for field, words in (("PublishAdd", publish_add), ("PublishRemove", publish_rm)):
        if words:
            request[field] = _bindings(words)
    if not request:
        raise CommandError("you must provide one or more flags when using this command")
    warnings: list[str] = []

    def act(name: str) -> str:
        warnings.extend(containers.update(session.client(), name, request))
        return name

    status = each(session, arguments, act)
    for warning in warnings:
        session.say(warning)
    return status


def _bindings(words: tuple[str, ...]) -> publish_flags.Bindings:
    try:
        return publish_flags.bindings(one for text in words for one in publish(text))
    except ValueError as error:
        raise CommandError(str(error)) from error


def policy(text: str) -> dict[str, object]:
    """`on-failure:3` as the API has it. Raises CommandError in Docker's words (docker/cli, opts.ParseRestartPolicy)."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise CommandError("invalid restart policy format: no policy provided before colon")
    if colon and not re.fullmatch(r"[+-]?\d{1,18}", count, re.ASCII):
        raise CommandError("invalid restart policy format: maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


_FLAGS = (
    value("--blkio-weight", kind=UINT, help="Block IO (relative weight), between 10 and 1000, or 0 to disable",
          to="BlkioWeight", shown="0"),
    value("--cpu-period", kind=INT, help="Limit CPU CFS (Completely Fair Scheduler) period", to="CpuPeriod"),
    value("--cpu-quota", kind=INT, help="Limit CPU CFS (Completely Fair Scheduler) quota", to="CpuQuota"),
    value("--cpu-rt-period", kind=INT, help="Limit the CPU real-time period in microseconds", to="CpuRealtimePeriod"),
    value("--cpu-rt-runtime", kind=INT, help="Limit the CPU real-time runtime in microseconds",
          to="CpuRealtimeRuntime"),
    value("-c", "--cpu-shares", kind=INT, help="CPU shares (relative weight)", to="CpuShares"),
    value("--cpus", kind=CPUS, help="Number of CPUs", to="NanoCpus"),
    value("--cpuset-cpus", help="CPUs in which to allow execution (0-3, 0,1)", to="CpusetCpus"),
    value("--cpuset-mems", help="MEMs in which to allow execution (0-3, 0,1)", to="CpusetMems"),
    value("-m", "--memory", kind=BYTES, help="Memory limit", to="Memory"),
    value("--memory-reservation", kind=BYTES, help="Memory soft limit", to="MemoryReservation"),
    value("--memory-swap", kind=SWAP, help="Swap limit equal to memory plus swap: -1 to enable unlimited swap",
          to="MemorySwap"),
    value("--pids-limit", kind=INT, help="Tune container pids limit (set -1 for unlimited)", to="PidsLimit"),
    values("--publish-add", help="Publish one more port (as run's --publish), at once where it runs"),
    values("--publish-rm", help="Publish a port no more: HOST:CONTAINER, or CONTAINER for all of its places"),
    value("--restart", help="Restart policy to apply when a container exits"),
)

UPDATE = Command(
    "update", update, synopsis="CONTAINER [CONTAINER...]", arity=SOME,
    help="Update configuration of one or more containers", aliases=("container update", "update"), flags=_FLAGS)
