"""The default AppArmor profile, on kernels that have AppArmor; `make test-vm` boots one."""

from pathlib import Path

import pytest

from pydocker.containers import apparmor
from pydocker.model.container import HostConfig
from tests.engine import Engine
from tests.root.containers.room import Room

pytestmark = pytest.mark.skipif(not apparmor.supported(), reason="AppArmor is not switched on here: make test-vm")
CURRENT = ("cat", "/proc/self/attr/current")


def test_inspect_and_info_tell_of_it(engine: Engine) -> None:
    for flags, profile in (((), "docker-default"), (("--privileged",), "unconfined"),
                           (("--security-opt", "apparmor=unconfined"), "unconfined")):
        id = engine.ok("create", *flags, "busybox")
        assert engine.ok("inspect", "-f", "{{.AppArmorProfile}}", id) == profile
    assert "name=apparmor" in engine.ok("info", "-f", "{{.SecurityOptions}}")


def test_a_container_runs_under_the_default_profile(room: Room) -> None:
    assert room.run(*CURRENT).out == b"docker-default (enforce)\n"
    assert "docker-default (enforce)" in Path("/sys/kernel/security/apparmor/profiles").read_text()


@pytest.mark.parametrize("host", [HostConfig(privileged=True), HostConfig(security_opt=("apparmor=unconfined",))])
def test_unless_it_is_to_be_unconfined(room: Room, host: HostConfig) -> None:
    assert room.run(*CURRENT, host=host).out == b"unconfined\n"


def test_what_it_forbids(room: Room) -> None:
    """With nothing masked or read-only, and every capability: what is left is the profile's doing."""
    host = HostConfig(cap_add=("ALL",), security_opt=("systempaths=unconfined", "seccomp=unconfined"))
    script = ("mount -t tmpfs x /mnt; echo x >/proc/sysrq-trigger; echo 1 >/proc/sys/vm/drop_caches; "
              "head -c 1 /proc/kcore; echo x >/proc/sys/kernel/hostname; echo through")
    ended = room.run("sh", "-c", f"mkdir /mnt; {script}", host=host)
    assert ended.out == b"through\n"
    denied = ended.err.decode().splitlines()
    assert len(denied) == 5, denied
    assert all("ermission denied" in line or "not permitted" in line or "Read-only" in line for line in denied), denied


def test_the_usual_works_under_it(room: Room) -> None:
    """Signals between processes, from outside, exec, cp's way in, and the sockets of a shell's pipeline."""
    id = room.start("sh", "-c", "sleep 1000 & trap 'kill $!; wait; exit 7' TERM; echo 1 >/dev/null; wait")
    script = "echo a | cat; cat /proc/self/attr/current; ls /proc/1/root >/dev/null"
    session, terminal = room.exec(id, "sh", "-c", script)
    assert b"docker-default (enforce)" in terminal.rest()
    room.exec_ended(session)
    assert room.containers.path_stat(id, "/etc/passwd").name == "passwd"
    room.containers.top(id, "")
    room.containers.stop(id, 20)
    assert room.containers.get(id).state.exit_code == 7
