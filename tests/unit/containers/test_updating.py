"""What an update makes of a container's limits, and what it refuses: moby's rules and words."""

import pytest

from pydocker.containers import updating
from pydocker.errors import PydockerError
from pydocker.model.container import HostConfig, RestartPolicy
from pydocker.model.limits import Update

M = 1 << 20


@pytest.mark.parametrize(("host", "change", "expected"), [
    (HostConfig(memory=64 * M), Update(memory=32 * M), HostConfig(memory=32 * M, memory_swap=128 * M)),
    (HostConfig(), Update(memory=32 * M, memory_swap=-1), HostConfig(memory=32 * M, memory_swap=-1)),
    (HostConfig(memory=64 * M), Update(memory_swap=64 * M), HostConfig(memory=64 * M, memory_swap=64 * M)),
    (HostConfig(memory=64 * M, memory_swap=-1), Update(memory=99 * M), HostConfig(memory=99 * M, memory_swap=-1)),
    (HostConfig(memory=64 * M, memory_swap=-1), Update(cpu_shares=5),
     HostConfig(memory=64 * M, memory_swap=-1, cpu_shares=5)),
    (HostConfig(cpu_shares=5), Update(cpuset_cpus="0"), HostConfig(cpu_shares=5, cpuset_cpus="0")),
    (HostConfig(pids_limit=9), Update(), HostConfig(pids_limit=9)),
    (HostConfig(pids_limit=9), Update(pids_limit=-1), HostConfig(pids_limit=0)),
    (HostConfig(), Update(restart_policy=RestartPolicy("always")), HostConfig(restart_policy=RestartPolicy("always"))),
    (HostConfig(), Update(restart_policy=RestartPolicy("")), HostConfig()),
])
def test_what_is_not_named_stays(host: HostConfig, change: Update, expected: HostConfig) -> None:
    assert updating.merged(host, change) == expected


@pytest.mark.parametrize(("host", "change", "words"), [
    (HostConfig(), Update(memory=32 * M), "Memory limit should be smaller than already set memoryswap limit, update "
                                          "the memoryswap at the same time"),
    (HostConfig(memory=64 * M), Update(memory=129 * M), "Memory limit should be smaller than already set"),
    (HostConfig(memory=64 * M), Update(memory_swap=10 * M), "Minimum memoryswap limit should be larger"),
    (HostConfig(cpu_period=5000), Update(nano_cpus=10**9), "Nano CPUs cannot be updated as CPU Period has"),
    (HostConfig(cpu_quota=5000), Update(nano_cpus=10**9), "Nano CPUs cannot be updated as CPU Quota has already been"),
    (HostConfig(nano_cpus=1), Update(cpu_period=5000), "CPU Period cannot be updated as NanoCPUs has already been set"),
    (HostConfig(nano_cpus=1), Update(cpu_quota=5000), "CPU Quota cannot be updated as NanoCPUs has already been set"),
    (HostConfig(auto_remove=True), Update(restart_policy=RestartPolicy("always")),
     "Restart policy cannot be updated because AutoRemove is enabled for the container"),
])
def test_what_does_not_go_together(host: HostConfig, change: Update, words: str) -> None:
    with pytest.raises(PydockerError, match=words) as caught:
        updating.merged(host, change)
    assert caught.value.status == 409


@pytest.mark.parametrize(("change", "words"), [
    (Update(memory=4 * M), "Minimum memory limit allowed is 6MB"),
    (Update(memory_reservation=M), "Minimum memory reservation allowed is 6MB"),
    (Update(nano_cpus=9999 * 10**9), "as there are only"),
    (Update(cpu_quota=500), "CPU cfs quota can not be less than 1ms"),
    (Update(cpuset_cpus="4000"), "Requested CPUs are not available - requested 4000"),
    (Update(cpuset_cpus="x"), "Invalid value x for cpuset cpus"),
    (Update(blkio_weight=5), "range of blkio weight is from 10 to 1000"),
    (Update(restart_policy=RestartPolicy("foo")), "invalid restart policy 'foo'"),
    (Update(restart_policy=RestartPolicy("always", 3)),
     "maximum retry count cannot be used with restart policy 'always'"),
    (Update(restart_policy=RestartPolicy("on-failure", -1)), "maximum retry count cannot be negative"),
])
def test_what_is_never_right(change: Update, words: str) -> None:
    with pytest.raises(PydockerError, match=words) as caught:
        updating.check(change)
    assert caught.value.status == 400


def test_the_swap_may_be_named_alone() -> None:
    updating.check(Update(memory_swap=128 * M))
