"""Flags as Docker's users write them, and Docker's words and statuses where they are wrong."""

import os
import re

import pytest

from pydocker.cli.create_flags import CREATE_FLAGS
from pydocker.cli.errors import BadUsage
from pydocker.cli.flags import INT, STRING, switch, value, values
from pydocker.cli.parse import parse
from tests.unit.cli.conftest import CommandLine
from tests.unit.client.conftest import answer

FLAGS = (switch("-i", "--interactive", help="."), switch("-t", "--tty", help="."), switch("--rm", help="."),
         value("-m", "--memory", help="."), values("-e", "--env", kind=STRING, help="."),
         value("-n", "--last", kind=INT, help="."))


@pytest.mark.parametrize(("line", "given", "arguments"), [
    ("-it x", {"interactive": ["true"], "tty": ["true"]}, ("x",)), ("--rm=false x", {"rm": ["false"]}, ("x",)),
    ("-m 1g x", {"memory": ["1g"]}, ("x",)), ("-m1g x", {"memory": ["1g"]}, ("x",)),
    ("-m=1g x", {"memory": ["1g"]}, ("x",)), ("--memory=1g x", {"memory": ["1g"]}, ("x",)),
    ("--memory 1g x", {"memory": ["1g"]}, ("x",)), ("-eA=b -e C=d x", {"env": ["A=b", "C=d"]}, ("x",)),
    ("-itm 1g x", {"interactive": ["true"], "tty": ["true"], "memory": ["1g"]}, ("x",)),
    ("-it=false x", {"interactive": ["true"], "tty": ["false"]}, ("x",)),
    ("x -t", {}, ("x", "-t")), ("-- -t", {}, ("-t",)), ("-", {}, ("-",)), ("-t - -i", {"tty": ["true"]}, ("-", "-i")),
    ("-n -1 x", {"last": ["-1"]}, ("x",)), ("-m= x", {"memory": [""]}, ("x",)), ("", {}, ()),
])
def test_how_a_line_is_cut(line: str, given: dict[str, list[str]], arguments: tuple[str, ...]) -> None:
    parsed = parse(line.split(), FLAGS, interspersed=False)
    assert (parsed.given, parsed.arguments) == (given, arguments)


def test_flags_may_follow_arguments_where_no_command_does() -> None:
    parsed = parse(["a", "-t", "b", "--", "-i"], FLAGS, interspersed=True)
    assert (parsed.given, parsed.arguments) == ({"tty": ["true"]}, ("a", "b", "-i"))


@pytest.mark.parametrize(("line", "complaint"), [
    ("--foo", "unknown flag: --foo"), ("-x", "unknown shorthand flag: 'x' in -x"),
    ("-tx", "unknown shorthand flag: 'x' in -tx"), ("-m", "flag needs an argument: 'm' in -m"),
    ("--memory", "flag needs an argument: --memory"), ("--=x", "unknown flag: --"),
])
def test_what_is_wrong_with_a_flag(line: str, complaint: str) -> None:
    with pytest.raises(BadUsage) as caught:
        parse(line.split(), FLAGS, interspersed=True)
    assert str(caught.value) == complaint


RUN = "\n\nUsage:  pydocker run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'pydocker run --help' for more information\n"


@pytest.mark.parametrize(("flags", "complaint"), [
    ("-m x", """invalid argument "x" for "-m, --memory" flag: invalid size: 'x'"""),
    ("--cpus -", 'invalid argument "-" for "--cpus" flag: failed to parse - as a rational number'),
    ("--cpus x", 'invalid argument "x" for "--cpus" flag: failed to parse x as a rational number'),
    ("--cpus 0.1234567891", 'invalid argument "0.1234567891" for "--cpus" flag: value is too precise'),
    ("--ulimit x", 'invalid argument "x" for "--ulimit" flag: invalid ulimit argument: x'),
    ("--ulimit foo=1", 'invalid argument "foo=1" for "--ulimit" flag: invalid ulimit type: foo'),
    ("--pids-limit x", 'invalid argument "x" for "--pids-limit" flag: strconv.ParseInt: parsing "x": invalid syntax'),
    ("--rm=foo", 'invalid argument "foo" for "--rm" flag: strconv.ParseBool: parsing "foo": invalid syntax'),
    ("-a foo", 'invalid argument "foo" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'),
    ("-e =x", 'invalid argument "=x" for "-e, --env" flag: invalid environment variable: =x'),
    ("--sysctl x", """invalid argument "x" for "--sysctl" flag: sysctl 'x' is not allowed"""),
    ("--foo", "unknown flag: --foo"),
])
def test_a_bad_flag_is_125_with_dockers_words(pydocker: CommandLine, flags: str, complaint: str) -> None:
    assert pydocker("run", *flags.split(), "busybox") == (125, "", complaint + RUN)


@pytest.mark.parametrize(("line", "complaint", "usage", "hint"), [
    ("run", "requires at least 1 argument", "run [OPTIONS] IMAGE [COMMAND] [ARG...]", "See"),
    ("container run", "requires at least 1 argument", "container run [OPTIONS] IMAGE [COMMAND] [ARG...]", "See"),
    ("ps x", "accepts no arguments", "ps [OPTIONS]", "Run"),
    ("pull", "requires 1 argument", "pull [OPTIONS] NAME[:TAG|@DIGEST]", "Run"),
    ("exec a", "requires at least 2 arguments", "exec [OPTIONS] CONTAINER COMMAND [ARG...]", "See"),
    ("rename a", "requires 2 arguments", "rename CONTAINER NEW_NAME", "Run"),
    ("import", "requires at least 1 argument", "import [OPTIONS] file|URL|- [REPOSITORY[:TAG]]", "See"),
    ("images a b", "requires at most 1 argument", "images [OPTIONS] [REPOSITORY[:TAG]]", "Run"),
    ("commit", "requires at least 1 and at most 2 arguments", "commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]", "Run"),
    ("port a b c", "requires at least 1 and at most 2 arguments", "port CONTAINER [PRIVATE_PORT[/PROTO]]", "Run"),
])
def test_a_wrong_number_of_arguments_is_1(
    pydocker: CommandLine, line: str, complaint: str, usage: str, hint: str
) -> None:
    command = usage.split(" [OPTIONS]")[0].split(" CONTAINER")[0]
    expected = (f"pydocker: 'pydocker {command}' {complaint}\n\nUsage:  pydocker {usage}\n\n"
                f"{hint} 'pydocker {command} --help' for more information\n")
    assert pydocker(*line.split()) == (1, "", expected)


