"""The attacks, by what they go at. Importing this puts all of them into the register."""

from tests.security.attacks import (  # noqa: F401
    confinement,
    descriptors,
    executable,
    identity,
    kernel,
    links,
    procfs,
    races,
    requests,
    surroundings,
)
