"""The commands about images and disk: what they ask the server for, and what they print of its answers."""

import json

import pytest

from tests.unit.cli.conftest import CommandLine
from tests.unit.client.conftest import answer

ID = "sha256:" + "0123456789abcdef" * 4


def answered(document: object) -> bytes:
    return answer("200 OK", json.dumps(document).encode())


def asked(pydocker: CommandLine) -> list[str]:
    return [" ".join(request.decode().split()[:2]).replace("/v1.47", "") for request in pydocker.server.requests]


HISTORY = [
    {"Id": ID, "Created": 1700000000, "CreatedBy": "/bin/sh -c " + "x" * 60, "Size": 307200, "Comment": ""},
    {"Id": "<missing>", "Created": 0, "CreatedBy": "ADD x", "Size": 0, "Comment": "c"},
]


@pytest.mark.parametrize(("flags", "lines"), [
    (("--human=false", "--format", "{{.ID}} {{.CreatedAt}} {{.CreatedBy}} {{.Size}}"),
     ["0123456789ab 2023-11-14T22:13:20Z /bin/sh -c xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… 307200",
      "<missing> N/A ADD x 0"]),
    (("-q",), ["0123456789ab", "<missing>"]), (("-q", "--no-trunc"), [ID, "<missing>"]),
    (("--format", "{{.Size}} {{.Comment}}"), ["307kB ", "0B c"]),
])
def test_history(pydocker: CommandLine, flags: tuple[str, ...], lines: list[str]) -> None:
    pydocker.server.answers = [answered(HISTORY)] * 2
    assert pydocker("history", *flags, "a/b:1").out.splitlines() == lines
    assert asked(pydocker) == ["GET /images/a/b:1/history"]
    for heading, flag in (("CREATED     ", "-H"), ("CREATED AT  ", "-H=false")):
        pydocker.server.answers = [answered(HISTORY)]
        assert f"IMAGE          {heading}" in pydocker("history", flag, "a").out.splitlines()[0]


USAGE = {
    "LayersSize": 3_000_000, "Volumes": [{"Name": "v", "UsageData": {"Size": 50, "RefCount": 0}}],
    "Images": [{"Id": ID, "RepoTags": ["a:1", "a:2"], "Size": 2_000_000, "SharedSize": 500_000, "Containers": 1},
               {"Id": ID[:-1] + "0", "RepoTags": None, "Size": 1_500_000, "SharedSize": 500_000, "Containers": 0}],
    "Containers": [{"Id": ID[7:], "State": "running", "SizeRw": 10, "Names": ["/n"], "Command": "sh"},
                   {"Id": ID[7:], "State": "exited", "SizeRw": 30, "Names": ["/m"], "Command": "sh"}],
    "BuildCache": [{"ID": "c", "Type": "regular", "Size": 7, "CreatedAt": "2023-11-14T22:13:20Z", "InUse": False}],
}


def test_df(pydocker: CommandLine) -> None:
    """What an unused image would free is what no used one shares with it."""
    pydocker.server.answers = [answered(USAGE)]
    assert pydocker("system", "df").out.splitlines() == [
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE",
        "Images          2         1         3MB       1.5MB (50%)",
        "Containers      2         1         40B       30B (75%)",
        "Local Volumes   1         0         50B       50B (100%)",
        "Build Cache     1         0         7B        7B"]


def test_df_verbose(pydocker: CommandLine) -> None:
    pydocker.server.answers = [answered(USAGE)] * 2
    out = pydocker("system", "df", "-v").out
    assert "a            1         0123456789ab" in out
    assert "<none>       <none>    0123456789ab" in out
    assert "Build cache usage: 7B\n" in out
    shown = json.loads(pydocker("system", "df", "-v", "--format", "json").out)
    assert [(row["ID"], row["UniqueSize"]) for row in shown["Images"]] == [(ID, "1.5MB"), (ID[:-1] + "0", "1MB")]
    assert [row["Digest"] for row in shown["Images"]] == ["", ""]
    assert shown["Volumes"] == [{"Name": "v", "Links": "0", "Size": "50B"}]


PRUNED = {"ImagesDeleted": [{"Untagged": "a:1"}, {"Deleted": ID}], "SpaceReclaimed": 1234567}


def test_prune_asks_first(pydocker: CommandLine) -> None:
    for word in (b"n\n", b"", b"yes\n", b"\n"):
        said = pydocker("image", "prune", stdin=word)
        assert (said.code, said.out) == (
            0, "WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] ")
    assert pydocker.server.requests == []
    pydocker.server.answers = [answered(PRUNED)]
    said = pydocker("image", "prune", "-a", "--filter", "label!=keep", stdin=b"Y\n")
    assert said.out.partition("[y/N] ")[2] == (
        f"Deleted Images:\nuntagged: a:1\ndeleted: {ID}\n\nTotal reclaimed space: 1.235MB\n")
    assert asked(pydocker) == [
        "POST /images/prune?filters=%7B%22label%21%22:%7B%22keep%22:true%7D%2C%22dangling%22:%7B%22false%22:true%7D%7D"]


