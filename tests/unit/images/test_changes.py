"""`import --change`."""

import pytest

from pydocker.errors import InvalidParameter
from pydocker.images.changes import changed
from pydocker.model.image import ImageDefaults


@pytest.mark.parametrize(("change", "field", "value"), [
    ('CMD ["a", "b c"]', "cmd", ("a", "b c")),
    ("CMD echo hi | cat", "cmd", ("/bin/sh", "-c", "echo hi | cat")),
    ("CMD [broken", "cmd", ("/bin/sh", "-c", "[broken")),
    ('entrypoint ["/x"]', "entrypoint", ("/x",)),
    ('ENV A=1 B="two words"', "env", ("P=0", "A=1", "B=two words")),
    ("ENV A some words", "env", ("P=0", "A=some words")),
    ("ENV P=9", "env", ("P=9",)),
    ("EXPOSE 80 53/udp", "exposed_ports", {"80/tcp": {}, "53/udp": {}}),
    ("LABEL a=b c='d e'", "labels", {"a": "b", "c": "d e"}),
    ('VOLUME ["/a", "/b"]', "volumes", {"/a": {}, "/b": {}}),
    ("VOLUME /a /b", "volumes", {"/a": {}, "/b": {}}),
    ("USER www:www", "user", "www:www"),
    ("WORKDIR b/../c", "working_dir", "/a/c"),
    ("WORKDIR /x/", "working_dir", "/x"),
    ("STOPSIGNAL SIGINT", "stop_signal", "SIGINT"),
])
def test_each_instruction(change: str, field: str, value: object) -> None:
    assert getattr(changed(ImageDefaults(env=("P=0",), working_dir="/a"), [change]), field) == value


@pytest.mark.parametrize(("change", "words"), [
    ("RUN true", "RUN is not a valid change command"),
    ("ONBUILD RUN true", "ONBUILD is not a valid change command"),
    ("CMD", "CMD requires at least one argument"),
    ("ENV A=1 B", "can't find = in 'B'"),
    ("ENV A", "a name and a value are required"),
    ("EXPOSE 99999", "invalid containerPort: 99999"),
    ("EXPOSE 80/sctpx", "invalid containerPort"),
    ("LABEL a='b", "no closing quotation"),
])
def test_refused(change: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        changed(ImageDefaults(), [change])
