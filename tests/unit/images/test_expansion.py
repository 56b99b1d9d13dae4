"""Words of Dockerfile instructions, as a shell would read them, where it has the same syntax."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import InvalidParameter
from pydocker.images.expansion import expanded, words

VARIABLES = {"A": "one", "PATH_LIKE": "/usr/lib/x.tar.gz", "EMPTY": ""}
SAME_AS_SH = """
$A $A$A ${A}b $NO,$EMPTY ${NO:-d} ${EMPTY:-d} ${EMPTY-d} ${NO-d} ${A:+s} ${NO:+s} ${EMPTY:+s} ${EMPTY+s}
'$A' "$A" "'$A'" \\$A "\\$A" "a\\b" 'a"b' "a\\"b" a\\'b ${NO:-$A} ${NO:-${EMPTY:-x}}
${NO:-"a"b} ${PATH_LIKE#*/} ${PATH_LIKE##*/} ${PATH_LIKE%.*} ${PATH_LIKE%%.*} ${PATH_LIKE#nope} ${A:?no}
$A.b $A-b "$" a$ é$A
"""


@pytest.mark.parametrize("text", SAME_AS_SH.split())
def test_as_in_a_shell(text: str) -> None:
    shell = subprocess.run(["sh", "-c", f"printf %s {text}"], env=VARIABLES, capture_output=True, text=True, check=True)
    assert expanded(text, VARIABLES) == shell.stdout


@pytest.mark.parametrize(("text", "value"), [
    ("${A/n/N}", "oNe"), ("${PATH_LIKE//\\//-}", "-usr-lib-x.tar.gz"), ("${PATH_LIKE/l*x/y}", "/usr/y.tar.gz"),
    ("trailing\\", "trailing"), ("$@x", "x"), ("$1", "")])
def test_what_sh_has_not(text: str, value: str) -> None:
    assert expanded(text, VARIABLES) == value


@pytest.mark.parametrize(("text", "reason"), [
    ("${", "bad substitution"), ("${}", "bad substitution"), ("${A", "bad substitution"), ("${A:-x", "matching }"),
    ("${A:=x}", "unsupported modifier (:=)"), ("${A!}", "unsupported modifier (!)"), ("'a", "single-quote"),
    ('"a', "double-quote"), ("${NO:?where is it}", "NO: where is it"), ("${NO?}", "NO: not allowed to be unset")])
def test_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        expanded(text, VARIABLES)
    assert reason in str(caught.value)


def test_words_keep_their_quotes() -> None:
    assert words(""" a  b='c d' "e f"g h\\ i """) == ["a", "b='c d'", '"e f"g', "h\\ i"]


@given(st.text("$A{}:-+?#%/'\"\\ éN*", max_size=12))
def test_everything_is_a_text_or_wrong(text: str) -> None:
    for read in (lambda: expanded(text, VARIABLES), lambda: words(text)):
        try:
            read()
        except InvalidParameter as error:
            assert "failed to process" in str(error)
