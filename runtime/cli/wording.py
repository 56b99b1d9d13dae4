"""What is said of an error, and whether anybody listens."""

from select import POLLERR, poll


def unread() -> bool:
    """Whether standard output is a pipe that nobody reads any more (poll(2))."""
    output = poll()
    output.register(1, 0)
    return any(event & POLLERR for _, event in output.poll(0))


def named(error: OSError) -> str:
    """What the kernel refused, and about which file."""
    return f"{error.filename + ': ' if isinstance(error.filename, str) else ''}{error.strerror}".lower()
