"""The image that is pulled: nine layers, about 184 MB compressed, of real files; and a loopback registry that has it.

It is made once, which takes two minutes and a package mirror, and kept as the registry's own storage in
/var/cache/pydocker-bench (`rm -r` makes the next run make it again). A Debian with a compiler, git, perl and python
is cut into layers as a Dockerfile's COPYs would make them:

    1    the base: everything that is not in 2 to 7
    2-7  one tree each: programs, the compiler, git, headers, documentation, perl
    8    a removal: a whiteout for the documentation
    9    a chmod: python's modules once more, with other modes
"""

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from urllib.request import urlopen

from tests import leaks
from tests.bench.engines import Failed, dies_with_us, end, found, wait_until
from tests.peers.registry import free_port

TOOLS = ("debootstrap", "umoci", "skopeo", "docker-registry")
SUITE = "bookworm"
PACKAGES = "build-essential,git,perl,python3"
UNWANTED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/locale")
TREES = ("usr/bin", "usr/lib/gcc", "usr/lib/git-core", "usr/include", "usr/share/doc", "usr/share/perl")
REMOVED = "/usr/share/doc"
NAME = "bench/app:1"


def cache_directory() -> Path:
    return Path("/var/cache/pydocker-bench")


def ensure_image(cache: Path) -> None:
    """Make the registry's storage, if it is not there. Raises Skipped without the tools, Failed if one fails."""
    if (cache / "registry").exists():
        return
    for program in TOOLS:
        found(program, "/usr/sbin")
    print("making the image to pull, once: a few minutes", flush=True)
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work, ExitStack() as undo:
        layout = make_image(Path(work))
        registry = undo.enter_context(Registry(Path(work), Path(work)))
        tool("skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", f"oci:{layout}:1",
             f"docker://{registry.image}")
        undo.close()
        # Its appearance is the sign that it is whole.
        os.rename(Path(work, "registry"), cache / "registry")


def make_image(work: Path) -> Path:
    """The image as an OCI layout below `work`."""
    root, layout = work / "root", work / "layout"
    tool(*leaks.outside(), "debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root, *mirror())
    for unwanted in UNWANTED:
        shutil.rmtree(root / unwanted)
    tool("umoci", "init", "--layout", layout)
    tool("umoci", "new", "--image", f"{layout}:1")
    for number, tree in enumerate(TREES):
        os.renames(root / tree, work / f"tree{number}")
    insert(layout, root, "/")
    for number, tree in enumerate(TREES):
        insert(layout, work / f"tree{number}", f"/{tree}")
    tool("umoci", "insert", "--image", f"{layout}:1", "--whiteout", REMOVED)
    modules = next((root / "usr/lib").glob("python3.*"))
    tool("chmod", "-R", "g+w", modules)
    insert(layout, modules, f"/usr/lib/{modules.name}")
    return layout


def insert(layout: Path, source: Path, target: str) -> None:
    tool("umoci", "insert", "--image", f"{layout}:1", source, target)


def mirror() -> list[str]:
    """Where this machine's apt has the suite from; nothing, if it does not: debootstrap knows Debian's own address."""
    listed = subprocess.run(("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"),
                            capture_output=True, text=True, check=False).stdout
    return [line.split()[0] for line in listed.splitlines() if line.split()[1:] == [SUITE]][:1]


def tool(*argv: str | Path) -> None:
    """Run a program. Raises Failed with its last words."""
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Failed(f"{argv[0]}: exit code {done.returncode}: {words}")


class Registry:
    """Debian's docker-registry on a free port of loopback, without TLS; its storage is `cache`/registry."""

    def __init__(self, directory: Path, cache: Path) -> None:
        self.directory, self.cache = directory, cache
        self.port = free_port()
        self._ends = ExitStack()

    @property
    def image(self) -> str:
        return f"127.0.0.1:{self.port}/{NAME}"

    def __enter__(self) -> "Registry":
        with ExitStack() as undo:
            configuration = self.directory / "registry.yml"
            configuration.write_text(json.dumps({  # JSON is YAML
                "version": "0.1", "log": {"level": "error", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(self.cache / "registry")}},
                "http": {"addr": f"127.0.0.1:{self.port}"},
            }))
            log = undo.enter_context((self.directory / "registry.log").open("wb"))
            process = subprocess.Popen((*dies_with_us(), "docker-registry", "serve", configuration), stdout=log,
                                       stderr=log, start_new_session=True)
            undo.callback(end, process)
            wait_until(self._answers, process, self.directory / "registry.log")
            self._ends = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ends.close()

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/v2/", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
