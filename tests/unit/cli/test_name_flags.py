"""--dns, --dns-search, --add-host, --link: what they take, in one form, and what they say of the rest."""

from collections.abc import Callable

import pytest

from pydocker.cli import name_flags


@pytest.mark.parametrize(("read", "text", "found"), [
    (name_flags.server, " 10.0.0.1 ", "10.0.0.1"), (name_flags.server, "2001:DB8:0::1", "2001:db8::1"),
    (name_flags.domain, ".", "."), (name_flags.domain, "a-b.Example.com.", "a-b.Example.com"),
    (name_flags.domain, "1a", "1a"), (name_flags.domain, " lan ", "lan"),
    (name_flags.extra_host, "a:10.0.0.1", "a:10.0.0.1"), (name_flags.extra_host, "a=10.0.0.1", "a:10.0.0.1"),
    (name_flags.extra_host, "a:::1", "a:::1"), (name_flags.extra_host, "a=[fd00::1]", "a:fd00::1"),
    (name_flags.extra_host, "a:host-gateway", "a:host-gateway"),
    (name_flags.link, "web:db", "web:db"), (name_flags.link, "web", "web"),
])
def test_what_is_taken(read: Callable[[str], str], text: str, found: str) -> None:
    assert read(text) == found


@pytest.mark.parametrize(("read", "text", "words"), [
    (name_flags.server, "1.2.3", "IP address is not correctly formatted: 1.2.3"),
    (name_flags.domain, "", " is not a valid domain"), (name_flags.domain, "123", "123 is not a valid domain"),
    (name_flags.domain, "-a", "-a is not a valid domain"), (name_flags.domain, "a..b", "a..b is not a valid domain"),
    (name_flags.domain, "a" * 255, f"{'a' * 255} is not a valid domain"),
    (name_flags.extra_host, "a", 'bad format for add-host: "a"'),
    (name_flags.extra_host, ":1.2.3.4", 'bad format for add-host: ":1.2.3.4"'),
    (name_flags.extra_host, "a:b=1.2.3.4", 'bad format for add-host: "a:b=1.2.3.4"'),
    (name_flags.extra_host, "a:x", 'invalid IP address in add-host: "x"'),
    (name_flags.link, "", "empty string specified for links"),
    (name_flags.link, "a:b:c", "bad format for links: a:b:c"),
])
def test_what_is_refused(read: Callable[[str], str], text: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(text)
    assert str(caught.value) == words
