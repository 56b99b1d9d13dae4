"""References: Docker's normalisation as a table, its refusals in its own words, and properties of the whole grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import InvalidParameter
from pydocker.model import reference
from pydocker.model.digest import Digest

DIGEST = "sha256:" + "0123456789abcdef" * 4

COMPLETED = [
    ("alpine", "docker.io/library/alpine", None, None),
    ("alpine:3.20", "docker.io/library/alpine", "3.20", None),
    ("a/b", "docker.io/a/b", None, None),
    ("docker.io/alpine", "docker.io/library/alpine", None, None),
    ("index.docker.io/alpine:1", "docker.io/library/alpine", "1", None),
    ("docker.io/library/alpine", "docker.io/library/alpine", None, None),
    ("localhost/x", "localhost/x", None, None),
    ("localhost:5000/x/y:t", "localhost:5000/x/y", "t", None),
    ("ghcr.io/a/b/c@" + DIGEST, "ghcr.io/a/b/c", None, DIGEST),
    ("127.0.0.1:5000/x:t@" + DIGEST, "127.0.0.1:5000/x", "t", DIGEST),
    ("[::1]:5000/x", "[::1]:5000/x", None, None),
    ("[2001:db8::1]/x", "[2001:db8::1]/x", None, None),
    ("Registry/x", "Registry/x", None, None),
    ("a__b/c--d/e.f_g", "docker.io/a__b/c--d/e.f_g", None, None),
    ("x:UPPER_tag.1-2", "docker.io/library/x", "UPPER_tag.1-2", None),
]

REFUSED = [
    ("", "invalid reference format"),
    ("UPPER", "invalid reference format: repository name (library/UPPER) must be lowercase"),
    ("ghcr.io/Some/Name:t", "invalid reference format: repository name (Some/Name) must be lowercase"),
    ("two words", "invalid reference format"),
    ("a//b", "invalid reference format"),
    ("/a", "invalid reference format"),
    ("a/", "invalid reference format"),
    ("a:", "invalid reference format"),
    ("a:-x", "invalid reference format"),
    ("a:" + "t" * 129, "invalid reference format"),
    ("a___b", "invalid reference format"),
    ("-a", "invalid reference format"),
    ("a-", "invalid reference format"),
    ("../../etc/passwd", "invalid reference format"),
    ("a/../b", "invalid reference format"),
    ("https://ghcr.io/a/b", "invalid reference format"),
    ("user@host/x", "invalid reference format"),
    ("x\n", "invalid reference format"),
    ("x:\u0661", "invalid reference format"),
    ("0" * 64, f"invalid repository name ({'0' * 64}), cannot specify 64-byte hexadecimal strings"),
    ("a@sha256:12", "invalid reference format"),
    ("a@md5:" + "0" * 32, f"invalid reference format: invalid digest 'md5:{'0' * 32}': expected "
     "sha256:<64 hexadecimal digits>"),
    ("a" * 256, "invalid reference format: repository name must not be more than 255 characters"),
    ("a" * 100_000, "invalid reference format: repository name must not be more than 255 characters"),
]


@pytest.mark.parametrize(("text", "name", "tag", "digest"), COMPLETED)
def test_completed_as_docker_does(text: str, name: str, tag: str | None, digest: str | None) -> None:
    found = reference.parse(text)
    assert (found.name, found.tag, found.digest) == (name, tag, digest)


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_refused_in_dockers_words(text: str, words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        reference.parse(text)
    assert str(refused.value) == words


@pytest.mark.parametrize(("text", "familiar"), [
    ("docker.io/library/alpine:1", "alpine:1"),
    ("docker.io/a/b@" + DIGEST, "a/b@" + DIGEST),
    ("docker.io/library/a/b", "library/a/b"),
    ("ghcr.io/a", "ghcr.io/a"),
    ("docker.io/my.name/x", "docker.io/my.name/x"),
    ("docker.io/localhost/x", "docker.io/localhost/x"),
])
def test_familiar(text: str, familiar: str) -> None:
    assert reference.parse(text).familiar() == familiar


def test_the_default_tag_is_for_who_named_neither() -> None:
    assert reference.parse("x").with_default_tag().tag == "latest"
    assert reference.parse("x:1").with_default_tag().tag == "1"
    assert reference.parse("x@" + DIGEST).with_default_tag().tag is None


def test_a_tag_is_checked_wherever_it_comes_from() -> None:
    with pytest.raises(InvalidParameter, match="invalid tag format"):
        reference.parse("x").with_tag("../manifests")
    assert reference.parse("x:1").with_digest(Digest(DIGEST)).familiar() == "x@" + DIGEST


label = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
component = st.from_regex(r"[a-z0-9]{1,8}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
domain = st.one_of(
    st.just("docker.io"), st.just("localhost"),
    st.builds("{}.{}".format, label, label), st.builds("{}:{}".format, label, st.integers(0, 65535)),
)
whole = st.builds(
    lambda domain, path, tag, digest: f"{domain}/{'/'.join(path)}{tag}{digest}",
    domain, st.lists(component, min_size=1, max_size=4),
    st.one_of(st.just(""), st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)),
    st.one_of(st.just(""), st.just("@" + DIGEST)),
)


@given(whole)
def test_every_form_means_the_same(text: str) -> None:
    found = reference.parse(text)
    assert reference.parse(str(found)) == found
    assert reference.parse(found.familiar()) == found


@given(st.one_of(st.text(max_size=300), st.text("aZ0.:/@-_[]", max_size=300)))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = reference.parse(text)
    except InvalidParameter as error:
        assert "\n" not in str(error) or "\n" in text
    else:
        assert found.path == found.path.lower()
        assert ".." not in found.path.split("/")
        assert reference.parse(found.familiar()) == found
