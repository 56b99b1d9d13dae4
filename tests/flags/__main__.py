"""Prints which test sees the effect of which flag."""

from tests.flags import dockers, proofs

known = proofs()
for flag in dockers("container "):
    shared = known.get(str(flag)) or known.get(str(flag).replace("container create", "container run"), "-")
    print(f"{flag!s:<42} {shared}")
