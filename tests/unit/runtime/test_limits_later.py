"""`update`, `events` and `ps`, as far as they only decide: merging limits, reading sizes, filtering lines."""

import msgspec
import pytest

from runtime.errors import InvalidArgument
from runtime.events import seconds
from runtime.ps import filtered
from runtime.spec.resources import LinuxResources
from runtime.update import from_flags, merged, number, size


def resources(document: dict[str, object]) -> LinuxResources:
    return msgspec.convert(document, LinuxResources)


@pytest.mark.parametrize("present, change, result", [
    ({}, {}, {}),
    ({"memory": {"limit": 5, "swap": 9}}, {"memory": {"limit": 6}}, {"memory": {"limit": 6, "swap": 9}}),
    ({"memory": {"limit": 5, "swap": 9}}, {"memory": {"limit": 0, "swap": 0}}, {"memory": {"limit": 5, "swap": 9}}),
    ({"memory": {"limit": 5, "swap": 9}}, {"memory": {"limit": -1}}, {"memory": {"limit": -1, "swap": -1}}),
    ({"cpu": {"shares": 5, "idle": 1, "cpus": "0"}}, {"cpu": {"idle": 0, "cpus": ""}},
     {"cpu": {"shares": 5, "idle": 0, "cpus": "0"}}),
    ({"pids": {"limit": 5}}, {"pids": {"limit": 0}}, {"pids": {"limit": 5}}),
    ({"pids": {"limit": 5}}, {"pids": {"limit": -1}}, {"pids": {"limit": -1}}),
    ({}, {"blockIO": {"weight": 50}}, {"blockIO": {"weight": 50}}),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4}, {"pageSize": "1GB", "limit": 8}]},
     {"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]},
     {"hugepageLimits": [{"pageSize": "1GB", "limit": 8}, {"pageSize": "2MB", "limit": 0}]}),
    ({"unified": {"memory.high": "5"}}, {"unified": {"pids.max": "6"}},
     {"unified": {"memory.high": "5", "pids.max": "6"}}),
    ({"devices": [{"allow": True}]}, {"devices": [{"allow": False}]}, {}),
])
def test_a_change_laid_over_what_is_there(present, change, result):
    assert merged(resources(present), resources(change)) == resources(result)


@pytest.mark.parametrize("word, value", [("-1", -1), ("0", 0), ("512", 512), ("512b", 512), ("4k", 4096),
                                         ("1.5GiB", 3 << 29), ("2 MB", 2 << 20), ("1t", 1 << 40)])
def test_sizes(word, value):
    assert size("memory", word) == value


@pytest.mark.parametrize("word", ["", "x", "-2", "5x", "1e5", "9999999p", "٣"])
def test_what_is_no_size(word):
    with pytest.raises(InvalidArgument, match="invalid value for memory: "):
        size("memory", word)


@pytest.mark.parametrize("word, least", [("9223372036854775808", -2**63), ("18446744073709551616", 0), ("1" * 500, 0)])
def test_numbers_have_64_bits(word, least):
    with pytest.raises(InvalidArgument, match="value out of range"):
        number("cpu-quota", word, least=least)


def test_flags_that_were_not_given_ask_for_nothing():
    assert from_flags({}) == LinuxResources()
    assert from_flags({"cpu-idle": "0", "cpuset-cpus": "0-1", "memory": "-1"}) == resources(
        {"cpu": {"idle": 0, "cpus": "0-1"}, "memory": {"limit": -1}})


@pytest.mark.parametrize("word, value", [("5s", 5), ("500ms", 0.5), ("1m30s", 90), ("1.5h", 5400), ("20us", 2e-5)])
def test_durations(word, value):
    assert seconds(word) == pytest.approx(value)


@pytest.mark.parametrize("word", ["5", "s", "5 s", "-5s", "0s", "0", "1d", "5s5"])
def test_what_is_no_duration(word):
    with pytest.raises(InvalidArgument):
        seconds(word)


def test_lines_of_ps():
    output = "USER PID COMMAND\nroot 5 a b\nroot 6 c\nroot 55 d\n"
    assert filtered(output, {5, 55}) == ["USER PID COMMAND", "root 5 a b", "root 55 d"]
    for bad, words in (("COMMAND\na\n", "couldn't find PID field"), ("", "couldn't find PID"),
                       ("COMMAND PID\na b 5\n", "unable to parse pid: parsing 'b'"),
                       ("A PID\nx\n", "unable to parse pid: parsing ''")):
        with pytest.raises(InvalidArgument, match=words):
            filtered(bad, {5})
