"""Bad documents through the real command line: exit code 1 and one line with a JSON path, never a traceback (R16)."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.root.runtime.conftest import REPOSITORY, Runtime

# Each document is run by a fork of one process that has everything imported, as the monitor does it: `runtime.cli.main`
# with the words of the command line. `explain` would not do: it is `create` whose answers are an interface.
SCRIPT = """
import json, os, sys
from runtime import cli
cli.preload()
cli.protect = lambda words: None
root, bundle, documents = sys.argv[1:]
for document in open(documents):
    with open(bundle + "/config.json", "w") as file:
        file.write(document)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 2)
        os._exit(cli.main(["--root", root, "create", "--bundle", bundle, "c"]))
    os.close(writing)
    with open(reading, errors="replace") as file:
        said = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps([code, said]), flush=True)
"""
WRONG: tuple[Any, ...] = ({}, [], [[]], 10**30, -1, 1.5, True, "", "\0", "x\0y", [None, 1], {"": {}}, "\n")


def broken(document: Any) -> Iterator[str]:
    """For every value of the document: another type, or the member missing. Those that change nothing are left out."""
    def walk(value: Any) -> Iterator[tuple[Any, Any]]:
        members = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(
            value, list) else []
        for name, member in members:
            yield value, name
            yield from walk(member)

    chance = random.Random(3)
    for parent, name in list(walk(document)):
        old = parent[name]
        parent[name] = chance.choice([one for one in WRONG if type(one) is not type(old)])
        yield json.dumps(document)
        parent[name] = old


def test_wrong_types_everywhere(runtime: Runtime) -> None:
    runtime.configure("true")
    documents = [*broken(json.loads((runtime.bundle / "config.json").read_text()))]
    # What is accepted nevertheless (a string where any string is right) would be created: it has no root to be made in.
    documents = [one.replace('"path": "rootfs"', '"path": "nowhere"') for one in documents]
    file = runtime.directory / "documents"
    file.write_text("\n".join(documents) + "\n")
    done = subprocess.run([sys.executable, "-c", SCRIPT, runtime.root, runtime.bundle, file], cwd=REPOSITORY, text=True,
                          capture_output=True, timeout=120, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(documents) > 150
    for document, (code, said) in zip(documents, answers, strict=True):
        assert code == 1 and said.count("\n") == 1 and "Traceback" not in said, (said, document)
        assert "`$" in said or "$." in said or "nowhere" in said, (said, document)
    assert sum("`$" in said for _, said in answers) > len(answers) * 0.8
