"""Users and groups, from the bytes of passwd and group files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import InvalidParameter
from pydocker.monitor.users import Identity, identify, parse_group, parse_passwd

PASSWD = parse_passwd(b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:\n"
                      b"1000:x:0:0::/trap:\nhuge:x:99999999999:0::/:\n+1:x:0:0::/:\n-1:x:0:0::/:\n 1:x:0:0::/:\n")
GROUP = parse_group(b"root:x:0:\nwww:x:34:\nlog:x:50:web,other\nadm:x:51:web\n")


@pytest.mark.parametrize(("user", "extra", "expected"), [
    ("", (), Identity(0, 0, (0,), "/root")),
    ("root", (), Identity(0, 0, (0,), "/root")),
    ("web", (), Identity(33, 34, (34, 50, 51), "/srv")),
    ("33", (), Identity(33, 34, (34, 50, 51), "/srv")),
    ("web:log", (), Identity(33, 50, (50,), "/srv")),
    ("web:7", ("adm", "8"), Identity(33, 7, (7, 51, 8), "/srv")),
    ("4711", (), Identity(4711, 0, (0,), "/")),
    ("1000", (), Identity(1000, 0, (0,), "/")),  # never the user *named* 1000 (CVE-2016-3697)
    (":log", (), Identity(0, 50, (50,), "/root")),
])
def test_known_ones(user: str, extra: tuple[str, ...], expected: Identity) -> None:
    assert identify(user, extra, PASSWD, GROUP) == expected


@pytest.mark.parametrize(("user", "words"), [
    ("nobody", "unable to find user nobody: no matching entries in passwd file"),
    ("web:nogroup", "unable to find group nogroup: no matching entries in group file"),
    ("huge", "unable to find user huge"), ("-1", "must be in range"), ("+1", "must be in range"),
    (" 1", "must be in range"), ("1\n", "must be in range"), ("web:-1", "must be in range"),
    ("1x", "unable to find"), ("٣", "unable to find"),
    ("2147483648", "must be in range"), ("4294967296", "must be in range"), ("9" * 5000, "must be in range"),
    ("0:4294967295", "must be in range"),
])
def test_unknown_ones(user: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words.replace("+", r"\+")):
        identify(user, (), PASSWD, GROUP)


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_passwd_file(content: bytes) -> None:
    for account in parse_passwd(content):
        assert 0 <= account.uid < 2**31
    parse_group(content)
