"""`import --change`."""

import re

import pytest

from pydocker.errors import InvalidParameter
from pydocker.images.changes import changed
from pydocker.model.image import Healthcheck, ImageDefaults


@pytest.mark.parametrize(("change", "field", "value"), [
    ('CMD ["a", "b c"]', "cmd", ("a", "b c")),
    ("CMD echo hi | cat", "cmd", ("/bin/sh", "-c", "echo hi | cat")),
    ("CMD []", "cmd", ()),
    ("CMD [broken", "cmd", ("/bin/sh", "-c", "[broken")),
    ('entrypoint ["/x"]', "entrypoint", ("/x",)),
    ('ENV A=1 B="two words"', "env", ("P=0", "A=1", "B=two words")),
    ("ENV A some words", "env", ("P=0", "A=some words")),
    ("ENV P=9", "env", ("P=9",)),
    ("ENV P=9 Q=$P-${P}${NO} R='$P' S=\\$P", "env", ("P=9", "Q=0-0", "R=$P", "S=$P")),
    ('ENV Q "$P of ${NO:-none}"', "env", ("P=0", "Q=0 of none")),
    ("LABEL p=$P", "labels", {"p": "0"}), ("EXPOSE 8$P", "exposed_ports", {"80/tcp": {}}),
    ('VOLUME ["/v$P"]', "volumes", {"/v0": {}}), ("USER u$P", "user", "u0"), ("WORKDIR $P/x", "working_dir", "/a/0/x"),
    ("CMD echo $P", "cmd", ("/bin/sh", "-c", "echo $P")), ("ONBUILD ENV Q=$P", "on_build", ("ENV Q=$P",)),
    ("EXPOSE 80 53/udp", "exposed_ports", {"80/tcp": {}, "53/udp": {}}),
    ("LABEL a=b c='d e'", "labels", {"a": "b", "c": "d e"}),
    ('VOLUME ["/a", "/b"]', "volumes", {"/a": {}, "/b": {}}),
    ("VOLUME /a /b", "volumes", {"/a": {}, "/b": {}}),
    ("USER www:www", "user", "www:www"),
    ("WORKDIR b/../c", "working_dir", "/a/c"),
    ("WORKDIR /x/", "working_dir", "/x"),
    ("EXPOSE 90-92/UDP", "exposed_ports", {"90/udp": {}, "91/udp": {}, "92/udp": {}}),
    ("ENV A=1\r\nENV B=2\n", "env", ("P=0", "A=1", "B=2")),
    ("# no\nENV A=1 \\\n  # nor this\n\n  B=2\\ \n3\nUSER x", "env", ("P=0", "A=1", "B=23")),
    ("USER x \\", "user", "x"),
    ("STOPSIGNAL SIGINT", "stop_signal", "SIGINT"),
    ("ENTRYPOINT []", "entrypoint", ()),
    ("ONBUILD RUN make all", "on_build", ("RUN make all",)),
    ("HEALTHCHECK NONE", "healthcheck", Healthcheck(test=("NONE",))),
    ("HEALTHCHECK CMD test -e /x", "healthcheck", Healthcheck(test=("CMD-SHELL", "test -e /x"))),
    ('HEALTHCHECK --interval=1m30s --timeout=0 --retries=3 CMD ["a", "b"]', "healthcheck",
     Healthcheck(test=("CMD", "a", "b"), interval=90_000_000_000, retries=3)),
])
def test_each_instruction(change: str, field: str, value: object) -> None:
    assert getattr(changed(ImageDefaults(env=("P=0",), working_dir="/a"), [change]), field) == value


@pytest.mark.parametrize(("change", "words"), [
    ("RUN true", "run is not a valid change command"),
    ("ONBUILD ONBUILD RUN true", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
    ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
    ("HEALTHCHECK SHELL x", 'Unknown type "SHELL" in HEALTHCHECK (try CMD)'),
    ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
    ("HEALTHCHECK --interval=1us CMD x", "cannot be less than 1ms"),
    ("HEALTHCHECK --interval=5 CMD x", "missing unit in duration"),
    ("HEALTHCHECK --retries=x CMD x", "--retries must be at least 0"),
    ("HEALTHCHECK --often CMD x", "unknown flag: often"),
    ("", "file with no instructions"), (" \n# CMD x", "file with no instructions"),
    ("EXPOSE 92-90", "invalid containerPort: 92-90"), ("EXPOSE 1-65536", "invalid containerPort: 1-65536"),
    ("CMD", "CMD requires at least one argument"),
    ("ENV A=1 B", "can't find = in 'B'"),
    ("ENV A", "a name and a value are required"),
    ("EXPOSE 99999", "invalid containerPort: 99999"),
    ("EXPOSE 80/sctpx", "invalid containerPort"),
    ("LABEL a='b", "looking for matching single-quote"),
])
def test_refused(change: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=re.escape(words)):
        changed(ImageDefaults(), [change])


def test_an_entry_point_takes_an_older_command_away() -> None:
    before = ImageDefaults(cmd=("old",))
    assert changed(before, ["ENTRYPOINT x"]).cmd is None
    assert changed(before, ["CMD new", "ENTRYPOINT x"]).cmd == ("/bin/sh", "-c", "new")
