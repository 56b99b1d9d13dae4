"""What layers do to each other, as plain data."""

from pydocker.model.stack import File, Listing, Share, shares


def files(*paths: str, size: int = 10) -> dict[bytes, File]:
    return {path.encode(): File(number, size) for number, path in enumerate(paths)}


def share(size: int, added: int = 0, changed: int = 0, removed: int = 0, wasted: int = 0) -> Share:
    return Share(size=size, added=added, changed=changed, removed=removed, wasted=wasted)


BASE = Listing(files("bin/sh", "etc/old", "etc/deep/er/x"),
               directories=(b"", b"bin", b"etc", b"etc/deep", b"etc/deep/er"))


def test_nothing() -> None:
    assert shares([]) == ()
    assert shares([Listing({}, (b"",))]) == (share(0),)


def test_added_changed_removed_and_wasted() -> None:
    change = Listing(files("bin/sh", "etc/new", size=3), directories=(b"bin", b"etc"), removes=(b"etc/old",))
    assert shares([BASE, change]) == (share(30, added=3, wasted=20), share(6, added=1, changed=1, removed=1))


def test_a_directory_removed_with_all_that_is_in_it() -> None:
    assert shares([BASE, Listing({}, removes=(b"etc",))]) == (share(30, added=3, wasted=20), share(0, removed=2))


def test_a_whiteout_of_nothing_removes_nothing() -> None:
    assert shares([BASE, Listing({}, removes=(b"not/there", b"etc/old/below"))])[1] == share(0)


def test_an_opaque_directory_hides_what_it_does_not_have_itself() -> None:
    opaque = Listing(files("etc/old"), directories=(b"etc",), opaque=(b"etc",))
    assert shares([BASE, opaque]) == (share(30, added=3, wasted=20), share(10, changed=1, removed=1))
    assert shares([BASE, Listing({}, directories=(b"",), opaque=(b"",))])[1] == share(0, removed=3)


def test_a_file_over_a_directory_and_a_directory_over_a_file() -> None:
    file = Listing(files("etc"))
    assert shares([BASE, file]) == (share(30, added=3, wasted=20), share(10, added=1, removed=2))
    directory = Listing(files("bin/sh/x"), directories=(b"bin", b"bin/sh"))
    assert shares([BASE, directory]) == (share(30, added=3, wasted=10), share(10, added=1, removed=1))
    empty = Listing({}, directories=(b"bin", b"bin/sh"))
    assert shares([BASE, empty])[1] == share(0, removed=1)


def test_a_file_with_two_names_is_wasted_when_both_are_gone() -> None:
    linked = Listing({b"a": File(7, 100), b"b": File(7, 100)})
    assert shares([linked, Listing({}, removes=(b"a",))])[0] == share(100, added=2)
    assert shares([linked, Listing({}, removes=(b"a", b"b"))])[0] == share(100, added=2, wasted=100)


def test_what_comes_back_is_added_again() -> None:
    again = Listing(files("a", size=5))
    layers = [Listing(files("a")), Listing({}, removes=(b"a",)), again, again]
    assert shares(layers) == (share(10, added=1, wasted=10), share(0, removed=1), share(5, added=1, wasted=5),
                              share(5, changed=1))
