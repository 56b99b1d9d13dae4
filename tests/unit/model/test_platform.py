"""Platforms: spellings, what runs on what, and the choice out of an index."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import InvalidParameter, NotFound
from pydocker.model import platform
from pydocker.model.digest import Digest
from pydocker.model.image import OCI_MANIFEST, Descriptor, PlatformFields

HOST = platform.host()


def entry(text: str | None, mark: str = "", **annotations: str) -> Descriptor:
    """An index entry for a platform as `os/arch[/variant]`; `mark` tells entries apart."""
    fields = None
    if text is not None:
        os, architecture, variant = (*text.split("/"), "")[:3]
        fields = PlatformFields(os=os, architecture=architecture, variant=variant)
    return Descriptor(
        media_type=OCI_MANIFEST, digest=Digest(mark or str(text)), size=1, platform=fields, annotations=annotations
    )


@pytest.mark.parametrize(("text", "same"), [
    ("linux/amd64", "linux/amd64"), ("linux/x86_64", "linux/amd64"), ("Linux/AMD64", "linux/amd64"),
    ("linux/amd64/v1", "linux/amd64"), ("linux/amd64/v3", "linux/amd64/v3"),
    ("linux/aarch64", "linux/arm64"), ("linux/arm64/v8", "linux/arm64"), ("linux/arm64/8", "linux/arm64"),
    ("linux/arm", "linux/arm"), ("linux/arm/v7", "linux/arm"), ("linux/armhf", "linux/arm"),
    ("linux/armel", "linux/arm/v6"), ("linux/arm/6", "linux/arm/v6"), ("linux/i686", "linux/386"),
    ("arm64", "linux/arm64"), ("armel", "linux/arm/v6"), ("windows", f"windows/{HOST.architecture}"),
])
def test_spellings(text: str, same: str) -> None:
    assert str(platform.parse(text)) == same


OF_SYSTEMS = r'OSAndVersion specifier component must match "^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.-]*)\\))?$"'
OF_OTHERS = 'platform specifier component must match "^[A-Za-z0-9_.-]+$"'


@pytest.mark.parametrize(("text", "words"), [
    ("", f'"" is an invalid OS component of "": {OF_SYSTEMS}'),
    ("/", f'"" is an invalid OS component of "/": {OF_SYSTEMS}'),
    ("\n", rf'"\n" is an invalid OS component of "\n": {OF_SYSTEMS}'),
    ("linux/", f'"" is an invalid component of "linux/": {OF_OTHERS}'),
    ("linux/amd 64", f'"amd 64" is an invalid component of "linux/amd 64": {OF_OTHERS}'),
    ("a/b/c/d", '"a/b/c/d": cannot parse platform specifier'),
    ("linux(6.1)/amd64", '"linux(6.1)/amd64": versions of operating systems are for Windows'),
])
def test_no_platform(text: str, words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        platform.parse(text)
    assert str(refused.value) == f"{words}: invalid argument"


def test_a_strangers_platform_is_not_repeated_at_length() -> None:
    with pytest.raises(InvalidParameter) as refused:
        platform.parse("linux/" + "x/" * 10_000)
    assert len(str(refused.value)) < 500


def test_an_unknown_word_alone() -> None:
    with pytest.raises(InvalidParameter) as refused:
        platform.parse("templeos")
    assert str(refused.value) == '"templeos": unknown operating system or architecture: invalid argument'


@pytest.mark.parametrize(("wanted", "offered", "chosen"), [
    ("linux/amd64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
    ("linux/arm64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8"),
    ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
    ("linux/arm", ["linux/arm/v5", "linux/arm/v6", "linux/arm64"], "linux/arm/v6"),
    ("linux/arm64", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
])
def test_the_best_that_runs_here(wanted: str, offered: list[str], chosen: str) -> None:
    assert platform.choose([entry(one) for one in offered], platform.parse(wanted)).digest == chosen


@pytest.mark.parametrize(("offered", "listed"), [
    ([], ""), (["linux/s390x"], ": there are linux/s390x"), (["linux/amd64/v2"], ": there are linux/amd64/v2"),
    (["windows/amd64", "linux/arm/v7", "linux/arm"], ": there are windows/amd64, linux/arm"),
    (["unknown/unknown"], ""), ([None, None], ""),
    ([f"linux/{number}" for number in range(40)],
     f": there are {', '.join(f'linux/{number}' for number in range(30))} and 10 more"),
])
def test_nothing_that_runs_here(offered: list[str | None], listed: str) -> None:
    with pytest.raises(NotFound) as missing:
        platform.choose([entry(one) for one in offered], platform.parse("linux/amd64"))
    assert str(missing.value) == f"no matching manifest for linux/amd64 in the manifest list entries{listed}"


def test_attestations_are_no_images() -> None:
    attestation = entry("linux/amd64", "attestation", **{"vnd.docker.reference.type": "attestation-manifest"})
    assert platform.choose([attestation, entry("linux/amd64")], platform.parse("linux/amd64")).digest == "linux/amd64"


def test_a_single_entry_that_says_nothing_is_taken_last() -> None:
    wanted = platform.parse("linux/amd64")
    assert platform.choose([entry(None, "silent"), entry("unknown/unknown")], wanted).digest == "silent"
    assert platform.choose([entry(None, "silent"), entry("linux/amd64")], wanted).digest == "linux/amd64"


@given(st.text("linuxamd6rv/_.-18 ", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = platform.parse(text)
    except InvalidParameter:
        return
    assert platform.parse(str(found)) == found
    assert next(platform.candidates(found)) == found
