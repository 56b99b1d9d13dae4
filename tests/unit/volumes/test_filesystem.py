"""The words of mount(8), as mount(2) gets them."""

import pytest

from pydocker.errors import InvalidParameter
from pydocker.model.volume import Filesystem, Volume, check_options
from pydocker.volumes.filesystem import parse

RDONLY, NOEXEC, BIND, REC = 1, 8, 1 << 12, 1 << 14


@pytest.mark.parametrize(("options", "flags", "data", "propagation"), [
    ("", 0, "", 0), ("ro,noexec", RDONLY | NOEXEC, "", 0), ("ro,rw", 0, "", 0), ("rbind", BIND | REC, "", 0),
    ("addr=10.0.0.1,nfsvers=4,ro,_netdev", RDONLY, "addr=10.0.0.1,nfsvers=4", 0), ("bind,rslave", BIND, "",
                                                                                  1 << 19 | REC),
    ("size=1m,,defaults,private", 0, "size=1m", 1 << 18),
])
def test_words(options: str, flags: int, data: str, propagation: int) -> None:
    assert parse(options) == (flags, data, propagation)


def test_remount_is_not_for_a_volume() -> None:
    with pytest.raises(InvalidParameter, match="invalid mount option: remount"):
        parse("bind,remount")


def test_options_need_each_other() -> None:
    check_options("x", {"type": "nfs", "device": ":/srv", "o": "addr=1.2.3.4"})
    for wrong in ({"o": "ro"}, {"type": "nfs"}, {"device": "/a"}, {"what": "x"}, {"type": "", "device": "/a"}):
        with pytest.raises(InvalidParameter):
            check_options("x", wrong)
    assert Volume(created=0.0).filesystem is None


@pytest.mark.parametrize(("options", "told"), [
    ("username=u,password=p=q,ro", "username=u,password=********,ro"), ("pass=x", "pass=********"),
    ("password2=x,password=", "password2=********,password=********"), ("addr=1.2.3.4,ro", "addr=1.2.3.4,ro")])
def test_a_password_is_told_nobody(options: str, told: str) -> None:
    assert Filesystem("cifs", "//host/share", options).told == told
