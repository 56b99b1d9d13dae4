"""/etc/hosts: whole, and line by line, without touching what is somebody else's."""

from pydocker.network import hosts
from pydocker.network.hosts import Line

WEB = Line("172.18.0.2", "web.lan web")


def test_a_file_has_local_names_extra_ones_and_its_own() -> None:
    lines = [Line("192.0.2.1", "extra"), Line("2001:db8::1", "six"), WEB]
    assert hosts.file(lines, ipv6=True) == (
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n"
        "ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
        "192.0.2.1\textra\n2001:db8::1\tsix\n172.18.0.2\tweb.lan web\n")
    assert hosts.file(lines, ipv6=False) == "127.0.0.1\tlocalhost\n192.0.2.1\textra\n172.18.0.2\tweb.lan web\n"


def test_own_lines_have_the_full_name_and_the_short_one() -> None:
    assert hosts.own(["172.18.0.2/16", "", "2001:db8::2/64"], "web", "lan") == [
        WEB, Line("2001:db8::2", "web.lan web")]
    assert hosts.own(["172.18.0.2/16"], "a.b.c", "") == [Line("172.18.0.2", "a.b.c a")]
    assert hosts.own(["172.18.0.2/16"], "web", "") == [Line("172.18.0.2", "web")]


def test_what_a_user_has_written_stays() -> None:
    edited = "127.0.0.1\tlocalhost\n# mine\n10.0.0.1 other\n10.0.0.2\tlast"
    with_line = hosts.added(edited, [WEB])
    assert with_line == edited + "\n172.18.0.2\tweb.lan web\n"
    assert hosts.added(with_line, [WEB]) == with_line
    assert hosts.removed(with_line, [WEB]) == edited + "\n"
    changed = with_line.replace("web.lan web", "web.lan web mine")
    assert hosts.removed(changed, [WEB]) == changed


def test_a_linked_container_has_moved() -> None:
    before = "172.17.0.2\tdb 1234 name\n# 172.17.0.2\tdb\n172.17.0.3\tother\n2001:db8::2\tdb\n"
    after = hosts.moved(before, "db", "172.17.0.9")
    assert after == before.replace("172.17.0.2\tdb 1234", "172.17.0.9\tdb 1234")
