"""`--format`: the same templates through the real docker client and through ours, on the same server.

What is compared is everything: the text, the complaint, the exit status. Where Docker's client prints something of its
own making (an address in its memory, its own version) there is nothing to compare.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydocker.cli import main
from tests.engine import Engine, Result

NETWORK = ("--network", "none")
TEMPLATES = Path(__file__).parent / "templates"  # one a line

OTHERS = [
    *(("images", format) for format in (
        "{{.Repository}}:{{.Tag}} {{.ID}} {{.Size}} {{.Digest}} {{.Containers}} {{.SharedSize}} {{.UniqueSize}}",
        r"table {{.Repository}}\t{{.ID}}", "json", "{{json .}}", "{{.Foo}}", "{{", "table", "{{if .Tag}}t{{end}}")),
    *(("history busybox", format) for format in ("{{.ID}} {{.Size}} {{.Comment}} {{.CreatedBy}}", "json",
                                                 r"table {{.ID}}\t{{.Comment}}", "{{.Foo}}", "{{")),
    *(("stats --no-stream web", format) for format in ("{{.Name}} {{.Container}} {{.PIDs}}", "{{.Foo}}", "{{",
                                                       r"table {{.Name}}\t{{.PIDs}}")),
    *(("system df", format) for format in ("{{.Type}} {{.TotalCount}} {{.Active}}", "{{.Foo}}", "{{",
                                           r"table {{.Type}}\t{{.TotalCount}}", "json")),
    *(("events --since 1h --until 1s -f event=create", format) for format in (
        "{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{.ID}} {{.Status}} {{.From}} {{.Scope}}",
        "{{json .Actor.Attributes}} {{.Time}} {{.TimeNano}}", "{{.Foo}}", "{{", "{{json .}}", "json",
        "{{if eq .Action \"create\"}}c{{end}}")),
    *(("info", format) for format in ("{{.Containers}} {{.Driver}} {{.NCPU}} {{.CgroupVersion}} {{.SecurityOptions}}",
                                      "{{range .SecurityOptions}}{{.}};{{end}}", "{{json .Plugins.Network}}", "{{",
                                      "{{range $n, $r := .Runtimes}}{{$n}} {{end}}", "{{.Swarm.LocalNodeState}}")),
    *(("version", format) for format in ("{{.Server.Version}} {{.Server.Os}} {{.Server.Arch}}", "{{.Foo}}", "{{",
                                         "{{.Server.Nope}}", "{{range .Server.Components}}{{.Name}} {{end}}")),
    *((f"{noun} ls", format) for noun in ("network", "volume") for format in (
        "{{.Name}} {{.Driver}} {{.Scope}}", '{{.Labels}} {{.Label "a"}}', "json", r"table {{.Name}}\t{{.Driver}}",
        "{{.Foo}}", "{{", "{{json .}}", "{{.Label}}")),
    ("network ls", r"table {{.ID}}\t{{.CreatedAt}} {{.IPv6}} {{.Internal}}"),
    ("volume ls", "{{.Mountpoint}} {{.Links}} {{.Size}} {{.Status}} {{.Group}} {{.Availability}}"),
    *((f"{command} -q", format) for command in ("images", "ps", "history busybox", "network ls", "volume ls")
      for format in ("{{.Foo}}", "table", r"table {{.Driver}}\t{{.ID}}", "json", "quiet", "{{")),
    *(("network inspect none", format) for format in (
        "{{.Name}} {{.Id}}", "{{.ID}}", "{{.IPAM.Config}} {{.Labels}} {{.Options}} {{.Internal}}", "{{json .IPAM}}",
        "{{.Foo}}", "{{len .Containers}}", "{{json .Labels}}")),
    *(("volume inspect data", format) for format in (
        "{{.Name}} {{.Driver}} {{.Labels}} {{.Options}} {{.UsageData}}", "{{json .Labels}}")),
    *(("image inspect busybox", format) for format in (
        "{{.Id}}", "{{.ID}} {{.RepoTags}} {{.Os}}/{{.Architecture}} {{.Size}} {{.Config.Cmd}} {{.Config.Entrypoint}}",
        "{{json .Config.Cmd}} {{.RootFS.Type}} {{len .RootFS.Layers}} {{.Config.Labels}} {{.Author}}|{{.Comment}}",
        "{{.Foo}}", "{{index .RepoTags 0}}", "{{.Config.ExposedPorts}} {{.Config.Healthcheck}}")),
]
CASES = [*((command, format) for command, file in (("inspect web", "inspect"), ("ps", "ps"))
           for format in (TEMPLATES / file).read_text().removesuffix("\n").split("\n")), *OTHERS]


@pytest.fixture(scope="module")
def populated(engine: Engine) -> Iterator[Engine]:
    """A container with something to tell, which all of these only read."""
    engine.ok("run", "-d", "--name", "web", *NETWORK, "-l", "a=b", "-l", "c=<d>&", "-e", "X=1", "-e", "Y=2",
              "-v", "/etc/hostname:/mnt/name:ro", "busybox", "sleep", "1000")
    engine.ok("volume", "create", "--label", "a=b", "data")
    yield engine
    engine.ok("rm", "-f", "web")
    engine.ok("volume", "rm", "data")


def ours(engine: Engine, *argv: str) -> Result:
    """`pydocker ARGV` in this process: what is told apart is a text, and starting Python takes longer than that."""
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        code = main(argv, {"DOCKER_HOST": engine.host}, stdin=os.open(os.devnull, os.O_RDONLY), stdout=out.fileno(),
                    stderr=err.fileno())
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return Result(code, *texts)


def comparable(result: Result) -> tuple[int, str, str]:
    """Sizes, memory and ages move while one looks; Go points to what it cannot name."""
    moving = r"\b\d+(\.\d+)? ?[kMG]?i?B\b|(Less than a second|About a minute|\d+ (second|minute)s?)( ago)? *"
    # They may make their column wider, its head included.
    texts = (re.sub("  +", "  ", re.sub(moving, "N  ", text)) for text in (result.out, result.err))
    return result.code, *(re.sub(r"interface \{\}|map\[string\]\w+", "T", text) for text in texts)


def test_every_template_says_what_it_says_in_docker(populated: Engine) -> None:
    differing = []
    for command, format in CASES:
        argv = (*command.split(), "--format", format)
        theirs, mine = comparable(populated.docker(*argv)), comparable(ours(populated, *argv))
        if theirs != mine:
            differing.append(f"{command} --format '{format}'\n    docker   {theirs}\n    pydocker {mine}")
    assert not differing, f"{len(differing)} of {len(CASES)} differ:\n" + "\n".join(differing)
