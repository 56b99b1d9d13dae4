"""How a command ends when it does not end well: which words, which exit status.

Docker's statuses: 125 the flags, or the engine; 126 and 127 the container's program; 1 whatever else went wrong, a
wrong number of arguments included. Any other status is the program's own.
"""

from pydocker.client.api import ApiError
from pydocker.errors import PydockerError

_NOT_FOUND = ("executable file not found", "no such file or directory", "system cannot find the file specified")
_NOT_EXECUTABLE = ("permission denied", "is a directory")


class CommandError(PydockerError):
    """Ends the command with `exit_code`; its text is written as it is (nothing at all if it is empty)."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Interrupted(BaseException):
    """A signal that ends this process, once the terminal is as it was (no Exception: nobody may handle it half way)."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class BadUsage(PydockerError):
    """The command line itself is wrong. Whoever parses it adds the command's path and usage: `at`."""

    def __init__(self, message: str, exit_code: int = 125, hint: str = "Run") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self._hint = hint
        self._path = ""
        self._usage = ""

    def at(self, path: str, usage: str) -> None:
        """Remember where it happened; the innermost command wins."""
        self._path = self._path or path
        self._usage = self._usage or usage

    def full(self) -> str:
        """The complaint, the usage line, and where to read more."""
        usage = f"Usage:  {self._usage}\n\n" if self._usage else ""
        return f"{self}\n\n{usage}{self._hint} '{self._path} --help' for more information"


def of_command(error: PydockerError, command: str) -> CommandError:
    """The error as `run` and `create` end with it, in Docker's layout; 125 unless it brings its own status."""
    status = error.exit_code if isinstance(error, CommandError) else 125
    hint = f"Run 'pydocker {command} --help' for more information"
    return CommandError(f"pydocker: {told(error)}\n\n{hint}", status)


def told(error: PydockerError) -> str:
    """The error as a person sees it: what the server said is marked as that."""
    return f"Error response from daemon: {error}" if isinstance(error, ApiError) else str(error)


def start_status(message: str) -> int:
    """The exit status for a container that could not be started, by what the server said about it."""
    if any(phrase in message for phrase in _NOT_FOUND):
        return 127
    return 126 if any(phrase in message for phrase in _NOT_EXECUTABLE) else 125
