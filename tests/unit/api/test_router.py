"""Paths, versions and queries; the router needs no transport."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.api.exchange import Request, Response
from pydocker.api.router import Router, parse_target
from pydocker.errors import InvalidParameter, NotModified

Handle = Callable[..., Response]


def message(response: Response) -> str:
    return str(json.loads(response.content)["message"])


def test_names_with_slashes_are_names_of_images() -> None:
    seen: list[Request] = []

    def note(request: Request) -> Response:
        seen.append(request)
        return Response()

    router = Router(("GET", "/images/json", note), ("GET", "/images/{name:*}/json", note), ("DELETE", "/x/{id}", note))
    for path in ("/images/json", "/v1.41/images/registry:5000/a/b:1/json", "/images/a@sha256:0/json"):
        assert router.handle(Request(method="GET", path=path)) == Response()
    assert [request.parameters for request in seen] == [{}, {"name": "registry:5000/a/b:1"}, {"name": "a@sha256:0"}]
    assert seen[1].version == (1, 41)
    for path in ("/x/", "/x/a/b", "/images//json/", "/images/json/x"):
        assert router.handle(Request(method="DELETE", path=path)).status == 404  # type: ignore[union-attr]


@pytest.mark.parametrize(("path", "status", "words"), [
    ("/v1.48/_ping", 400, "client version 1.48 is too new. Maximum supported API version is 1.47"),
    ("/v1.23/_ping", 400, "client version 1.23 is too old. Minimum supported API version is 1.24, "
                          "please upgrade your client to a newer version"),
    ("/v2/_ping", 404, "page not found"),
    ("/v1.47", 404, "page not found"),
    ("/", 404, "page not found"),
    ("/containers/x/json", 404, "No such container: x"),
    ("/images/a/b/json", 404, "No such image: a/b:latest"),
])
def test_errors_in_dockers_words(handle: Handle, path: str, status: int, words: str) -> None:
    response = handle("GET", path)
    assert (response.status, message(response)) == (status, words)


def test_not_modified_has_no_body() -> None:
    def refuse(request: Request) -> Response:
        raise NotModified("already")

    assert Router(("GET", "/", refuse)).handle(Request(method="GET", path="/")) == Response(304)


def test_a_full_disk_is_no_bug() -> None:
    def fill(request: Request) -> Response:
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")
        return Response()

    response = Router(("GET", "/", fill)).handle(Request(method="GET", path="/"))
    assert isinstance(response, Response)
    assert (response.status, message(response)) == (500, "no space left on device")


def test_a_bug_is_an_answer_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def stumble(request: Request) -> Response:
        raise ZeroDivisionError("division by zero")

    response = Router(("GET", "/", stumble)).handle(Request(method="GET", path="/"))
    assert isinstance(response, Response)
    assert (response.status, message(response)) == (500, "internal error: ZeroDivisionError: division by zero")
    assert "Traceback" in caplog.text  # the server's log has it


@pytest.mark.parametrize(("method", "target", "body", "words"), [
    ("POST", "/containers/create", b"{", "invalid JSON: Input data was truncated"),
    ("POST", "/containers/create", b"[]", "invalid JSON: Expected `object`, got `array`"),
    ("POST", "/containers/create", b"[" * 100_000, "invalid JSON"),
    ("POST", "/containers/create", b'{"a":' * 100_000, "invalid JSON"),
    ("POST", "/containers/create", b'{"Image":"\xff"}', "invalid JSON"),
    ("POST", "/containers/create", {"Cmd": [1]}, "expected `str`, got `int` - at `$.Cmd[0]`"),
    ("POST", "/containers/create", {"HostConfig": {"Ulimits": [{"Name": "a\0"}]}},
     "NUL byte - at `$.HostConfig.Ulimits[0].Name`"),
    ("POST", "/containers/create", {"Labels": {"a\0": "b"}}, "NUL byte - at `$.Labels`"),
    ("POST", "/containers/create?name=%00", {}, "NUL byte"),
    ("POST", "/containers/create", {"HostConfig": {"Memory": 2**63}},
     "9223372036854775808 does not fit into 64 bits - at `$.HostConfig.Memory`"),
    ("POST", "/containers/create", b'{"StopTimeout": -9223372036854775809}',
     "-9223372036854775809 does not fit into 64 bits - at `$.StopTimeout`"),
    ("POST", "/containers/x/exec", {"Cmd": []}, "No exec command specified"),
    ("GET", "/containers/json?limit=many", None, "invalid limit 'many': expected a whole number"),
    ("GET", "/containers/json?filters=x", None, "invalid filters"),
    ("GET", "/containers/json?filters=[]", None, "invalid filters"),
    ("GET", '/containers/json?filters={"status":["sleepy"]}', None, "invalid filter 'status=sleepy'"),
    ("GET", '/containers/json?filters={"exited":["x"]}', None, 'strconv.Atoi: parsing "x": invalid syntax'),
    ("GET", '/images/json?filters={"dangling":["maybe"]}', None, "invalid filter 'dangling=[maybe]'"),
    ("GET", "/containers/x/logs", None, "you must choose at least one stream"),
    ("GET", "/containers/x/logs?stdout=1&since=yesterday", None, "invalid since 'yesterday'"),
    ("GET", "/containers/x/logs?stdout=1&until=nan", None, "invalid until 'nan'"),
    ("GET", "/containers/x/logs?stdout=1&tail=few", None, "invalid tail 'few'"),
    ("POST", "/containers/x/wait?condition=never", None, "invalid condition: 'never'"),
    ("POST", "/containers/x/resize?h=1", None, "invalid size"),
    ("POST", "/containers/x/resize?h=70000&w=1", None, "invalid size 70000x1: out of range"),
    ("POST", "/containers/x/stop?t=soon", None, "invalid t 'soon'"),
    ("POST", "/images/create", None, "fromImage or fromSrc is needed"),
    ("POST", "/images/create?fromImage=UPPER&tag=1", None, "must be lowercase"),
    ("POST", "/images/create?fromImage=a&tag=sha256:1", None, "invalid digest"),
    ("POST", "/images/x/tag", None, "repo is empty"),
    ("POST", "/images/x/tag?repo=a@sha256:" + "0" * 64, None, "refusing to create a tag with a digest reference"),
])
def test_wrong_requests_are_named(handle: Handle, method: str, target: str, body: object, words: str) -> None:
    response = handle(method, target, body)
    assert response.status == 400
    assert words in message(response)


def test_what_is_not_there_yet_is_said(handle: Handle) -> None:
    response = handle("POST", "/containers/x/start?checkpoint=a")
    assert (response.status, "not supported yet" in message(response)) == (501, True)


def test_a_backslash_before_u0000_is_no_nul(handle: Handle) -> None:
    assert handle("POST", "/containers/create", {"Image": "busybox", "Cmd": [r"\u0000"]}).status == 201


def test_times_keep_their_nanoseconds() -> None:
    request = Request(method="GET", path="/", query={"since": ["1136073600.000000001"], "until": ["5"]})
    assert (request.nanoseconds("since"), request.nanoseconds("until")) == (1136073600_000000001, 5 * 10**9)
    assert request.nanoseconds("else") == 0


@pytest.mark.parametrize(("text", "expected"), [
    ("1", True), ("true", True), ("True", True), ("yes", True), ("0", False), ("false", False), ("", False),
    ("no", False), ("None", False)])
def test_flags_are_read_as_docker_reads_them(text: str, expected: bool) -> None:
    assert Request(method="GET", path="/", query={"all": [text]}).flag("all") is expected


@given(st.text())
def test_any_target_is_read_or_refused(target: str) -> None:
    try:
        path, query = parse_target(target)
    except InvalidParameter:
        return
    assert "\0" not in path
    assert all("\0" not in value for values in query.values() for value in values)
