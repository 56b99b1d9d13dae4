"""`pydocker port`: at which addresses of the host a container's ports can be reached."""

import re

from pydocker.cli import phrases
from pydocker.cli.command import Arity, Command
from pydocker.cli.errors import CommandError
from pydocker.cli.session import Session
from pydocker.client import containers
from pydocker.client.answers import PortBinding

_LARGEST = 65535


def port(session: Session, arguments: tuple[str, ...]) -> int:
    """All published ports, or the addresses of one; a port that is not published is an error."""
    container, *asked = arguments
    ports = containers.ports(session.client(), container)
    if any(asked):
        lines = [_address(one) for one in ports.get(_key(asked[0])) or ()]
        if not lines:
            raise CommandError(f"Error: No public port '{asked[0]}' published for {container}")
    else:
        lines = [f"{key} -> {_address(one)}" for key, bound in ports.items() for one in bound or ()]
    for line in sorted(lines, key=phrases.natural):
        session.say(line)
    return 0


def _key(text: str) -> str:
    number, _, protocol = text.partition("/")
    if not re.fullmatch(r"[0-9]+", number, re.ASCII):
        raise CommandError(f'Error: invalid port ({number}): strconv.ParseUint: parsing "{number}": invalid syntax')
    if len(number) > 6 or int(number) > _LARGEST:
        raise CommandError(f'Error: invalid port ({number}): strconv.ParseUint: parsing "{number}": value out of range')
    return f"{number}/{protocol or 'tcp'}"


def _address(bound: PortBinding) -> str:
    host = f"[{bound.host_ip}]" if ":" in bound.host_ip else bound.host_ip
    return f"{host}:{bound.host_port}"


PORT = Command(
    "port", port, synopsis="CONTAINER [PRIVATE_PORT[/PROTO]]", arity=Arity(1, 2),
    help="List port mappings or a specific mapping for the container", aliases=("container port", "port"))
