"""Create and exec bodies: what the real clients send passes, what is asked beyond the engine is named."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.errors import InvalidParameter, NotSupported
from pydocker.model.container import Config, HostConfig, LogConfig, Ulimit
from pydocker.model.network import EndpointConfig, IPAMConfig
from pydocker.wire import requests

BODIES = sorted(Path(__file__).parent.glob("bodies/create-*.json"))
Object = dict[str, object]


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_what_docker_run_sends_is_understood(path: Path) -> None:
    """Recorded: `docker run --rm -e A=b -m 64m x true` of two versions."""
    config, host, networks = requests.create(json.loads(path.read_text()))
    assert config == Config(image="x", cmd=("true",), env=("A=b",))
    assert (host.memory, host.auto_remove, host.network_mode) == (64 << 20, True, "default")
    assert host.log_config == LogConfig()
    assert set(networks.values()) <= {EndpointConfig()}


def test_nulls_and_an_empty_body_mean_defaults() -> None:
    assert requests.create({}) == (Config(), HostConfig(), {})
    nulls = {"Cmd": None, "Labels": None, "HostConfig": None, "Foo": None, "NetworkingConfig": None}
    assert requests.create(nulls) == (Config(), HostConfig(), {})
    _, host, _ = requests.create({"HostConfig": {"LogConfig": {"Type": "none", "Config": None}}})
    assert host.log_config == LogConfig("none")


def test_what_is_asked_for_in_each_network() -> None:
    body = {"HostConfig": {"NetworkMode": "net"}, "MacAddress": "02:42:ac:11:00:02", "NetworkingConfig": {
        "EndpointsConfig": {"net": None, "other": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}, "Aliases": ["db"],
                                                   "NetworkID": "told", "DNSNames": ["by docker"], "GwPriority": 3}}}}
    assert requests.create(body).networks == {
        "net": EndpointConfig(mac_address="02:42:ac:11:00:02"),
        "other": EndpointConfig(ipam_config=IPAMConfig("10.0.0.9"), aliases=("db",), gw_priority=3)}


def test_a_lone_string_is_a_command_of_one_word() -> None:
    assert requests.create({"Cmd": "a b", "Entrypoint": "sh"}).config.cmd == ("a b",)


def test_limits_arrive_under_dockers_names() -> None:
    host = requests.create({"HostConfig": {
        "NanoCpus": 5, "PidsLimit": 7, "CpusetCpus": "0-1", "ShmSize": 9, "OomScoreAdj": -3, "ReadonlyRootfs": True,
        "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}], "MemorySwap": -1,
    }}).host
    assert host == HostConfig(nano_cpus=5, pids_limit=7, cpuset_cpus="0-1", shm_size=9, oom_score_adj=-3,
                              readonly_rootfs=True, ulimits=(Ulimit("nofile", 1, 2),), memory_swap=-1)


@pytest.mark.parametrize(("body", "field"), [
    ({"HostConfig": {"Memori": 5}}, "HostConfig.Memori"),
    ({"NetworkDisabled": True}, "NetworkDisabled"),
    ({"NetworkingConfig": {"EndpointsConfig": {"x": {"Lins": ["a"]}}}}, "NetworkingConfig.EndpointsConfig.x.Lins"),
])
def test_what_this_engine_does_not_have_yet_is_refused_by_name(body: Object, field: str) -> None:
    with pytest.raises(NotSupported, match=f"^{field} is not supported yet$"):
        requests.create(body)


def test_isolation_is_of_one_kind() -> None:
    for word in ("", "default", "Default"):
        assert requests.create({"HostConfig": {"Isolation": word}}).host == HostConfig()
    with pytest.raises(InvalidParameter, match=r"^invalid isolation: \"hyperv\" - linux only supports 'default'$"):
        requests.create({"HostConfig": {"Isolation": "hyperv"}})


def test_a_size_of_what_a_container_writes_is_refused() -> None:
    with pytest.raises(NotSupported, match="storage-opt is not supported: an overlay"):
        requests.create({"HostConfig": {"StorageOpt": {"size": "1g"}}})


def test_gpus_are_refused_in_dockers_words() -> None:
    wanted = {"Driver": "nvidia", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu", "compute"]], "Options": {}}
    with pytest.raises(NotSupported, match=r'^could not select device driver "nvidia" with capabilities: \[\[gpu '
                                           r"compute\]\]: pydocker does not support GPUs$"):
        requests.create({"HostConfig": {"DeviceRequests": [wanted]}})
    for body in ([], None, [{"Capabilities": 7}], [7], [{"Capabilities": [3]}]):
        try:
            requests.create({"HostConfig": {"DeviceRequests": body}})
        except NotSupported as error:
            assert body and "could not select device driver" in str(error)


@pytest.mark.parametrize("body", [
    {"Healthcheck": {"Test": ["NONE"]}}, {"HostConfig": {"IpcMode": "private", "CgroupnsMode": "private"}},
    {"HostConfig": {"RestartPolicy": {"Name": ""}}}, {"HostConfig": {"ConsoleSize": [24, 80]}},
])
def test_what_asks_for_what_happens_anyway_passes(body: Object) -> None:
    requests.create(body)


@pytest.mark.parametrize(("body", "path"), [
    ({"Cmd": ["a", 3]}, r"\$\.Cmd\[1\]"),
    ({"Env": "A=b"}, r"\$\.Env"),
    ({"Tty": "yes"}, r"\$\.Tty"),
    ({"HostConfig": {"Memory": "64m"}}, r"\$\.HostConfig\.Memory"),
    ({"HostConfig": {"Memory": 1.5}}, r"\$\.HostConfig\.Memory"),
    ({"HostConfig": {"Ulimits": [{"Name": "nofile"}]}}, r"\$\.HostConfig\.Ulimits\[0\]"),
    ({"HostConfig": []}, r"\$\.HostConfig"),
    ({"NetworkingConfig": 3}, r"\$\.NetworkingConfig"),
    ({"NetworkingConfig": {"EndpointsConfig": []}}, r"\$\.EndpointsConfig"),
    ({"NetworkingConfig": {"EndpointsConfig": {"x": 3}}}, r"\$\.NetworkingConfig\.EndpointsConfig\.x"),
])
def test_a_wrong_type_is_told_with_its_json_path(body: Object, path: str) -> None:
    with pytest.raises(InvalidParameter, match=path):
        requests.create(body)


def test_exec_bodies() -> None:
    """As `docker exec -d` sends it."""
    config = requests.execute({"User": "", "Privileged": False, "Tty": False, "AttachStdin": False, "Detach": True,
                               "AttachStderr": False, "AttachStdout": False, "DetachKeys": "", "Env": None,
                               "WorkingDir": "", "Cmd": ["ls"], "ConsoleSize": [1, 2]})
    assert config.cmd == ("ls",)
    with pytest.raises(InvalidParameter, match=r"\$\.Cmd"):
        requests.execute({"Cmd": "ls -l"})
    with pytest.raises(NotSupported, match="Foo"):
        requests.execute({"Cmd": ["ls"], "Foo": 1})


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
NAMES = ["Cmd", "Env", "HostConfig", "NetworkingConfig", "Healthcheck", "Labels", "Tty", "Volumes", "ExposedPorts"]
HOST_NAMES = ["Memory", "LogConfig", "RestartPolicy", "Ulimits", "Sysctls", "Binds", "NetworkMode", "PidsLimit"]


@given(st.dictionaries(st.sampled_from(NAMES), JSON),
       st.dictionaries(st.sampled_from(HOST_NAMES), JSON) | st.just({}))
def test_no_json_breaks_the_decoder(body: Object, host: Object) -> None:
    for candidate in (body, {**body, "HostConfig": host}):
        try:
            requests.create(candidate)
        except (InvalidParameter, NotSupported):
            continue
