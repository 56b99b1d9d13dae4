"""`network doctor`: one port that is published at several addresses is told of once."""

from pydocker.cli.doctor import by_number, told
from pydocker.client.reachability import Hop, Port

HELD = Hop("held", good=True, detail="by us")
LISTENS = Hop("a program listens", good=True, detail="at 0.0.0.0:80")
DEAF = Hop("a program listens", good=False, detail="only at 0.0.0.0:80")


def test_what_is_the_same_is_told_once() -> None:
    """And what is not, with the address."""
    four = Port("0.0.0.0:8080 -> 10.0.0.2:80/tcp", "net", (HELD, Hop("led", good=True, detail="NAT"), LISTENS),
                ("this host, by 127.0.0.1", "other hosts"))
    six = Port("[::]:8080 -> 10.0.0.2:80/tcp", "net", (HELD, Hop("carried", good=True, detail="relay"), LISTENS),
               ("this host, by [::1]", "other hosts"))
    other = Port("0.0.0.0:8081 -> 10.0.0.2:80/tcp", "net", (HELD,), ())
    assert by_number((four, six, other)) == [[four, six], [other]]
    assert told("web", (four, six)) == (
        "web: 0.0.0.0:8080, [::]:8080 -> 10.0.0.2:80/tcp (network net)\n"
        "  ok  held: by us\n"
        "  ok  0.0.0.0: led: NAT\n"
        "  ok  [::]: carried: relay\n"
        "  ok  a program listens: at 0.0.0.0:80\n"
        "      reachable from this host, by 127.0.0.1\n"
        "      reachable from this host, by [::1]\n"
        "      reachable from other hosts\n")


def test_one_of_them_leads_nowhere() -> None:
    four = Port("0.0.0.0:80 -> 10.0.0.2:80/tcp", "net", (HELD, LISTENS), ("other hosts",))
    six = Port("[::]:80 -> [fd00::2]:80/tcp", "net", (HELD, DEAF), ())
    assert told("web", (four, six)) == (
        "web: 0.0.0.0:80 -> 10.0.0.2:80/tcp, [::]:80 -> [fd00::2]:80/tcp (network net)\n"
        "  ok  held: by us\n"
        "  ok  0.0.0.0: a program listens: at 0.0.0.0:80\n"
        "  NO  [::]: a program listens: only at 0.0.0.0:80\n"
        "      reachable from other hosts\n"
        "      reachable from nowhere by [::]\n")
    assert told("web", (six,)).endswith("      reachable from nowhere\n")
