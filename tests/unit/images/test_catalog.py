"""index.json as a value."""

from pydocker.images.catalog import REF_NAME, Catalog, Name, name_of
from pydocker.model.digest import Digest
from pydocker.model.image import OCI_MANIFEST, Descriptor
from pydocker.model.reference import parse


def manifest(letter: str) -> Descriptor:
    return Descriptor(media_type=OCI_MANIFEST, digest=Digest(f"sha256:{letter * 64}"), size=1)


A, B = manifest("a"), manifest("b")
ONE, TWO = Name("docker.io/library/x:1"), Name("docker.io/library/x:2")


def test_what_a_reference_looks_for() -> None:
    assert name_of(parse("x")) == "docker.io/library/x:latest"
    assert name_of(parse("h:5000/x:1")) == "h:5000/x:1"
    assert name_of(parse(f"x:1@{A.digest}")) == f"docker.io/library/x@{A.digest}"


def test_names_and_manifests() -> None:
    catalog = Catalog().with_name(ONE, A).with_name(TWO, A)
    assert catalog.names(A.digest) == (ONE, TWO)
    assert list(catalog.unique()) == [A]
    assert [entry.annotations for entry in catalog.manifests] == [{REF_NAME: ONE}, {REF_NAME: TWO}]


def test_a_name_moves_and_leaves_a_dangling_image() -> None:
    catalog = Catalog().with_name(ONE, A).with_name(ONE, B)
    assert catalog.names(B.digest) == (ONE,)
    assert catalog.names(A.digest) == ()
    assert {entry.digest for entry in catalog.unique()} == {A.digest, B.digest}


def test_a_name_moves_from_an_image_that_has_another() -> None:
    catalog = Catalog().with_name(ONE, A).with_name(TWO, A).with_name(ONE, B)
    assert [(entry.digest, entry.annotations[REF_NAME]) for entry in catalog.manifests] == [
        (A.digest, TWO), (B.digest, ONE)]


def test_a_dangling_image_gets_a_name() -> None:
    catalog = Catalog().with_manifest(A).with_manifest(A).with_name(ONE, A)
    assert len(catalog.manifests) == 1
    assert catalog.find(ONE) is not None


def test_without() -> None:
    catalog = Catalog().with_name(ONE, A).with_name(TWO, B)
    assert catalog.without_name(ONE).names(A.digest) == ()
    assert len(catalog.without_name(ONE).manifests) == 2
    assert catalog.without_name(Name("none")) == catalog
    assert list(catalog.without_manifest(A.digest).unique()) == [B]
