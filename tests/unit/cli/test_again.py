"""`inspect --as run`: what a random `run` made is told as a `run` that makes the same, from flags to inspect and back.

Everything between is the engine's own, without a kernel: flags -> request -> record -> inspect -> request -> flags.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pydocker.api.again import body
from pydocker.cli import again, request
from pydocker.cli.command import taken
from pydocker.cli.errors import BadUsage, CommandError
from pydocker.cli.flags import Absent
from pydocker.cli.parse import parse
from pydocker.cli.run import RUN
from pydocker.cli.session import Session
from pydocker.config import Config as EngineConfig
from pydocker.config import RuntimeEntry
from pydocker.containers import again as server
from pydocker.containers import create, networking
from pydocker.errors import PydockerError
from pydocker.model.container import Container, ContainerId, Record, State
from pydocker.model.digest import Digest
from pydocker.model.image import Descriptor, Healthcheck, Image, ImageConfig, ImageDefaults, RootFS
from pydocker.model.network import Network, NetworkId, Pool
from pydocker.paths import Paths
from pydocker.wire import containers as wire
from pydocker.wire import requests

SHA = Digest("sha256:" + "b" * 64)
ID = ContainerId("a" * 64)
PRESETS = ImageDefaults(
    env=("PATH=/bin", "LANG=C"), cmd=("sh",), labels={"vendor": "x", "a": "image's"}, working_dir="/srv", user="www",
    stop_signal="SIGINT", exposed_ports={"80/tcp": {}},
    healthcheck=Healthcheck(test=("CMD", "true"), interval=5 * 10**9, retries=2))
IMAGES = tuple(
    Image(id=SHA, manifest=Descriptor(media_type="m", digest=SHA, size=1), layers=(SHA,), size=1, names=("x:1",),
          config=ImageConfig(architecture="amd64", os="linux", rootfs=RootFS("layers", (SHA,)), config=presets))
    for presets in (ImageDefaults(cmd=("sh",)), PRESETS,
                    replace(PRESETS, entrypoint=("/entry", "-x"), healthcheck=None)))

word = st.text("aZ09._-", min_size=1, max_size=6)
nasty = st.text("ab =:,'\"$`\\|\n\té*~#", min_size=1, max_size=8)
number = st.integers(0, 2**40)
name = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
path = st.lists(st.text("aZ09_-", min_size=1, max_size=5), min_size=1, max_size=3).map(lambda it: "/" + "/".join(it))
size = st.tuples(st.integers(1, 4000), st.sampled_from(("", "b", "k", "m", "g"))).map(lambda it: f"{it[0]}{it[1]}")
memory = st.tuples(st.integers(6, 4000), st.sampled_from(("m", "g"))).map(lambda it: f"{it[0]}{it[1]}")
micro = st.integers(1000, 10**6).map(str)
device_path = st.sampled_from(("/dev/null", "/dev/zero"))
lapse = st.sampled_from(("1ms", "1500ms", "30s", "1m30s", "2h", "1.5s"))


def one_of(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


def joined(*parts: st.SearchStrategy[str] | str, by: str = "") -> st.SearchStrategy[str]:
    return st.tuples(*(part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts)).map(by.join)


# What stands behind each flag; None: it is a switch.
VALUES: dict[str, st.SearchStrategy[str] | None] = {
    "--annotation": joined(word, "=", nasty), "--attach": one_of("stdin", "stdout", "STDERR"),
    "--blkio-weight": st.integers(10, 1000).map(str), "--blkio-weight-device": joined(device_path, ":20"),
    "--cap-add": one_of("NET_ADMIN", "cap_sys_time", "ALL"), "--cap-drop": one_of("CHOWN", "ALL"),
    "--cgroup-parent": joined("/", word.filter(lambda text: ".." not in text)), "--cgroupns": one_of("host", "private"),
    "--cidfile": nasty, "--cpu-period": micro, "--cpu-quota": micro, "--cpu-rt-period": micro,
    "--cpu-rt-runtime": st.integers(1, 900).map(str), "--cpu-shares": st.integers(0, 4096).map(str),
    "--cpus": one_of("0.5", "1", ".25", "0.123456789"), "--cpuset-cpus": one_of("0", "0-0"),
    "--cpuset-mems": one_of("0"),
    "--device": joined(device_path, one_of("", ":/dev/x", ":/dev/x:r", ":rw")),
    "--device-cgroup-rule": one_of("c 1:3 rwm", "a *:* r"), "--device-read-bps": joined(device_path, ":", size),
    "--device-read-iops": joined(device_path, ":9"), "--device-write-bps": joined(device_path, ":1mb"),
    "--device-write-iops": joined(device_path, ":77"), "--domainname": word, "--entrypoint": st.just("") | path | nasty,
    "--env": joined(name, "=", nasty | st.just("")), "--group-add": one_of("0", "audio"),
    "--health-cmd": nasty, "--health-interval": lapse, "--health-retries": st.integers(0, 9).map(str),
    "--health-start-interval": lapse, "--health-start-period": lapse, "--health-timeout": lapse,
    "--hostname": st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), "--init": None, "--interactive": None,
    "--ipc": one_of("private", "shareable", "none", "host"), "--label": joined(word, "=", nasty) | word,
    "--log-driver": one_of("json-file", "none"), "--log-opt": one_of("max-size=1m", "max-file=2"),
    "--memory": memory, "--memory-reservation": st.just("6m"),
    "--memory-swap": st.just("-1"), "--memory-swappiness": st.integers(0, 100).map(str),
    "--mount": joined(one_of("type=bind,source=/a", 'type=bind,"source=/a,b"'), ",target=", path,
                      one_of("", ",readonly", ",bind-propagation=rslave", ",bind-recursive=disabled",
                             ",readonly,bind-recursive=writable", ",readonly,bind-recursive=readonly"))
    | joined("type=volume,", one_of("", "src=vol,"), "target=", path,
             one_of("", ",volume-nocopy", ",volume-subpath=a/b", ",volume-label=a=b,volume-driver=local",
                    ',"volume-opt=o=size=1m,uid=1",volume-opt=type=tmpfs', ",readonly"))
    | joined("type=image,src=x:1,target=", path, one_of("", ",image-subpath=bin"))
    | joined("type=tmpfs,dst=", path, one_of("", ",tmpfs-size=1m", ",tmpfs-mode=700", ",ro")),
    "--add-host": one_of("a:10.0.0.1", "b=[fd00::1]", "c:host-gateway"), "--dns": one_of("10.0.0.53", "fd00::53"),
    "--dns-option": one_of("ndots:2", "rotate"), "--dns-opt": one_of("timeout:1"),
    "--dns-search": one_of(".", "example.com", "lan"), "--link": one_of("web", "web:db", "/web:/me/cache"),
    "--name": st.from_regex(r"[a-z][a-z0-9_.-]{1,8}", fullmatch=True), "--network": one_of(
        "none", "host", "bridge", "net", "other", "name=net,ip=10.1.0.9,alias=a,alias=b", "name=third,gw-priority=-3",
        "name=net,mac-address=02:00:00:00:00:01,ip6=fd00::9", "name=bridge,link-local-ip=169.254.0.9",
        '"name=other","driver-opt=com.docker.network.endpoint.ifname=wan"'),
    "--network-alias": word, "--ip": st.just("10.1.0.7"), "--ip6": st.just("fd00::7"),
    "--link-local-ip": one_of("169.254.3.4", "fe80::9"), "--mac-address": st.just("02:00:00:00:00:02"),
    "--no-healthcheck": None, "--oom-kill-disable": None, "--oom-score-adj": st.integers(-1000, 1000).map(str),
    "--pid": st.just("host"), "--pids-limit": one_of("-1", "0", "100"), "--privileged": None, "--read-only": None,
    "--restart": one_of("no", "always", "unless-stopped", "on-failure", "on-failure:3"), "--rm": None,
    "--runtime": st.just("other"), "--security-opt": one_of(
        "no-new-privileges", "seccomp=unconfined", "systempaths=unconfined",
        'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'),
    "--shm-size": size, "--stop-signal": one_of("SIGTERM", "9", "SIGRTMIN+3"), "--stop-timeout": one_of("0", "-1", "7"),
    "--sysctl": one_of("kernel.msgmax=1", "fs.mqueue.msg_max=2"),
    "--tmpfs": joined(path, one_of("", ":size=1m", ":ro,noexec")), "--tty": None,
    "--ulimit": one_of("nofile=1", "nofile=1:2", "core=-1", "core=0:-1"), "--user": one_of("0", "1:2", "a:b"),
    "--publish": one_of("80", "8080:80", "127.0.0.1:81:81/udp", "[::1]::82", "8000-8001:90-91", "8000-8009:95/sctp"),
    "--publish-all": None, "--expose": one_of("80", "99/udp", "100-102"),
    "--userns": st.just("host"), "--uts": st.just("host"), "--workdir": path, "--detach": None,
    "--volume": joined(one_of("/v:", "vol:", ""), path) | joined("/v:", path, one_of("", ":ro", ":rslave")),
    "--volume-driver": st.just("local"),
}
# They leave no trace in a container: what they say is done when it is made, or is in another flag's field.
TRACELESS = frozenset(("--detach-keys", "--dry-run", "--env-file", "--isolation", "--label-file", "--platform",
                       "--pull", "--quiet", "--sig-proxy"))
REFUSED = frozenset(("--gpus", "--volumes-from"))  # not supported; needs another container: tests/root/cli/test_again
FLAGS = tuple(flag for flag in RUN.flags if not isinstance(flag, Absent))
SESSION = Session({"HOME": "/"}, directory="/")
ENGINE = EngineConfig(runtimes={"other": RuntimeEntry(path="/bin/true")})


class _Networks:
    """Whatever is asked for is there."""

    def find(self, ref: str) -> Network:
        return Network(id=NetworkId("c" * 64), name=ref, created=0.0, pools=(Pool("10.1.0.0/16"), Pool("fd00::/64")))


NETWORKS: Any = _Networks()


def made(argv: Sequence[str], image: Image) -> Record:
    """The record of `pydocker run ARGV`."""
    given = taken(click.Context(RUN), FLAGS, parse(argv, FLAGS, interspersed=False))
    reference, *command = given.pop("arguments")
    sent = msgspec.json.decode(msgspec.json.encode(request.build(SESSION, reference, command, given)))
    config, host, asked = requests.create(sent)
    connected = networking.decide(NETWORKS, host, asked)
    return create.decide(ID, given["name"] or "invented", image, ENGINE, config, host, None, connected)


def inspected(record: Record) -> dict[str, object]:
    shape = wire.inspect(Container(record, State()), Paths(Path("/d"), Path("/r")))
    text = msgspec.json.encode({**shape, "Created": ""}).decode()
    nameless = re.sub('"Name":"[0-9a-f]{64}"', '"Name":""', text)  # volumes whose name was invented
    return msgspec.json.decode(nameless, type=dict[str, object])


def told(record: Record, image: Image) -> again.Told:
    """What `inspect --as run` tells."""
    config, host = server.asked(record, image.config.config, ENGINE)
    return again.told(record.name, body(replace(config, image=record.image_name), host, server.connected(record)))


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    argv: list[str] = []
    flags = {name: flag for flag in FLAGS for name in flag.opts}
    for name, values in draw(st.lists(st.sampled_from(list(VALUES.items())), max_size=9, unique_by=lambda it: it[0])):
        for _ in range(draw(st.integers(1, 2)) if flags[name].multiple else 1):
            argv += [name] if values is None else [name, draw(values)]
    return [*argv, "x:1", *draw(st.lists(nasty, max_size=3))]


def test_every_flag_is_told() -> None:
    """A new flag of `run` has to be told by `inspect --as run`: give this test some of its values."""
    known = {name for flag in FLAGS for name in flag.opts if name.startswith("--")} - {"--net"}
    assert known == VALUES.keys() | TRACELESS | REFUSED


@given(command_lines(), st.sampled_from(IMAGES))
@settings(max_examples=200, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_what_is_told_makes_the_same(argv: list[str], image: Image) -> None:
    try:
        record = made(argv, image)
    except (PydockerError, CommandError, BadUsage):  # some of these go not together
        reject()
    again_ = told(record, image)
    words = shlex.split(again_.line())
    assert (words[:2], again_.left) == (["pydocker", "run"], ())
    assert inspected(made(words[2:], image)) == inspected(record)
    assert told(made(words[2:], image), image).line() == again_.line()


@pytest.mark.parametrize(("line", "out"), [
    ("-d --rm -m 64m --name web x:1 sleep 9", "pydocker run -d --name web --memory 64m --rm x:1 sleep 9"),
    ("-it --name a -e 'A=b c' -v /a:/b:ro x:1", "pydocker run -i --name a --tty --env 'A=b c' --volume /a:/b:ro x:1"),
    ("--name a --network none --mac-address 02:00:00:00:00:02 x:1",
     "pydocker run --name a --network name=none,mac-address=02:00:00:00:00:02 x:1"),
    ("--name a --network host x:1", "pydocker run --name a --network host x:1"),
    ("--name a --cpus 1.50 --health-cmd 'a|b' --health-interval 90s x:1",
     "pydocker run --name a --cpus 1.5 --health-interval 90s --health-cmd 'a|b' x:1"),
])
def test_nothing_is_told_that_goes_without_saying(line: str, out: str) -> None:
    assert told(made(shlex.split(line), IMAGES[0]), IMAGES[0]).line() == out


def test_what_no_flag_can_say_is_left_over() -> None:
    record = made(["x:1"], IMAGES[0])
    strange = replace(record, host=replace(record.host, masked_paths=("/proc/x",)))
    assert told(strange, IMAGES[0]).left == ("HostConfig.MaskedPaths",)
