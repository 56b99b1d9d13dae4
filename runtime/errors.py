"""What can go wrong, and whose fault it was.

    Fault                    anything that ends a command: exit code 1, one line
    ├── InvalidSpec          config.json is wrong; the message holds the JSON path
    ├── InvalidArgument      the command line is wrong
    │   └── Usage            so much that it was not begun: an unknown flag, too few words
    │       └── UnknownCommand   exit code 3
    ├── NoSuchContainer      the id is not known under this --root
    ├── Damaged              what is kept for the id cannot be read
    ├── ContainerExists      the id is taken
    ├── WrongState           the container is not in a state in which this can be done
    ├── StepFailed           the kernel refused a step of the plan
    └── ExecFailed           the program cannot be executed: not found, not executable, a directory

Where podman, containerd or dockerd recognise a failure by runc's words, the words here are runc's: they are an
interface, and tests hold them.
"""


class Fault(Exception):
    """Any failure that a caller should see as one line."""


class InvalidSpec(Fault):
    """A field of config.json or process.json is of the wrong type, out of range, missing, or not supported."""


class InvalidArgument(Fault):
    """A flag or an argument of the command line makes no sense."""


class Usage(InvalidArgument):
    """The words are not of the verb's form; where exec's other failures have a code of their own, this one has not."""


class UnknownCommand(Usage):
    """A verb that is none; the exit code 3 is runc's, by which scripts find out what it can do."""


class NoSuchContainer(Fault):
    """No state is kept for this id."""

    def __init__(self, id: str) -> None:
        super().__init__(f"container {id}: container does not exist")


class Damaged(Fault):
    """What is kept for this id is not what was written: which process and cgroup it has is not known any more."""


class ContainerExists(Fault):
    """State is kept for this id already."""

    def __init__(self, id: str) -> None:
        super().__init__(f"container {id}: container with given ID already exists")


class WrongState(Fault):
    """An illegal change of state: start of a running container, delete of a running one."""


class StepFailed(Fault):
    """A step could not be applied: what it was to do, the call, and the kernel's reason."""


class ExecFailed(Fault):
    """The program to run is at fault, not the container: Docker's exit codes 126 and 127 follow from the words."""