def test_system_prune_goes_through_all_kinds(pydocker: CommandLine) -> None:
    pydocker.server.answers = [
        answered({"ContainersDeleted": ["c" * 64], "SpaceReclaimed": 1}), answered({"NetworksDeleted": ["n"]}),
        answered({"VolumesDeleted": None, "SpaceReclaimed": 0}), answered(PRUNED),
        answered({"CachesDeleted": None, "SpaceReclaimed": 0})]
    out = pydocker("system", "prune", "-f", "--volumes").out
    assert out == (f"Deleted Containers:\n{'c' * 64}\n\nDeleted Networks:\nn\n\nDeleted Images:\nuntagged: a:1\n"
                   f"deleted: {ID}\n\nTotal reclaimed space: 1.235MB\n")
    assert [line.partition("?")[0] for line in asked(pydocker)] == [
        "POST /containers/prune", "POST /networks/prune", "POST /volumes/prune", "POST /images/prune",
        "POST /build/prune"]
    said = pydocker("system", "prune", "-f", "--volumes", "--filter", "until=1h")
    assert (said.code, said.err) == (1, 'ERROR: The "until" filter is not supported with "--volumes"\n')


def test_the_tree(pydocker: CommandLine) -> None:
    manifest = {"ID": ID, "Kind": "image", "Available": True, "Size": {"Content": 1_000_000, "Total": 3_000_000},
                "ImageData": {"Platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
                              "Containers": ["c"]}}
    unused = {**manifest, "ImageData": {"Platform": {"os": "linux", "architecture": "amd64"}, "Containers": None}}
    pydocker.server.answers = [answered([
        {"Id": ID, "RepoTags": ["a:1", "b:1"], "Size": 3_000_000, "Manifests": [manifest, unused]},
        {"Id": ID, "RepoTags": [], "Size": 3_000_000, "Manifests": [unused]}])]
    assert pydocker("images", "--tree").out.splitlines() == [
        f"{'i Info →   U  In Use':>68}",
        "IMAGE               ID             DISK USAGE   CONTENT SIZE   EXTRA",
        "a:1",
        "b:1                 0123456789ab   3MB          2MB            U",
        "├─ linux/arm64/v8   0123456789ab   3MB          1MB            U",
        "└─ linux/amd64      0123456789ab   3MB          1MB",
        "<untagged>          0123456789ab   3MB          1MB",
        "└─ linux/amd64      0123456789ab   3MB          1MB"]
    assert asked(pydocker) == ["GET /images/json?manifests=1"]
    for flag in ("-q", "--digests", "--format=json"):
        assert pydocker("images", "--tree", flag).code == 1


def test_one_platform_of_an_image(pydocker: CommandLine) -> None:
    pydocker.server.answers = [answered([{"Untagged": "a:1"}]), answered({"Id": ID})]
    pydocker("rmi", "--platform", "linux/arm64,linux/amd64", "--no-prune", "a:1")
    pydocker("image", "inspect", "--platform", "linux/arm64", "a:1")
    assert asked(pydocker) == ["DELETE /images/a:1?noprune=1&platforms=linux%2Farm64&platforms=linux%2Famd64",
                               "GET /images/a:1/json?platform=linux%2Farm64"]


VERDICT = {"Subject": "blob x", "Problem": "is bad", "Remedy": "removed", "Mendable": True, "Mended": False}
SUMMARY = {"Images": 1, "Blobs": 2, "BlobBytes": 1000, "Layers": 1, "LayerBytes": 2000, "Containers": 0}


@pytest.mark.parametrize(("flags", "found", "code", "out"), [
    ((), [], 0, "1 image, 2 blobs (1kB), 1 layer (2kB), 0 containers, 0 volumes: all is well\n"),
    ((), [VERDICT], 2, "blob x: is bad\n    --repair: removed\n"
                       "1 image, 2 blobs (1kB), 1 layer (2kB), 0 containers, 0 volumes: 1 problem\n"),
    (("--repair",), [VERDICT | {"Mended": True}], 0,
     "blob x: is bad\n    mended: removed\n"
     "1 image, 2 blobs (1kB), 1 layer (2kB), 0 containers, 0 volumes: 1 problem, 1 mended, 0 left\n"),
    (("--repair",), [VERDICT | {"Mendable": False, "Remedy": "pull it"}], 2,
     "blob x: is bad\n    not mended: pull it\n"
     "1 image, 2 blobs (1kB), 1 layer (2kB), 0 containers, 0 volumes: 1 problem, 0 mended, 1 left\n"),
])
def test_check(flags: tuple[str, ...], found: list[dict[str, object]], code: int, out: str,
               pydocker: CommandLine) -> None:
    mended = sum(bool(verdict["Mended"]) for verdict in found)
    lines = [{"status": "Verifying blobs", "progressDetail": {"current": 1, "total": 2}, "id": "check"},
             *({"progressDetail": {}, "aux": verdict} for verdict in found),
             {"progressDetail": {}, "aux": SUMMARY | {"Problems": len(found), "Mended": mended}}]
    pydocker.server.answers = [answer("200 OK", b"\r\n".join(json.dumps(line).encode() for line in lines) + b"\r\n")]
    said = pydocker("system", "check", *flags)
    assert (said.code, said.out) == (code, out)
    assert asked(pydocker) == ["POST /system/check" + ("?repair=1" if flags else "")]


def test_a_check_that_could_not_be_made(pydocker: CommandLine) -> None:
    line = {"errorDetail": {"message": "disk"}, "error": "the disk is gone"}
    pydocker.server.answers = [answer("200 OK", json.dumps(line).encode() + b"\r\n")]
    said = pydocker("system", "check")
    assert (said.code, said.err) == (1, "Error response from daemon: the disk is gone\n")