def test_an_unknown_command(pydocker: CommandLine) -> None:
    assert pydocker("nope") == (1, "", "pydocker: unknown command: pydocker nope\n\n"
                                       "Run 'pydocker --help' for more information\n")
    inside = "\n\nUsage:  pydocker container\n\nRun 'pydocker container --help' for more information\n"
    assert pydocker("container", "nope") == (1, "", f"pydocker: unknown command: pydocker container nope{inside}")
    assert pydocker("container", "--nope") == (125, "", f"unknown flag: --nope{inside}")
    assert pydocker("--nope").err.splitlines()[2] == "Usage:  pydocker [OPTIONS] COMMAND [ARG...]"


@pytest.mark.parametrize(("argv", "complaint"), [
    (("rm", ""), "container name cannot be empty"), (("rm", "/"), "container name cannot be empty"),
    (("commit", ""), "invalid container name or ID: value is empty"),
    (("export", ""), "invalid container name or ID: value is empty"),
    (("start", ""), "invalid container name or ID: value is empty\nError: failed to start containers: "),
    (("inspect", "--type", "volume", ""), "invalid volume name or ID: value is empty"),
    (("volume", "inspect", ""), "invalid volume name or ID: value is empty"),
    (("network", "rm", ""), "invalid network name or ID: value is empty"),
    (("network", "connect", "n", ""), "invalid container name or ID: value is empty"),
    (("network", "disconnect", "", "c"), "invalid network name or ID: value is empty"),
    (("image", "inspect", ""), "Error: No such image: "),
    (("commit", "c", f"x@sha256:{'0' * 64}"), "refusing to create a tag with a digest reference"),
    (("import", "-", f"x@sha256:{'0' * 64}"), "cannot import digest reference"),
    (("tag", "", "x"), 'Error parsing reference: "" is not a valid repository/tag: invalid reference format'),
])
def test_what_cannot_be_a_name_is_asked_of_no_server(
    pydocker: CommandLine, argv: tuple[str, ...], complaint: str
) -> None:
    said = pydocker(*argv)
    assert (said.code, said.err) == (1, f"{complaint}\n")


@pytest.mark.parametrize(("flags", "complaint"), [
    (("--network", ""), "no name set for network"),
    (("--network", "none", "--network-alias", "x"),
     "network-scoped aliases are only supported for user-defined networks"),
    (("--network", "none", "--network", "x"),
     "conflicting options: cannot attach both user-defined and non-user-defined network-modes"),
])
def test_networks_that_cannot_be(pydocker: CommandLine, flags: tuple[str, ...], complaint: str) -> None:
    said = pydocker("run", *flags, "busybox")
    assert said == (125, "", f"pydocker: {complaint}\n\nRun 'pydocker run --help' for more information\n")


@pytest.mark.parametrize("verb", ["export", "save"])
def test_where_an_archive_can_be_written(pydocker: CommandLine, verb: str) -> None:
    os.mkfifo(pydocker.directory / "fifo")
    (pydocker.directory / "link").symlink_to("nowhere")
    for path, complaint in (
        ("/dev/null", "cannot write to a character device file"), (".", "cannot write to a directory"),
        ("fifo", "cannot write to a named pipe (FIFO)"), ("link", "cannot write to a symbolic link directly"),
        ("/etc/passwd/x", "invalid output path: stat /etc/passwd: not a directory"),
    ):
        said = pydocker(verb, "-o", path, "x")
        assert (said.code, said.err.partition(": ")[2]) == (1, f"{complaint}\n")
    pydocker.server.answers = [answer("200 OK", b"archive")]
    assert pydocker(verb, "-o", "", "x") == (0, "archive", "")


@pytest.mark.parametrize("flag", [
    "--storage-opt=a=b", "--use-api-socket"])
def test_a_flag_that_is_not_there_says_why(pydocker: CommandLine, flag: str) -> None:
    said = pydocker("run", flag, "busybox")
    assert said.code == 125
    assert said.err.startswith("pydocker: --")
    assert re.match(r"pydocker: --[a-z-]+ is not supported: \w+", said.err)


def test_help_shows_every_command_and_flag(pydocker: CommandLine) -> None:
    top = pydocker("--help")
    assert top.code == 0
    assert top.out.startswith("Usage:  pydocker [OPTIONS] COMMAND\n")
    assert all(f"\n  {name} " in top.out for name in ("run", "ps", "container", "serve"))
    run = pydocker("run", "--help")
    assert run.out.startswith("Usage:  pydocker run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nCreate and run")
    assert all(flag.opts[-1] in run.out for flag in CREATE_FLAGS)
    assert max(map(len, run.out.splitlines())) <= 80
    assert pydocker("help", "run").out == run.out


def test_version_needs_no_server(pydocker: CommandLine) -> None:
    assert pydocker("--version").out.startswith("pydocker version ")
