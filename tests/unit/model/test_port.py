"""-p and --expose in all their forms; the complaints are what Docker's client 28.2 says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import InvalidParameter
from pydocker.model.network import PortBinding
from pydocker.model.port import Port, check, expose, port, publish, wanted


def told(text: str) -> list[str]:
    return [f"{one.host_ip or '*'}|{one.host_port or '*'}->{inside}" for inside, one in publish(text)]


@pytest.mark.parametrize(("text", "expected"), [
    ("80", ["*|*->80/tcp"]),
    ("80/udp", ["*|*->80/udp"]),
    ("80/SCTP", ["*|*->80/sctp"]),
    ("80/", ["*|*->80/tcp"]),
    (":80", ["*|*->80/tcp"]),
    ("8080:80", ["*|8080->80/tcp"]),
    ("080:080", ["*|80->80/tcp"]),
    ("127.0.0.1:8080:80", ["127.0.0.1|8080->80/tcp"]),
    ("127.0.0.1::80/udp", ["127.0.0.1|*->80/udp"]),
    ("[::1]:8080:80", ["::1|8080->80/tcp"]),
    ("::1:8080:80", ["::1|8080->80/tcp"]),
    ("[1.2.3.4]:80:80", ["1.2.3.4|80->80/tcp"]),
    ("8000-8001:80-81", ["*|8000->80/tcp", "*|8001->81/tcp"]),
    ("80-81", ["*|*->80/tcp", "*|*->81/tcp"]),
    ("8000-8009:80", ["*|8000-8009->80/tcp"]),
    ("target=80,published=8080", ["*|8080->80/tcp"]),
    ("target=53,protocol=udp", ["*|*->53/udp"]),
])
def test_publish(text: str, expected: list[str]) -> None:
    assert told(text) == expected


@pytest.mark.parametrize(("text", "complaint"), [
    ("abc", "invalid containerPort: abc"),
    ("+80", "invalid containerPort: +80"),
    ("abc:80", "invalid hostPort: abc"),
    ("1.2.3.4.5:80:80", "invalid IP address: 1.2.3.4.5"),
    ("localhost:80:80", "invalid IP address: localhost"),
    ("[fe80::1%eth0]:80:80", "invalid IP address: fe80::1%eth0"),
    ("[::1:80:80", "invalid IP address [::1: address [::1:: missing ']' in address"),
    ("[::1]80:80:80", "invalid IP address [::1]80: address [::1]80:: missing port in address"),
    ("80-90:100-101", "invalid ranges specified for container and host Ports: 100-101 and 80-90"),
    ("90-80:80", "invalid hostPort: 90-80"),
    ("80:90-80", "invalid containerPort: 90-80"),
    ("80/foo", "invalid proto: foo"),
    ("", "no port specified: <empty>"),
    ("80:", "no port specified: 80:<empty>"),
    ("/tcp", "no port specified: /tcp<empty>"),
    ("65536", "invalid containerPort: 65536"),
    ("target=80,foo", "invalid publish opts format (should be name=value but got 'foo')"),
    ("published=80", "no port specified: 80:/tcp<empty>"),
])
def test_publish_complains_as_docker_does(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        publish(text)


def test_expose() -> None:
    assert expose("80") == (Port(80),)
    assert expose("53-54/UDP") == (Port(53, "udp"), Port(54, "udp"))


@pytest.mark.parametrize(("text", "complaint"), [
    ("80:80", "invalid port format for --expose: 80:80"),
    ("abc", 'invalid range format for --expose: abc, error: strconv.ParseUint: parsing "abc": invalid syntax'),
    ("70000",
     'invalid range format for --expose: 70000, error: strconv.ParseUint: parsing "70000": value out of range'),
    ("90-80", "invalid range format for --expose: 90-80, error: invalid range specified for port: 90-80"),
    ("", "invalid range format for --expose: , error: empty string specified for ports"),
])
def test_expose_complains_as_docker_does(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        expose(text)


@pytest.mark.parametrize("key", ["", "0/tcp", "x", "80/foo", "80-81/tcp", "65536/tcp", "80/tcp\n"])
def test_a_key_that_names_no_port(key: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid port specification"):
        port(key)


def test_bindings_are_checked() -> None:
    check({"80/tcp": (PortBinding("::", "8080"), PortBinding("", "")), "53/udp": None})
    with pytest.raises(InvalidParameter, match="invalid IP address: here"):
        check({"80/tcp": (PortBinding("here", "80"),)})
    with pytest.raises(InvalidParameter, match='invalid port specification: "x"'):
        check({"80/tcp": (PortBinding("", "x"),)})


def test_what_host_ports_would_do() -> None:
    assert list(wanted(PortBinding("", "80"))) == [80]
    assert list(wanted(PortBinding("", "80-82"))) == [80, 81, 82]
    assert not wanted(PortBinding("", "")) and not wanted(PortBinding("", "0"))


@given(st.text(alphabet="0123456789:-/[]=,.tcpudx ", max_size=40))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (publish, expose):
        try:
            found = parse(text)
        except ValueError:
            continue
        assert found
