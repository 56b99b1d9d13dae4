"""config.json: what is accepted, and with which words and path the rest is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidSpec
from runtime.spec import NamespaceType, decode, decode_process, encode

SMALL = {"ociVersion": "1.2.0", "process": {"cwd": "/", "args": ["sh"]}, "root": {"path": "rootfs"},
         "linux": {"namespaces": [{"type": "mount"}]}}


def changed(path: str, value: object) -> bytes:
    document = json.loads(json.dumps(SMALL))
    *parents, last = path.split(".")
    at = document
    for parent in parents:
        at = at.setdefault(parent, {})
    at[last] = value
    return json.dumps(document).encode()


def test_a_small_one() -> None:
    spec = decode(json.dumps(SMALL).encode())
    assert spec.process and spec.process.args == ("sh",) and spec.process.user.uid == 0
    assert spec.linux and spec.linux.namespaces[0].type is NamespaceType.MOUNT


def test_null_means_absent_and_unknown_fields_are_ignored() -> None:
    spec = decode(changed("linux.resources", None))
    assert spec.linux and spec.linux.resources is None
    assert decode(changed("process.capabilities", None)) == decode(changed("process.futureField", 1))


def test_it_is_written_as_it_was_read() -> None:
    memory = {"limit": -1, "disableOOMKiller": True}
    resources = {"memory": memory, "blockIO": {"weight": 10}, "network": {"classID": 7}}
    spec = decode(changed("linux.resources", resources))
    assert decode(encode(spec)) == spec


@pytest.mark.parametrize(("path", "value", "where"), [
    ("ociVersion", 1, "$.ociVersion"),
    ("process.cwd", "relative", "$.process.cwd"),
    ("process.args", "sh", "$.process.args"),
    ("process.args", ["a\0b"], "$.process.args[0]"),
    ("process.consoleSize", {"height": 24, "width": 65536}, "$.process.consoleSize.width"),
    ("process.user.uid", -1, "$.process.user.uid"),
    ("process.user.uid", 2**32 - 1, "$.process.user.uid"),
    ("process.user.gid", "0", "$.process.user.gid"),
    ("process.user.additionalGids", [0, 2**40], "$.process.user.additionalGids[1]"),
    ("linux.namespaces", [{"type": "net"}], "$.linux.namespaces[0].type"),
    ("linux.resources.memory.limit", "1g", "$.linux.resources.memory.limit"),
    ("linux.resources.memory.limit", 2**63, "$.linux.resources.memory.limit"),
    ("linux.resources.pids", {}, "$.linux.resources.pids"),
    ("linux.maskedPaths", ["proc/kcore"], "$.linux.maskedPaths[0]"),
    ("hooks.prestart", [{"path": "x"}], "$.hooks.prestart[0].path"),
    ("annotations", {"a": 1}, "$.annotations[...]"),
])
def test_what_is_wrong_is_told_with_its_path(path: str, value: object, where: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        decode(changed(path, value))
    assert f"`{where}`" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"{}", b"[" * 100_000, b'{"a": 1e999999}'])
def test_what_is_no_specification_at_all(content: bytes) -> None:
    with pytest.raises(InvalidSpec):
        decode(content)


def test_process_json_names_itself() -> None:
    with pytest.raises(InvalidSpec, match=r"^process\.json: .*`\$`"):
        decode_process(b'{"args": ["x"]}')


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda children:
                    st.lists(children) | st.dictionaries(st.sampled_from(["process", "linux", "root", "args", "mounts",
                                                                          "namespaces", "resources"]), children)))
def test_garbage_is_refused_without_a_traceback(value: object) -> None:
    document = value if not isinstance(value, dict) else {"ociVersion": "1", **value}
    try:
        decode(json.dumps(document).encode())
    except InvalidSpec as error:
        assert "\n" not in str(error)
