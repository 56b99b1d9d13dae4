"""Unpacking in processes: behind a growing file, several at once, and with every way to end badly."""

import bz2
import fcntl
import gzip
import hashlib
import lzma
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from pydocker.errors import PydockerError
from pydocker.layers.foreman import ALL, Follower, Pieces
from pydocker.layers.limits import ArchiveError
from pydocker.layers.store import LayerStore
from pydocker.layers.workers import Workers
from pydocker.paths import Paths
from tests.root.layers.archive import archive, entry, folder

CONTENT = archive([folder("d"), *(entry(f"d/{at}", content=os.urandom(50_000)) for at in range(40))])


@pytest.fixture
def layers(target: Path) -> LayerStore:
    paths = Paths(target / "data", target / "run")
    paths.make()
    return LayerStore(paths)


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers() as workers:
        yield workers


@pytest.fixture
def blob(target: Path) -> Path:
    return target / "blob"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress, lzma.compress, bz2.compress,
                                  lambda data: gzip.compress(data[:7777]) + gzip.compress(data[7777:]) + bytes(1000)],
                         ids=["plain", "gzip", "zstd", "xz", "bzip2", "gzip members"])
def test_every_compression(pack: Callable[[bytes], bytes], workers: Workers, layers: LayerStore, blob: Path) -> None:
    blob.write_bytes(pack(CONTENT))
    with layers.draft() as draft:
        job = workers.unpack(draft.path, draft.lock, blob)
        job.complete()
        result = job.result()
        job.close()
        assert result.diff == hashlib.sha256(CONTENT).hexdigest()
        assert result.compressed == blob.stat().st_size
        assert len(os.listdir(draft.path / "diff/d")) == 40


def test_no_program_is_looked_up_to_unpack(workers: Workers, layers: LayerStore, blob: Path, target: Path,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2014-9357: `xz` was run, from wherever PATH led; Docker still runs `unpigz`."""
    programs = target / "bin"
    programs.mkdir()
    for name in ("xz", "unxz", "gzip", "gunzip", "unpigz", "pigz", "igzip", "zstd", "unzstd", "bzip2", "tar"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {target}/evil\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    for pack in (gzip.compress, zstandard.compress, lzma.compress, bz2.compress):
        blob.write_bytes(pack(CONTENT))
        with layers.draft() as draft:
            job = workers.unpack(draft.path, draft.lock, blob)
            job.complete()
            assert job.result().diff == hashlib.sha256(CONTENT).hexdigest()
            job.close()
    assert not (target / "evil").exists()


def test_the_file_may_grow_while_it_is_unpacked(workers: Workers, layers: LayerStore, blob: Path) -> None:
    packed = gzip.compress(CONTENT, 1)
    told: list[int] = []
    with layers.draft() as draft, blob.open("wb", buffering=0) as file:
        job = workers.unpack(draft.path, draft.lock, blob)
        for at in range(0, len(packed), 1 << 18):
            file.write(packed[at:at + (1 << 18)])
            job.more()
        job.complete()
        assert job.result(told.append).diff == hashlib.sha256(CONTENT).hexdigest()
        job.close()
    assert told == sorted(told)


def test_several_at_once(workers: Workers, layers: LayerStore, blob: Path) -> None:
    blob.write_bytes(CONTENT)
    drafts = [layers.draft() for _ in range(5)]
    jobs = [workers.unpack(draft.path, draft.lock, blob) for draft in drafts]
    for job in jobs:
        job.complete()
    assert {job.result().diff for job in jobs} == {hashlib.sha256(CONTENT).hexdigest()}
    for job, draft in zip(jobs, drafts, strict=True):
        job.close()
        with draft:
            pass


@pytest.mark.parametrize(("content", "reason"), [
    (gzip.compress(CONTENT)[:-50_000], "damaged gzip stream: unexpected end"),
    (gzip.compress(CONTENT)[:-8] + bytes(8), "damaged gzip stream"),
    (zstandard.compress(CONTENT)[:-50_000], "damaged zstd stream: unexpected end"),
    (zstandard.compress(CONTENT)[:5000] + b"\xff" * 5000, "damaged zstd stream"),
    (CONTENT[:30_000], "unexpected end of archive"),
    (archive([entry("../x")]), "leads outside"),
], ids=["cut gzip", "wrong gzip", "cut zstd", "wrong zstd", "cut tar", "evil"])
def test_bad_archives(content: bytes, reason: str, workers: Workers, layers: LayerStore, blob: Path) -> None:
    blob.write_bytes(content)
    with layers.draft() as draft:
        job = workers.unpack(draft.path, draft.lock, blob)
        job.complete()
        with pytest.raises(ArchiveError, match=reason):
            job.result()
        job.close()


@pytest.mark.parametrize("wrapped", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_bomb_is_stopped_in_bounded_memory(wrapped: Callable[[bytes], bytes], blob: Path) -> None:
    """CVE-2017-14992: ten gigabytes of zeros in some megabytes, refused after the first one."""
    blob.write_bytes(wrapped(bytes(1 << 24)) * 640)
    assert blob.stat().st_size < 12 << 20
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ours, theirs, blob.open("rb") as file:
        ours.send(ALL)
        total = 0
        with pytest.raises(ArchiveError, match="bytes of content in"):
            for piece in Pieces(Follower(file.fileno(), theirs)):
                total += len(piece)
    assert total <= 3 << 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def test_a_killed_child_is_an_error_and_frees_its_draft(workers: Workers, layers: LayerStore, blob: Path) -> None:
    blob.write_bytes(CONTENT[:1000])
    with layers.draft() as draft:
        job = workers.unpack(draft.path, draft.lock, blob)
        assert workers._process is not None
        while not (found := children(workers._process.pid)):
            time.sleep(0.01)
        os.kill(found[0], signal.SIGKILL)
        with pytest.raises(PydockerError, match="the unpacking process ended unexpectedly"):
            job.result()
        job.close()
    assert not draft.path.exists()


def test_a_closed_job_ends_its_child_before_its_draft_goes(workers: Workers, layers: LayerStore, blob: Path) -> None:
    blob.write_bytes(CONTENT[:1000])
    with layers.draft() as draft:
        job = workers.unpack(draft.path, draft.lock, blob)
        job.close()
    assert not draft.path.exists()
    assert workers._process is not None
    deadline = time.monotonic() + 60
    while children(workers._process.pid):  # it gives its lock back while it ends, a moment before it has ended
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_child_holds_the_lock_of_its_draft(workers: Workers, layers: LayerStore, blob: Path, target: Path) -> None:
    """So that a sweep by a new server does not take the directory from under an orphan of the old one."""
    blob.write_bytes(CONTENT[:1000])
    draft = layers.draft()
    job = workers.unpack(draft.path, draft.lock, blob)
    assert workers._process is not None
    while not children(workers._process.pid):
        time.sleep(0.01)
    os.close(draft.lock)  # as if the server had been killed, but for its link
    layers.sweep_drafts()
    assert draft.path.exists()
    job.close()
    fd = os.open(draft.path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)  # granted when the orphan has ended
    os.close(fd)
    layers.sweep_drafts()
    assert not draft.path.exists()
