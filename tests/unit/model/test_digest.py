"""A digest becomes a file name: only the exact grammar passes (CVE-2024-3727)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import InvalidParameter
from pydocker.model import digest


def test_of_and_parse_agree() -> None:
    named = digest.of(b"")
    assert named == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest.parse(named) == named and digest.encoded(named) == named[7:]


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:" + "A" * 64, "sha256:" + "a" * 63, "sha256:" + "a" * 65,
                                  "sha512:" + "a" * 64, "sha256:" + "a" * 64 + "\n", "sha256:../../../../etc/passwd",
                                  "sha256:" + "\u0661" * 64])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid digest"):
        digest.parse(text)


@given(st.text())
def test_no_text_gets_past_the_grammar(text: str) -> None:
    with contextlib.suppress(InvalidParameter):
        assert digest.parse(text) == text and "/" not in text and len(text) == 71
