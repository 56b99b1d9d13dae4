"""`pydocker top`: a container's processes, as the host's ps tells them."""

from pydocker.cli import table
from pydocker.cli.command import SOME, Command
from pydocker.cli.session import Session
from pydocker.client import containers

_NARROWEST = 20  # Docker's columns, here


def top(session: Session, arguments: tuple[str, ...]) -> int:
    """Print ps's own columns; what comes behind the container's name are options for ps."""
    container, *options = arguments
    found = containers.top(session.client(), container, " ".join(options))
    session.write(table.aligned([found.titles, *found.processes], _NARROWEST))
    return 0


TOP = Command(
    "top", top, synopsis="CONTAINER [ps OPTIONS]", arity=SOME, interspersed=False,
    help="Display the running processes of a container", aliases=("container top", "top"))
