"""A registry's "no" in Docker's words.

A registry answers an error with a status and, if it is well-behaved, a document (OCI distribution spec, "Error Codes"):

    {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown", "detail": …}]}

The code says what is wrong, the table says whose fault that is and how Docker puts it. `{words}` are `code: message`.
"""

import time
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from pydocker.errors import NotFound, PydockerError, Unauthorized, Unavailable
from pydocker.registry import challenge
from pydocker.registry.message import Answer, Broken, read
from pydocker.registry.patience import retry_after, told
from pydocker.registry.plain import plain

_LONGEST = 64 * 1024  # bytes of an error document


class _Fault(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Faults(msgspec.Struct):
    errors: tuple[_Fault, ...] = ()
    details: str = ""  # some token servers answer like this instead


class _Rule(NamedTuple):
    kind: type[PydockerError]
    words: str


_DENIED = _Rule(
    NotFound, "{action} access denied for {name}, repository does not exist or may require 'docker login': {words}"
)
_OTHERWISE = _Rule(Unavailable, "{request}: {words}")
_BY_CODE: Mapping[str, _Rule] = {
    "MANIFEST_UNKNOWN": _Rule(NotFound, "manifest for {image} not found: {words}"),
    "NAME_UNKNOWN": _Rule(NotFound, "repository {name} not found: {words}"),
    "NAME_INVALID": _Rule(NotFound, "repository {name} not found: {words}"),
    "BLOB_UNKNOWN": _OTHERWISE,  # the registry's own manifest names it
    "DENIED": _DENIED,
    "UNAUTHORIZED": _Rule(Unauthorized, "{request}: {words}"),
    "TOOMANYREQUESTS": _Rule(Unavailable, "{words}{later}"),
}
_BY_STATUS: Mapping[int, _Rule] = {
    401: _Rule(Unauthorized, "{request}: {words}"),
    403: _DENIED,
    404: _Rule(NotFound, "{image} not found: {request}: {words}"),
    429: _Rule(Unavailable, "toomanyrequests: {words}{later}"),
}


def refused(answer: Answer, name: str, image: str, action: str = "pull") -> PydockerError:
    """What to raise for an answer that is not a success. It reads and closes the answer.

    `name` is the repository as people write it, `image` the reference with its tag or digest, `action` what was tried.
    """
    status = f"received unexpected HTTP status: {answer.status} {plain(answer.reason)}".rstrip()
    fault = _insufficient(answer) or _fault(answer)
    answer.close()
    rule = _BY_CODE.get(fault.code) or _BY_STATUS.get(answer.status, _OTHERWISE)
    said = f"{fault.code.lower().replace('_', ' ')}: {fault.message}" if fault.code else fault.message
    return rule.kind(rule.words.format(
        name=name, image=image, action=action, request=answer.request, words=plain(said) or status, later=_later(answer)
    ))


def _later(answer: Answer) -> str:
    """When the registry wants to be asked again, if it says so."""
    asked = retry_after(answer.headers.get("Retry-After"), time.time())
    return f" (the registry asks to come back in {told(asked)})" if asked else ""


def _insufficient(answer: Answer) -> _Fault | None:
    """A valid token that does not open this repository (RFC 6750, section 3.1): Docker calls it denied."""
    if answer.status == 401:
        for one in challenge.parse(answer.headers.get("WWW-Authenticate", "")):
            if one.scheme == "bearer" and one.parameters.get("error") == "insufficient_scope":
                return _Fault("DENIED", "requested access to the resource is denied")
    return None


def _fault(answer: Answer) -> _Fault:
    """The first fault of the document, or an empty one where there is no such document."""
    try:
        found = msgspec.json.decode(read(answer, _LONGEST), type=_Faults)
    except (msgspec.MsgspecError, RecursionError, Unavailable, Broken):
        return _Fault()  # the status has to do: what could not be read has nothing better to say
    return found.errors[0] if found.errors else _Fault(message=found.details)
