"""`python -m runtime`: the command `pydocker-runtime` without an installation."""

from runtime.cli import entry

entry()
