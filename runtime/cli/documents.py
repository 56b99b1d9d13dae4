"""The verbs that write a document, and touch no container: explain, spec, features."""

import os
import sys

import msgspec

from runtime.cli.arguments import Call
from runtime.cli.flags import GLOBAL
from runtime.errors import InvalidArgument
from runtime.linux.descriptors import write_all


def explain(call: Call) -> int:
    from runtime.create import Wanted, decided
    from runtime.explain import FORMATS

    given = call.given
    bundle = os.path.abspath(given.text("bundle") or ".")
    id = given.words[0] if given.words else os.path.basename(bundle) or "container"
    _, _, plan = decided(Wanted(id=id, root=call.root, bundle=bundle, systemd=call.systemd))
    print(FORMATS[given.text("format") or "text"](plan))
    return 0


def spec(call: Call) -> int:
    from runtime.spec import OCI_VERSION
    from runtime.spec.starter import rootless, starter

    document = starter(OCI_VERSION)
    if call.given.on("rootless"):
        document = rootless(document, os.geteuid(), os.getegid())
    path = os.path.join(call.given.text("bundle") or ".", "config.json")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError as error:
        raise InvalidArgument(f"File {path} exists. Remove it first") from error
    try:
        write_all(descriptor, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    except OSError as error:
        os.unlink(path)
        raise InvalidArgument(f"write {path}: {str(error.strerror).lower()}") from error
    finally:
        os.close(descriptor)
    return 0


def features(call: Call) -> int:
    from runtime.cli.verbs import VERSION
    from runtime.features import features

    found = features(VERSION, systemd="systemd-cgroup" in GLOBAL)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=4).decode() + "\n")
    return 0
