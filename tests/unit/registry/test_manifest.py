"""Manifests: one way only to read a document, and no document that does anything else than be read or be refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import NotSupported, PydockerError, Unavailable
from pydocker.model import digest
from pydocker.model.image import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Index,
    Manifest,
)
from pydocker.registry.manifest import Fetched, check_media_type, decode

DIGEST = "sha256:" + "0" * 64
CONFIG = {"mediaType": OCI_CONFIG, "digest": DIGEST, "size": 1}
LAYER = {"mediaType": OCI_LAYER, "digest": DIGEST, "size": 2}
MANIFEST: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER]}
ENTRY = {"mediaType": OCI_MANIFEST, "digest": DIGEST, "size": 3, "platform": {"os": "linux", "architecture": "amd64"}}
INDEX: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [ENTRY]}


def fetched(document: object, media_type: str = OCI_MANIFEST) -> Fetched:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Fetched(media_type, digest.of(content), content)


def test_a_manifest() -> None:
    document = decode(fetched(MANIFEST))
    assert isinstance(document, Manifest)
    assert (document.config.size, document.layers[0].size) == (1, 2)


def test_an_index() -> None:
    document = decode(fetched(INDEX, OCI_INDEX))
    assert isinstance(document, Index)
    assert document.manifests[0].platform is not None


def test_dockers_own_types() -> None:
    layers = [LAYER | {"mediaType": DOCKER_LAYER_GZIP}]
    config = CONFIG | {"mediaType": DOCKER_CONFIG}
    document = MANIFEST | {"mediaType": DOCKER_MANIFEST, "config": config, "layers": layers}
    assert isinstance(decode(fetched(document, DOCKER_MANIFEST)), Manifest)
    assert isinstance(decode(fetched(INDEX | {"mediaType": DOCKER_INDEX}, DOCKER_INDEX)), Index)


def test_what_the_specification_adds_later_is_no_reason_to_refuse() -> None:
    assert decode(fetched(MANIFEST | {"annotations": {"a": "b"}, "artifactType": "x", "subject": CONFIG}))
    assert decode(fetched({key: value for key, value in MANIFEST.items() if key != "mediaType"}))


@pytest.mark.parametrize(("document", "media_type", "words"), [
    (MANIFEST | {"manifests": [ENTRY]}, OCI_MANIFEST, "ambiguous document: a manifest with keys"),
    (MANIFEST | {"Manifests": []}, OCI_MANIFEST, "ambiguous document: a manifest with keys"),
    (INDEX | {"layers": [LAYER]}, OCI_INDEX, "ambiguous document: an index with keys"),
    (INDEX | {"config": CONFIG}, OCI_INDEX, "ambiguous document: an index with keys"),
    (INDEX | {"fsLayers": []}, OCI_INDEX, "ambiguous document: an index with keys"),
    (MANIFEST | {"LAYERS": []}, OCI_MANIFEST, "ambiguous document: a manifest with keys"),
    (INDEX, OCI_MANIFEST, "ambiguous document: a manifest with keys"),
    (MANIFEST, OCI_INDEX, "ambiguous document: an index with keys"),
    (MANIFEST, DOCKER_MANIFEST, f"mediaType in manifest should be '{DOCKER_MANIFEST}' not '{OCI_MANIFEST}'"),
    (MANIFEST | {"schemaVersion": 1}, OCI_MANIFEST, "schemaVersion should be 2, not 1"),
    (MANIFEST | {"layers": [LAYER, LAYER | {"digest": "sha256:../../x"}]}, OCI_MANIFEST, "layers[1]: invalid digest"),
    (MANIFEST | {"layers": [LAYER | {"size": -1}]}, OCI_MANIFEST, "$.layers[0]: negative size"),
    (MANIFEST | {"layers": [LAYER | {"size": "1"}]}, OCI_MANIFEST, "Expected `int`, got `str` - at `$.layers[0].size`"),
    (MANIFEST | {"layers": None}, OCI_MANIFEST, "Expected `array`, got `null` - at `$.layers`"),
    ({"schemaVersion": 2, "config": CONFIG}, OCI_MANIFEST, "missing required field `layers`"),
    ([], OCI_MANIFEST, "expected an object"),
    (b"", OCI_MANIFEST, "not a valid document"),
    (b"{" * 100_000, OCI_MANIFEST, "not a valid document"),
    (b"[" * 1_000_000, OCI_MANIFEST, "not a valid document"),
    (b'{"schemaVersion": 2, "schemaVersion": 2}', OCI_MANIFEST, "a key stands in one object twice"),
    (b'{"a": {"b": 1, "\\u0062": 2}}', OCI_MANIFEST, "a key stands in one object twice"),
    (b"\xff\xfe{}", OCI_MANIFEST, "not a valid document"),
])
def test_refused(document: object, media_type: str, words: str) -> None:
    wrong = fetched(document, media_type)
    with pytest.raises(Unavailable) as refused:
        decode(wrong)
    assert str(refused.value).startswith(f"manifest {wrong.digest}: ")
    assert words in str(refused.value)


@pytest.mark.parametrize(("document", "media_type"), [
    (MANIFEST | {"config": CONFIG | {"mediaType": "application/vnd.cncf.helm.config.v1+json"}},
     "application/vnd.cncf.helm.config.v1+json"),
    (MANIFEST | {"layers": [LAYER | {"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar"}]},
     "application/vnd.oci.image.layer.nondistributable.v1.tar"),
    (MANIFEST | {"layers": [LAYER | {"mediaType": "evil\u001b[2J"}]}, "evil?[2J"),
])
def test_an_unknown_media_type_is_named(document: object, media_type: str) -> None:
    with pytest.raises(NotSupported) as refused:
        decode(fetched(document))
    assert str(refused.value).endswith(f'unsupported media type "{media_type}"')


@pytest.mark.parametrize("header", [OCI_MANIFEST, OCI_MANIFEST + "; charset=utf-8", DOCKER_INDEX])
def test_media_types_that_are_accepted(header: str) -> None:
    assert check_media_type(header, "x") == header.partition(";")[0]


@pytest.mark.parametrize("header", ["", "text/html", "application/json", OCI_CONFIG, OCI_MANIFEST.upper() + "\x1b"])
def test_media_types_that_are_not(header: str) -> None:
    with pytest.raises(NotSupported, match=r"^x: unsupported manifest media type"):
        check_media_type(header, "x")


scalar = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just(DIGEST))
known = st.sampled_from(["schemaVersion", "mediaType", "config", "layers", "manifests", "digest", "size"])
keys = st.one_of(st.text(max_size=10), known)
values = st.recursive(
    st.one_of(scalar, st.sampled_from([CONFIG, LAYER, ENTRY])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=6)), max_leaves=20,
)
documents = st.one_of(
    values, st.builds(lambda over: MANIFEST | over, st.dictionaries(keys, values, max_size=3)),
    st.builds(lambda over: INDEX | over, st.dictionaries(keys, values, max_size=3)),
)


@given(st.one_of(documents, st.binary(max_size=300)), st.sampled_from([OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST]))
def test_any_document_is_read_or_refused(document: object, media_type: str) -> None:
    try:
        found = decode(fetched(document, media_type))
    except PydockerError as error:
        assert str(error).isprintable()
    else:
        for one in found.manifests if isinstance(found, Index) else (found.config, *found.layers):
            assert digest.parse(one.digest) and one.size >= 0
