"""Volumes, against two servers: pydocker's own and Docker's. What bad input gets, word for word, and what is left."""

from collections.abc import Iterator

import pytest

from tests.root.cli.conftest import Peer


@pytest.fixture
def volumes(peer: Peer) -> Iterator[Peer]:
    yield peer
    for id in peer.ok("ps", "-aq").split():
        peer.ok("rm", "-f", id)
    for name in peer.ok("volume", "ls", "-q").split():
        peer.ok("volume", "rm", name)


BAD = (
    (("volume", "create", "x"), 1, "volume name is too short, names should be at least two alphanumeric characters"),
    (("volume", "create", "a b"), 1, 'create a b: "a b" includes invalid characters for a local volume name, only '
     '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'),
    (("volume", "create", "-o", "foo=bar", "xx"), 1, 'create xx: invalid option: "foo"'),
    (("volume", "create", "-o", "type=tmpfs", "xx"), 1, 'create xx: missing required option: "device"'),
    (("volume", "create", "-d", "none", "xx"), 1, 'error looking up volume plugin none: plugin "none" not found'),
    (("volume", "inspect", "xx"), 1, "get xx: no such volume"), (("volume", "rm", "xx"), 1, "get xx: no such volume"),
    (("volume", "ls", "-f", "a=b"), 1, "invalid filter 'a'"),
    (("volume", "ls", "-f", "dangling=maybe"), 1, "invalid filter 'dangling=[maybe]'"),
    (("volume", "prune", "-f", "--filter", "until=1h"), 1, "invalid filter 'until'"),
    (("create", "-v", "xx:/a:rslave", "busybox"), 1, "field BindOptions must not be specified"),
    (("create", "-v", "xx:/a:ro,ro", "busybox"), 1, "invalid mode: ro,ro"),
    (("create", "-v", "xx:a", "busybox"), 1, "invalid mount path: 'a' mount path must be absolute"),
    (("create", "-v", "x:/a:ro", "busybox"), 1, "create x: volume name is too short"),
    (("create", "-v", "xx:/", "busybox"), 1, "destination can't be '/'"),
    (("create", "-v", "/a", "-v", "xx:/b", "--mount", "type=volume,dst=/b", "busybox"), 1, "Duplicate mount point: /b"),
    (("create", "--mount", "type=volume,dst=/b,readonly", "busybox"), 1,
     "must not set ReadOnly mode when using anonymous volumes"),
    (("create", "--mount", "type=volume,src=a b,dst=/b", "busybox"), 1, "includes invalid characters"),
    (("create", "--mount", "type=bind,src=/no/such,dst=/b", "busybox"), 1,
     'invalid mount config for type "bind": bind source path does not exist: /no/such'),
    (("create", "--volumes-from", "nobody", "busybox"), 1, "No such container: nobody"),
    (("create", "--volumes-from", "nobody:rslave", "busybox"), 1, "invalid mode: rslave"),
    (("create", "-v", "/bin/sh", "busybox"), 1, "cannot mount volume over existing file, file exists"),
    (("create", "-v", "xx:/a", "--volume-driver", "none", "busybox"), 1, 'plugin "none" not found'),
)


def test_bad_input(volumes: Peer) -> None:
    """All in one test: a command line each, and nothing is left of any of them."""
    for argv, code, words in BAD:
        if volumes.name == "docker" and 'plugin "none" not found' in words:
            continue  # it looks for one for fifteen seconds
        refused = volumes.run(*argv)
        assert (refused.code, words.lower() in refused.err.lower()) == (code, True), (argv, refused.err)
    if volumes.name == "pydocker":  # Docker leaves what it has made on the way
        assert volumes.ok("volume", "ls", "-q") == ""
    assert volumes.ok("ps", "-aq") == ""


def test_paths_that_begin_at_the_root(volumes: Peer) -> None:
    """VOLUME data; and one letter before a colon is a Windows drive to Docker's client, and no volume's name."""
    script = "grep -o ' /[^ ]*data ' /proc/mounts"
    shown = volumes.ok("run", "--rm", "--network", "none", "-v", "x:/data", "-v", "my/data", "busybox", "sh", "-c",
                       script)
    assert sorted(shown.split()) == ["/my/data", "/x:/data"]


def test_a_life(volumes: Peer) -> None:
    assert volumes.ok("volume", "create", "--label", "a=b", "xx") == "xx"
    assert volumes.ok("volume", "create", "xx") == "xx"
    assert volumes.ok("volume", "inspect", "-f", "{{.Name}} {{.Driver}} {{.Scope}} {{.Labels.a}} {{.Options}}", "xx"
                      ) in ("xx local local b map[]", "xx local local b <nil>", "xx local local b <no value>")
    id = volumes.ok("create", "--network", "none", "-v", "xx:/data", "-v", "/etc", "busybox", "sh", "-c",
                    "ls /etc; echo x > /data/x; stat -c %a /data")
    assert volumes.ok("start", "-a", id).split() == [
        "group", "hostname", "hosts", *(["mtab"] if volumes.name == "docker" else []), "passwd", "resolv.conf", "755"]
    shown = volumes.ok("inspect", "-f", "{{range .Mounts}}{{.Type}} {{.Destination}} {{.Driver}} {{.Mode}} {{.RW}} "
                       "{{.Propagation}};{{end}}", id)
    assert sorted(shown.split(";")) == ["", "volume /data local z true ", "volume /etc local  true "]
    refused = volumes.run("volume", "rm", "xx")
    assert refused.err == f"Error response from daemon: remove xx: volume is in use - [{id}]\n"
    assert volumes.ok("volume", "ls", "-q", "-f", "dangling=true") == ""
    assert volumes.ok("ps", "-aq", "--no-trunc", "--filter", "volume=xx") == id
    volumes.ok("rm", "-v", id)
    assert volumes.ok("volume", "ls", "-q") == "xx"
    every = ("-a",) if volumes.name == "pydocker" else ()  # Debian's dockerd speaks API 1.41, which had only that
    assert volumes.ok("volume", "prune", *every, "-f").startswith("Deleted Volumes:\nxx\n\nTotal reclaimed space: ")
