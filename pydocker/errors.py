"""What can go wrong, and whose fault it was.

    PydockerError                    500   the engine's own trouble
    ├── InvalidParameter             400   what was asked makes no sense
    ├── Unauthorized                 401   the registry wants other credentials
    ├── Forbidden                    403   it may not be changed: it is read-only
    ├── NotFound                     404   the thing that was named is not there
    ├── Conflict                     409   it is there, but in the way, or in the wrong state
    ├── NotModified                  304   it is already so
    ├── NotSupported                 501   Docker has it, this engine (or this kernel) does not
    └── Unavailable                  503   somebody else (a registry, the server) did not answer

A message is lower case, without a final period, and names the object and the call. It is what the person sees, so it is
Docker's own wording wherever Docker has one. `status` is the Engine API's HTTP status for it.
"""

import re

_NO_TEXT = re.compile("[\ud800-\udfff]")


class PydockerError(Exception):
    """Any failure that a person should see as one line."""

    status = 500

    def __str__(self) -> str:
        """A file's name may be no UTF-8, which JSON cannot say, nor a terminal show: Go writes U+FFFD, too."""
        return _NO_TEXT.sub("\ufffd", super().__str__())


class InvalidParameter(PydockerError):
    """The request itself is wrong: no retry helps."""

    status = 400


class Unauthorized(PydockerError):
    """Credentials are missing or refused."""

    status = 401


class Forbidden(PydockerError):
    """What is to be changed is read-only."""

    status = 403


class NotFound(PydockerError):
    """A named container, image, exec session or path does not exist."""

    status = 404


class Conflict(PydockerError):
    """The object exists, and its name or its state forbids the request."""

    status = 409


class NotModified(PydockerError):
    """The object is already in the state that was asked for (start of a running container)."""

    status = 304


class NotSupported(PydockerError):
    """A request that is right, and that this engine or this kernel cannot fulfil."""

    status = 501


class Unavailable(PydockerError):
    """A peer (registry, server, monitor) is down, or answers garbage."""

    status = 503


class StartFailed(PydockerError):
    """The container's process could not be made.

    `exit_code` is Docker's: 127 the program was not found, 126 it cannot be executed, 128 anything else; it becomes
    the container's exit status. Docker answers 400 where the user's command is to blame, 500 otherwise.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.status = 400 if exit_code in (126, 127) else 500
