"""Whatever arrives: an answer below 500 that is JSON, or a closed connection; and the next client is served."""

import json
import random
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pydocker.api.exchange import Response
from tests.unit.api.conftest import Running

REQUEST = (b"POST /v1.41/containers/create?name=web HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n"
           b'Content-Length: 41\r\n\r\n{"Image": "busybox", "Cmd": ["echo", "x"]}')


def exchange(running: Running, sent: bytes) -> bytes:
    with running.connect() as client:
        try:
            client.sendall(sent)
            client.shutdown(1)
            return b"".join(iter(lambda: client.recv(65536), b""))
        except (BrokenPipeError, ConnectionResetError):
            return b""


def test_damaged_requests(running: Running) -> None:
    """Bytes of a real request replaced, cut, doubled and removed, with a fixed seed."""
    chance = random.Random(1)
    for _ in range(400):
        damaged = bytearray(REQUEST)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(damaged))
            how = chance.randrange(4)
            if how == 0:
                damaged[at] = chance.randrange(256)
            elif how == 1:
                del damaged[at:at + chance.randint(1, 9)]
            elif how == 2:
                damaged[at:at] = damaged[at:at + chance.randint(1, 30)]
            else:
                damaged[at:at] = chance.choice([b"\r\n", b"\0", b"%", b"{", b'"', b"-1", b"\xff"])
            if not damaged:
                break
        answer = exchange(running, bytes(damaged))
        head, _, content = answer.partition(b"\r\n\r\n")
        assert not answer or head.startswith(b"HTTP/1.1 ")
        assert b"Traceback" not in answer
        assert not head.startswith(b"HTTP/1.1 500")
        if content and not head.startswith(b"HTTP/1.1 2"):
            json.loads(content.partition(b"\n")[0])
    assert running.call("GET", "/_ping").content == b"OK"


def test_noise(running: Running) -> None:
    chance = random.Random(2)
    for size in (0, 1, 10, 1000, 100_000, 1_000_000):
        answer = exchange(running, chance.randbytes(size))
        assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert running.call("GET", "/_ping").content == b"OK"


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
                    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
                    max_leaves=8)
PATHS = st.sampled_from([
    "/containers/create", "/containers/plan", "/containers/x/exec", "/exec/x/start", "/containers/x/attach",
    "/images/create", "/images/a/b/tag", "/containers/x/wait", "/containers/x/resize", "/containers/x/stop"])
KEYS = st.sampled_from(["name", "fromImage", "fromSrc", "tag", "repo", "h", "w", "t", "signal", "condition", "platform",
                        "filters", "changes", "detachKeys"])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(PATHS, st.dictionaries(KEYS, st.lists(st.text(), min_size=1, max_size=2)), JSON | st.dictionaries(
    st.sampled_from(["Image", "Cmd", "HostConfig", "Env", "Tty", "Detach"]), JSON))
def test_no_body_and_no_query_reaches_a_traceback(
        handle: Callable[..., Response], path: str, query: dict[str, list[str]], body: object) -> None:
    from urllib.parse import urlencode

    encoded = urlencode(query, doseq=True, errors="replace")
    response = handle("POST", f"{path}?{encoded}", json.dumps(body).encode())
    if isinstance(response, Response):
        assert response.status != 500, response.content
