"""`python -m pydocker`: the same as the command `pydocker`."""

from pydocker.cli import entry

entry()
