"""A record as an OCI spec, and what is refused before there is one: pure functions, compared as data."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from pydocker.config import Config as EngineConfig
from pydocker.containers import bundle, create, names, presets, security, signals, validate
from pydocker.errors import InvalidParameter, NotFound, NotSupported
from pydocker.model.container import Config, ContainerId, HostConfig, Record, Ulimit
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor, Image, ImageConfig, ImageDefaults, RootFS
from runtime.linux.capabilities import NAMES
from runtime.spec import NamespaceType, Spec, decode, encode
from runtime.spec.defaults import DEFAULT_CAPABILITIES, MASKED_PATHS

ID = ContainerId("a" * 64)
SHA = Digest("sha256:" + "b" * 64)


def record(config: Config | None = None, host: HostConfig | None = None) -> Record:
    asked = config or Config(hostname="web")
    chosen = create.with_defaults(host or HostConfig(), EngineConfig())
    return Record(id=ID, name="web", created=1.0, image=SHA, image_name="x", platform="linux/amd64", argv=("sh",),
                  config=asked, host=chosen, layers=(SHA,))


def spec(config: Config | None = None, host: HostConfig | None = None) -> Spec:
    return bundle.spec(record(config, host), Path("/data"), Path("/rootfs"))


def test_the_usual_one() -> None:
    made = spec()
    assert made.process is not None and made.linux is not None and made.linux.resources is not None
    assert made.process.args == ("sh",)
    assert made.process.cwd == "/"
    assert made.process.capabilities is not None
    assert set(made.process.capabilities.bounding) == set(DEFAULT_CAPABILITIES)
    assert made.process.capabilities.inheritable == made.process.capabilities.ambient == ()
    assert {one.type for one in made.linux.namespaces} == set(NamespaceType) - {NamespaceType.USER, NamespaceType.TIME}
    assert made.linux.cgroups_path == f"/pydocker/{ID}"
    assert made.linux.masked_paths == MASKED_PATHS
    assert made.linux.resources.memory is None
    assert [mount.destination for mount in made.mounts][-3:] == ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]


def test_it_is_a_valid_document() -> None:
    for host in (HostConfig(), HostConfig(privileged=True, memory=1 << 30, pids_limit=5)):
        assert decode(encode(spec(host=host))) == spec(host=host)


def test_the_environment() -> None:
    asked = Config(hostname="web", tty=True, env=("A=1", "PATH=/x", "A=2", "TERM"))
    assert bundle.environment(record(asked)) == ("PATH=/x", "HOSTNAME=web", "A=2")


@pytest.mark.parametrize(("host", "expected"), [
    (HostConfig(memory=64 << 20), (64 << 20, 128 << 20, None)),
    (HostConfig(memory=64 << 20, memory_swap=-1), (64 << 20, -1, None)),
    (HostConfig(memory=64 << 20, memory_swap=64 << 20, memory_reservation=32 << 20), (64 << 20, 64 << 20, 32 << 20)),
])
def test_memory(host: HostConfig, expected: tuple[int | None, ...]) -> None:
    linux = spec(host=host).linux
    assert linux is not None and linux.resources is not None and linux.resources.memory is not None
    memory = linux.resources.memory
    assert (memory.limit, memory.swap, memory.reservation) == expected


def test_cpus_become_a_quota() -> None:
    linux = spec(host=HostConfig(nano_cpus=1_500_000_000)).linux
    assert linux is not None and linux.resources is not None and linux.resources.cpu is not None
    assert (linux.resources.cpu.quota, linux.resources.cpu.period) == (150_000, 100_000)


def test_the_hosts_network_and_privileges() -> None:
    made = spec(host=HostConfig(network_mode="host", privileged=True))
    assert made.linux is not None and made.process is not None and made.process.capabilities is not None
    assert NamespaceType.NETWORK not in {one.type for one in made.linux.namespaces}
    assert made.process.capabilities.bounding == NAMES
    assert made.linux.masked_paths == ()
    assert made.linux.seccomp is None and spec().linux.seccomp is not None  # type: ignore[union-attr]
    assert all("ro" not in mount.options for mount in made.mounts)


def test_limits_and_a_read_only_root() -> None:
    made = spec(host=HostConfig(ulimits=(Ulimit("nofile", 10, -1),), readonly_rootfs=True))
    assert made.process is not None and made.root is not None
    assert [(one.type, one.soft, one.hard) for one in made.process.rlimits] == [("RLIMIT_NOFILE", 10, 2**64 - 1)]
    assert made.root.readonly
    assert "ro" in made.mounts[-1].options


@pytest.mark.parametrize(("add", "drop", "expected"), [
    ((), (), set(DEFAULT_CAPABILITIES)), (("ALL",), (), set(NAMES)), ((), ("ALL",), set()),
    (("CHOWN",), ("all",), {"CAP_CHOWN"}), (("net_admin",), ("CAP_KILL",),
                                            set(DEFAULT_CAPABILITIES) - {"CAP_KILL"} | {"CAP_NET_ADMIN"}),
    (("ALL",), ("SYS_ADMIN",), set(NAMES) - {"CAP_SYS_ADMIN"}),
])
def test_capabilities(add: tuple[str, ...], drop: tuple[str, ...], expected: set[str]) -> None:
    assert set(security.capabilities(add, drop)) == expected


def test_security_options() -> None:
    assert security.parse(("no-new-privileges:true", "systempaths=unconfined")) == security.SecurityOptions(True, True)
    assert security.parse(("seccomp=unconfined", "apparmor:mine", "label=disable", "writable-cgroups=true")) == (
        security.SecurityOptions(writable_cgroups=True, seccomp="unconfined", apparmor="mine"))
    with pytest.raises(NotSupported):
        security.parse(("label=type:x",))
    for wrong in ("nonsense", "seccomp=/a.json", "seccomp=", 'seccomp={"defaultAction": 1}', "no-new-privileges=x"):
        with pytest.raises(InvalidParameter):
            security.parse((wrong,))


@pytest.mark.parametrize("name", ["kernel.core_pattern", "vm.swappiness", "net/../x", "fs.mqueue.a/b", "net.a..b"])
def test_sysctls_of_the_host(name: str) -> None:
    with pytest.raises(InvalidParameter):
        security.check_sysctls({name: "1"}, host_network=False)


def test_sysctls_of_the_container() -> None:
    security.check_sysctls({"net.core.somaxconn": "1", "kernel.shmmax": "1"}, host_network=False)
    with pytest.raises(InvalidParameter):
        security.check_sysctls({"net.core.somaxconn": "1"}, host_network=True)
    with pytest.raises(InvalidParameter):
        security.check_sysctls({"kernel.shm_rmid_forced": "1+kernel.core_pattern=|/x"}, host_network=False)


@pytest.mark.parametrize(("host", "words"), [
    (HostConfig(memory=6 * 1024 * 1024 - 1), "Minimum memory limit allowed is 6MB"),
    (HostConfig(memory=64 << 20, memory_swap=32 << 20), "Minimum memoryswap limit"),
    (HostConfig(memory_swap=32 << 20), "You should always set the Memory limit"),
    (HostConfig(memory=64 << 20, memory_reservation=65 << 20), "can not be less than memory reservation"),
    (HostConfig(nano_cpus=1, cpu_period=1000), "Conflicting options"),
    (HostConfig(nano_cpus=10**15), "Range of CPUs is from 0.01"),
    (HostConfig(cpu_period=999), "CPU cfs period"), (HostConfig(cpu_quota=999), "CPU cfs quota"),
    (HostConfig(cpuset_cpus="0,70000"), "Requested CPUs are not available - requested 0,70000, available: 0"),
    (HostConfig(cpuset_cpus="1-0"), "Requested CPUs are not available"),
    (HostConfig(cpuset_mems="0-7000"), "Requested memory nodes are not available - requested 0-7000, available: 0"),
    (HostConfig(cpuset_cpus="1-"), "for cpuset cpus"), (HostConfig(cpuset_mems="1-9999999999"), "for cpuset mems"),
    (HostConfig(oom_score_adj=1001), "[-1000, 1000]"),
    (HostConfig(ulimits=(Ulimit("nofile", 2, 1),)), "ulimit soft limit"),
])
def test_what_cannot_be(host: HostConfig, words: str) -> None:
    with pytest.raises((InvalidParameter, NotSupported)) as raised:
        validate.check(Config(), create.with_defaults(host, EngineConfig()))
    assert words in str(raised.value)


@pytest.mark.parametrize("config", [
    Config(working_dir="relative"), Config(hostname="a b"), Config(hostname="x" * 64), Config(env=("=x",)),
    Config(env=("A=\0",)), Config(stop_signal="NOPE"), Config(cmd=("sh", "\0")), Config(entrypoint=("a\0",)),
    Config(working_dir="/a\0b"), Config(user="root\0"),
])
def test_configurations_that_cannot_be(config: Config) -> None:
    with pytest.raises(InvalidParameter):
        validate.check(config, HostConfig(network_mode="none"))


IMAGE = ImageDefaults(entrypoint=("/entry",), cmd=("a",), env=("A=1", "B=2", "HOME"), user="web",
                      working_dir="/srv/../app", labels={"x": "1", "y": "2"}, stop_signal="SIGINT")


def test_the_image_fills_what_was_left_open() -> None:
    merged = presets.with_image(Config(env=("A=9",), labels={"y": "3"}), IMAGE)
    assert (merged.entrypoint, merged.cmd, merged.user) == (("/entry",), ("a",), "web")
    assert merged.env == ("B=2", "A=9")
    assert merged.labels == {"x": "1", "y": "3"}
    assert (merged.working_dir, merged.stop_signal) == ("/app", "SIGINT")


def test_what_is_committed_is_the_container_s_where_nothing_else_was_asked() -> None:
    container = presets.of(presets.with_image(Config(env=("A=9",)), IMAGE))
    assert presets.merged(ImageDefaults(), container) == container
    merged = presets.merged(ImageDefaults(labels={"y": "3"}, env=("B=4",)), container)
    assert merged == replace(container, labels={"x": "1", "y": "3"}, env=("A=9", "B=4"))


@pytest.mark.parametrize(("asked", "argv"), [
    (Config(cmd=("b",)), ("/entry", "b")), (Config(entrypoint=("/mine",)), ("/mine",)),
    (Config(entrypoint=("/mine",), cmd=("b",)), ("/mine", "b")), (Config(entrypoint=("",), cmd=("b",)), ("b",)),
    (Config(), ("/entry", "a")),
])
def test_entry_points_and_commands(asked: Config, argv: tuple[str, ...]) -> None:
    merged = presets.with_image(asked, IMAGE)
    assert (*(merged.entrypoint or ()), *(merged.cmd or ())) == argv


def image(defaults: ImageDefaults) -> Image:
    config = ImageConfig(architecture="amd64", os="linux", rootfs=RootFS("layers", ()), config=defaults)
    return Image(id=SHA, manifest=Descriptor(media_type="x", digest=SHA, size=1), config=config, layers=(), size=0)


def test_nothing_to_run_and_another_platform() -> None:
    def decide(platform: str | None) -> Record:
        return create.decide(ID, "x", image(ImageDefaults()), EngineConfig(), Config(image="x"), HostConfig(), platform,
                             {})

    with pytest.raises(InvalidParameter, match="no command specified"):
        decide(None)
    with pytest.raises(NotFound, match="does not match the specified platform"):
        decide("linux/arm64")


@pytest.mark.parametrize("name", ["", "a", "/a", "-a", "a b", "a/b", "ä" * 3, "x" * 201])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(InvalidParameter):
        names.check(name)


def test_names_that_can() -> None:
    assert names.check("/web_1.a-b") == "web_1.a-b"
    assert all(names.check(names.invent(attempt)) for attempt in range(20))


@pytest.mark.parametrize(("text", "number"), [
    ("KILL", 9), ("sigterm", 15), ("9", 9), ("RTMIN+3", 37), ("SIGRTMAX-1", 63),
])
def test_signals(text: str, number: int) -> None:
    assert signals.number(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "999999999", "NOPE", "_DFL", "RTMAX+1", "-9", "٩"])
def test_signals_that_are_none(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"invalid signal|the linux daemon does not support signal 65"):
        signals.number(text)
