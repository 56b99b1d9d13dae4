"""Fixtures for images: a store in a directory of its own, a registry of this file's tests, images put into it."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pydocker.images.progress import Progress
from pydocker.images.pull import pull
from pydocker.images.store import ImageStore
from pydocker.model.image import Image
from pydocker.model.platform import Platform
from pydocker.model.reference import parse
from pydocker.paths import Paths
from pydocker.registry.repository import Repository
from tests.peers.layout import Layout
from tests.peers.registry import Registry
from tests.root.layers.archive import Made, archive

Pull = Callable[..., Image]
Push = Callable[..., str]


@pytest.fixture
def paths(session_directory: Path) -> Paths:
    """The roots of an engine that has nothing yet."""
    top = Path(tempfile.mkdtemp(dir=session_directory))
    paths = Paths(top / "data", top / "run")
    paths.make()
    return paths


@pytest.fixture
def store(paths: Paths) -> ImageStore:
    return ImageStore(paths)


@pytest.fixture(scope="module")
def registry(session_directory: Path) -> Iterator[Registry]:
    with Registry(Path(tempfile.mkdtemp(dir=session_directory))) as registry:
        yield registry


@pytest.fixture
def push(registry: Registry, session_directory: Path) -> Push:
    """`push(name, layer, layer, …)` puts an image of these layers (lists of entries) into the registry."""
    def run(name: str, *layers: Sequence[Made], **config: object) -> str:
        layout = Layout(Path(tempfile.mkdtemp(dir=session_directory)))
        registry.push(layout.tag("x", layout.image(map(archive, layers), **config)), name)
        return registry.name(name)

    return run


@pytest.fixture
def pulled(store: ImageStore) -> Pull:
    """`pulled(name, told=[])` pulls into `store`; what is told goes to the list."""
    def run(name: str, told: list[Progress] | None = None, platform: Platform | None = None,
            into: ImageStore | None = None) -> Image:
        reference, target = parse(name), into or store
        with Repository(reference) as repository:
            return pull(target, target.layers, repository, reference, platform, ([] if told is None else told).append)

    return run
