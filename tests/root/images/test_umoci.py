"""The same image, unpacked by umoci and pulled by pydocker: every file has to be the same."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pydocker.images.store import ImageStore
from pydocker.layers.overlay import MountOverlay
from pydocker.model.image import Image
from tests.peers import debian
from tests.peers.registry import Registry
from tests.root.images.conftest import Pull
from tests.root.layers.archive import described

TIME = 1_500_000_000
Change = Callable[[Path], None]


def umoci(*argv: str | Path) -> None:
    subprocess.run(["umoci", *argv], check=True, capture_output=True, timeout=300)


def shell(root: Path, script: str) -> None:
    subprocess.run(["sh", "-ec", script], cwd=root, check=True)


def files(root: Path) -> None:
    """Every kind of file, with everything that a file can have."""
    shell(root, """
        mkdir -p opt/a/b/c opt/gone/deep opt/file-to-be opt/opaque/old opt/implied/x
        echo one > opt/a/b/c/one; ln opt/a/b/c/one opt/a/two; ln -s ../a/b opt/link; ln -s /nowhere opt/dangling
        mknod opt/null c 1 3; mknod opt/disk b 7 200; mkfifo opt/pipe; echo x > opt/gone/deep/x
        echo y > opt/opaque/old/y
        cp /bin/true opt/setuid; chown 1000:70000 opt/setuid; chmod 4750 opt/setuid; chmod 1777 opt/gone
        chown 33:44 opt/implied opt/implied/x; chmod 2711 opt/implied; echo z > "opt/a/odd name
with lines"; printf 'w' > opt/a/$(printf 'caf\\351')
        head -c 3000000 /dev/urandom > opt/a/large; : > opt/a/empty; truncate -s 1M opt/a/zeros
    """)
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(root / "opt/setuid", "security.capability", capability)
    os.setxattr(root / "opt/a/large", "user.note", b"\x00\xffbinary")
    os.setxattr(root / "opt/implied", "user.dir", b"1")
    os.setxattr(root / "opt/link", "trusted.link", b"2", follow_symlinks=False)
    os.chmod(root / "opt/setuid", 0o4750)
    age(root / "opt")


def changes(root: Path) -> None:
    """Removed, replaced by another type and back, emptied and refilled, linked anew."""
    shell(root, """
        rm -r opt/gone; rmdir opt/file-to-be; echo now > opt/file-to-be; rm opt/link; mkdir opt/link
        echo in > opt/link/in
        rm -r opt/opaque; mkdir opt/opaque; echo new > opt/opaque/new; echo more > opt/implied/x/more
        rm opt/a/two; echo own > opt/a/two; ln opt/a/two opt/a/three; rm opt/null; chmod 711 opt/a
        chown 5:6 opt/a/empty
        ln -sf /elsewhere opt/dangling; rm -rf usr/share/doc/*; mv usr/share/common-licenses usr/share/moved || :
    """)
    os.setxattr(root / "opt/a/empty", "user.late", b"3")
    age(root / "opt/implied/x")


def and_back(root: Path) -> None:
    """What was a file is a directory again, and the other way round."""
    shell(root, """
        rm opt/file-to-be; mkdir -p opt/file-to-be/again; rm -r opt/link; ln -s a opt/link; mkdir opt/gone
        echo fresh > opt/gone/fresh; rm opt/a/three; rm -r opt/opaque/new
    """)


def age(root: Path) -> None:
    """Times with nanoseconds, a different one for each file."""
    for number, (top, folders, names) in enumerate(os.walk(root, topdown=False)):
        for offset, name in enumerate(sorted(names + folders)):
            moment = (TIME + number * 1000 + offset) * 10**9 + 123456789
            os.utime(Path(top, name), ns=(moment, moment), follow_symlinks=False)
    os.utime(root, ns=(TIME * 10**9 + 1, TIME * 10**9 + 1))


@pytest.fixture(scope="module")
def layout(session_directory: Path) -> Path:
    """An OCI layout made by umoci alone: `deb` (debootstrap's tree), then three changes on top of it."""
    if shutil.which("umoci") is None:
        pytest.skip("needs umoci: make setup")
    archive = debian.archive()
    top = Path(tempfile.mkdtemp(dir=session_directory))
    layout, bundle = top / "layout", top / "bundle"
    umoci("init", "--layout", layout)
    umoci("new", "--image", f"{layout}:empty")
    umoci("unpack", "--image", f"{layout}:empty", bundle)
    subprocess.run(["tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", bundle / "rootfs", "-xpf",
                    archive], check=True)
    umoci("repack", "--refresh-bundle", "--image", f"{layout}:deb", bundle)
    for tag, change in (("files", files), ("changes", changes), ("back", and_back)):
        change(bundle / "rootfs")
        umoci("repack", "--refresh-bundle", "--image", f"{layout}:{tag}", bundle)
    umoci("config", "--image", f"{layout}:back", "--config.cmd", "sh")
    shutil.rmtree(bundle)
    return layout


@pytest.fixture
def merged(store: ImageStore) -> Iterator[Callable[[Image], Path]]:
    """`merged(image)` is the tree that a container of the image would see."""
    top = store.paths.data.parent
    mounted = []

    def run(image: Image) -> Path:
        for name in ("upper", "work", "merged"):
            (top / name).mkdir()
        lower = tuple(str(store.layers.diff(chain)) for chain in image.layers)
        step = MountOverlay(lower=lower, upper=str(top / "upper"), work=str(top / "work"), target=str(top / "merged"))
        step.apply(None)
        mounted.append(step)
        return top / "merged"

    yield run
    for step in mounted:
        step.undo(None)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("tag", ["deb", "back"])
def test_every_file_is_as_umoci_has_it(tag: str, layout: Path, registry: Registry, pulled: Pull,
                                       merged: Callable[[Image], Path], session_directory: Path) -> None:
    registry.push(f"oci:{layout}:{tag}", f"umoci:{tag}")
    ours = described(merged(pulled(registry.name(f"umoci:{tag}"))))
    bundle = Path(tempfile.mkdtemp(dir=session_directory)) / "bundle"
    umoci("unpack", "--image", f"{layout}:{tag}", bundle)
    theirs = described(bundle / "rootfs")
    shutil.rmtree(bundle)
    ours.pop("."), theirs.pop(".")  # the root of an overlay is its upper directory's
    assert set(ours) == set(theirs)
    assert {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]} == {}


def test_the_debian_tree_has_all_kinds(layout: Path, registry: Registry, pulled: Pull,
                                       merged: Callable[[Image], Path]) -> None:
    """That the comparison compared something."""
    registry.push(f"oci:{layout}:back", "kinds:1")
    image = pulled(registry.name("kinds:1"))
    root = merged(image)
    assert len(image.layers) == 4
    assert len(described(root)) > 2000
    assert not (root / "opt/gone/deep").exists()
    assert os.listdir(root / "opt/opaque") == []
    assert os.listdir(root / "opt/file-to-be") == ["again"]
    assert os.readlink(root / "opt/link") == "a"
    assert stat.S_IMODE((root / "opt/setuid").stat().st_mode) == 0o4750
    assert os.getxattr(root / "opt/setuid", "security.capability")
    assert (root / "opt/implied").stat().st_uid == 33
