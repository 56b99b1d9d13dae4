"""What lists look like: columns, formats, sizes, ages; against rows as the real docker prints them."""

import msgspec
import pytest

from pydocker.cli import phrases, table, timestamps
from pydocker.cli.errors import CommandError
from tests.unit.cli.conftest import CommandLine
from tests.unit.client.conftest import answer

ID = "0123456789abcdef" * 4
LISTED = answer("200 OK", b'''[{"Id":"%s","Names":["/web","/other/alias"],"Image":"busybox","ImageID":"sha256:1",
"Command":"sh -c 'sleep 1000; sleep 1000'","Created":0,
"Ports":[{"PrivatePort":80,"PublicPort":8080,"IP":"0.0.0.0","Type":"tcp"},
{"PrivatePort":53,"Type":"udp"}],"Labels":{"b":"2","a":"1"},"State":"running","Status":"Up 3 minutes",
"NetworkSettings":{"Networks":{"none":{}}},"Mounts":[],"Unknown":{"x":1}}]''' % ID.encode())
EMPTY = answer("200 OK", b"[]")


def test_ps_has_dockers_columns(pydocker: CommandLine) -> None:
    pydocker.server.answers = [LISTED, EMPTY]
    head, row = pydocker("ps").out.splitlines()
    assert head.split("   ")[0] == "CONTAINER ID"
    names = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES")
    starts = [head.index(name) for name in names]
    cells = [row[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
    assert cells[0] == "0123456789ab"
    assert cells[2] == "\"sh -c 'sleep 1000; …\""
    assert cells[4:] == ["Up 3 minutes", "53/udp, 0.0.0.0:8080->80/tcp", "web"]
    assert pydocker("ps").out == "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"


@pytest.mark.parametrize(("flags", "out"), [
    (("-q",), "0123456789ab\n"), (("-q", "--no-trunc"), f"{ID}\n"),
    (("--format", "{{.ID}} {{.Names}}"), "0123456789ab web\n"),
    (("--format", r"table {{.Names}}\t{{.Status}}"), "NAMES     STATUS\nweb       Up 3 minutes\n"),
    (("--format", "{{.Labels}}|{{.Networks}}"), "a=1,b=2|none\n"), (("--format", "{{json .Command}}"), None),
])
def test_ps_formats(pydocker: CommandLine, flags: tuple[str, ...], out: str | None) -> None:
    pydocker.server.answers = [LISTED]
    said = pydocker("ps", *flags)
    assert said.out == (out if out is not None else "\"\\\"sh -c 'sleep 1000; …\\\"\"\n")


def test_ps_quotes_a_command_as_go_does(pydocker: CommandLine) -> None:
    listed = answer("200 OK", msgspec.json.encode([{"Id": ID, "Command": 'sh -c \'echo "a\\b"\n#####'}]))
    pydocker.server.answers = [listed] * 2
    assert pydocker("ps", "--no-trunc", "--format", "{{.Command}}").out == '"sh -c \'echo \\"a\\\\b\\"\\n#####"\n'
    assert pydocker("ps", "--format", "{{.Command}}").out == '"sh -c \'echo \\"a\\\\b\\"\\n#…"\n'


def test_an_empty_filter_asks_for_nothing(pydocker: CommandLine) -> None:
    pydocker.server.answers = [EMPTY] * 2
    pydocker("ps", "-f", "")
    pydocker("images", "-f", "", "")
    assert [request.split()[1] for request in pydocker.server.requests] == [
        b"/v1.47/containers/json", b"/v1.47/images/json"]


def test_an_empty_filter_is_not_told_of(pydocker: CommandLine) -> None:
    assert "filtered with" not in pydocker("system", "prune", "--filter", "", stdin=b"n\n").out
    assert "filtered with:\n  - label=x\n" in pydocker("system", "prune", "--filter", "label=x", stdin=b"n\n").out


def test_inspect_of_a_type_says_what_the_server_says(pydocker: CommandLine) -> None:
    pydocker.server.answers = [answer("404 Not Found", b'{"message":"No such image: a:latest"}')]
    said = pydocker("inspect", "--type", "image", "a")
    assert said == (1, "[]\n", "Error response from daemon: No such image: a:latest\n")


def test_ps_asks_for_what_the_flags_say(pydocker: CommandLine) -> None:
    pydocker.server.answers = [EMPTY] * 3
    pydocker("ps", "-a", "-f", "name=web", "-f", "name=db", "-f", "status=exited")
    pydocker("ps", "-l")
    pydocker("ps", "-n", "3", "-s")
    assert [request.split()[1].removeprefix(b"/v1.47/containers/json?") for request in pydocker.server.requests] == [
        b"all=1&filters=%7B%22name%22:%7B%22web%22:true%2C%22db%22:true%7D%2C%22status%22:%7B%22exited%22:true%7D%7D",
        b"limit=1", b"limit=3&size=1"]


@pytest.mark.parametrize(("flags", "code", "err"), [
    (("--format", "{{"), 1, "failed to parse template: template: :1: unclosed action"),
    (("--format", "a {{ .Foo}}"), 1,
     'failed to execute template: template: :1:5: executing "" at <.Foo>: '
     "can't evaluate field Foo in type *formatter.ContainerContext"),
    (("--filter", "name"), 125,
     'invalid argument "name" for "-f, --filter" flag: bad format of filter (expected name=value)'),
])
def test_ps_complains(pydocker: CommandLine, flags: tuple[str, ...], code: int, err: str) -> None:
    pydocker.server.answers = [LISTED]
    said = pydocker("ps", *flags)
    assert (said.code, said.err.split("\n")[0]) == (code, err)


def test_images_tell_each_name(pydocker: CommandLine) -> None:
    listed = answer("200 OK", b'''[{"Id":"sha256:%s","RepoTags":["a:1","localhost:5000/b:2"],
"RepoDigests":["a@sha256:d"],"Created":0,"Size":1986560},
{"Id":"sha256:ff","RepoTags":null,"RepoDigests":[],"Created":0,"Size":5}]''' % ID.encode())
    pydocker.server.answers = [listed] * 2
    out = pydocker("images", "--format", "{{.Repository}}|{{.Tag}}|{{.ID}}|{{.Size}}").out
    assert out == "a|1|0123456789ab|1.99MB\nlocalhost:5000/b|2|0123456789ab|1.99MB\n<none>|<none>|ff|5B\n"
    out = pydocker("images", "--digests", "--format", "{{.Repository}} {{.Digest}}").out
    assert out == "a sha256:d\nlocalhost:5000/b <none>\n<none> <none>\n"


def test_inspect_prints_what_is_there_and_tells_what_is_not(pydocker: CommandLine) -> None:
    missing = answer("404 Not Found", b'{"message":"No such container: b"}')
    pydocker.server.answers = [answer("200 OK", b'{"Id":"a","N":[]}\n'), *[missing] * 4]
    said = pydocker("inspect", "a", "b")
    assert said == (1, '[\n    {\n        "Id": "a",\n        "N": []\n    }\n]\n', "Error: No such object: b\n")
    pydocker.server.answers = [answer("200 OK", b'{"Config":{"Labels":{"a.b":"c"},"Cmd":["x","y"]}}')]
    said = pydocker("inspect", "-f", '{{index .Config.Labels "a.b"}} {{.Config.Cmd}} {{json .Config.Cmd}}', "a")
    assert said == (0, 'c [x y] ["x","y"]\n', "")


def test_verbs_do_what_they_can(pydocker: CommandLine) -> None:
    done, missing = answer("204 No Content"), answer("404 Not Found", b'{"message":"No such container: b"}')
    pydocker.server.answers = [done, missing, done]
    code, out, err = pydocker("stop", "-t", "3", "a", "b", "c")  # all at once: any of them may get the second answer
    assert (code, err) == (1, "Error response from daemon: No such container: b\n")
    assert out in ("a\nb\n", "a\nc\n", "b\nc\n")
    assert sorted(request.partition(b" HTTP")[0] for request in pydocker.server.requests) == [
        b"POST /v1.47/containers/%s/stop?t=3" % name for name in (b"a", b"b", b"c")]
    pydocker.server.answers = [missing]
    assert pydocker("rm", "-f", "b") == (0, "", "Error response from daemon: No such container: b\n")
    pydocker.server.answers = [missing]
    assert pydocker("start", "b") == (
        1, "", "Error response from daemon: No such container: b\nError: failed to start containers: b\n")


@pytest.mark.parametrize(("count", "said"), [(0, "0B"), (999, "999B"), (1000, "1kB"), (1_986_560, "1.99MB"),
                                            (184_000_000, "184MB"), (2_500_000_000, "2.5GB")])
def test_sizes(count: int, said: str) -> None:
    assert phrases.decimal_size(count) == said


def test_binary_sizes_and_ages() -> None:
    assert phrases.binary_size(25_275_000_000) == "23.54GiB"
    assert phrases.ago(100, now=100 + 3 * 60) == "3 minutes ago"
    assert phrases.ago(100, now=50) == "Less than a second ago"


def test_columns_are_as_wide_as_they_must() -> None:
    assert table.aligned([["A", "B"], ["x" * 12, "y"]]) == f"A{' ' * 14}B\n{'x' * 12}   y\n"


@pytest.mark.parametrize(("text", "seconds"), [
    ("1136073600.000000001", "1136073600.000000001"), ("2006-01-02T15:04:05Z", "1136214245.000000000"),
    ("2006-01-02T15:04:05.25+01:00", "1136210645.250000000"), ("2006-01-02T15:04Z", "1136214240.000000000"),
    ("10m", "400.000000000"), ("1m30s", "910.000000000"), ("1.5s", "998.500000000"),
])
def test_moments(text: str, seconds: str) -> None:
    assert timestamps.seconds(text, "since", now=1000) == seconds


@pytest.mark.parametrize("text", ["", "foo", "10x", "2006-13-01", "1h 2m", "-1h"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(CommandError, match='invalid value for "since"'):
        timestamps.seconds(text, "since")


def test_control_characters_never_reach_the_terminal(pydocker: CommandLine) -> None:
    """What an image is labelled, and what a server complains about, is text and no command to a terminal."""
    labels = rb'{"a":"\u001b]0;x\u0007\u009b31m\r"}'
    pydocker.server.answers = [
        answer("200 OK", b'[{"Id":"%s","Image":"busybox","Created":0,"Labels":%s}]' % (ID.encode(), labels)),
        answer("404 Not Found", rb'{"message":"No such container: \u001b[2Jx\u007f"}')]
    assert pydocker("ps", "--format", "table {{.Labels}}").out == "LABELS\na=\\x1b]0;x\\x07\\x9b31m\\x0d\n"
    assert "\\x1b[2Jx\\x7f" in pydocker("rm", "x").err
