"""What `--since` and `--until` mean, as the seconds that the API wants (see `wire.moments`)."""

from pydocker.cli.errors import CommandError
from pydocker.wire import moments


def seconds(text: str, what: str = "", now: float | None = None) -> str:
    """Seconds since the epoch, with their fraction. Raises CommandError that names the flag `what`, if it is one."""
    try:
        return moments.seconds(text, now)
    except ValueError as error:
        where = f'invalid value for "{what}": ' if what else ""
        raise CommandError(f"{where}{error}") from error
