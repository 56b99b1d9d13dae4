"""Which AppArmor profile a container is given: pure but for the question whether there is AppArmor at all."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pydocker.containers import apparmor
from pydocker.model.container import HostConfig
from runtime.spec import Process, Spec


@pytest.mark.parametrize(("host", "there", "profile", "told"), [
    (HostConfig(), True, "docker-default", "docker-default"),
    (HostConfig(), False, "", ""),
    (HostConfig(privileged=True), True, "", "unconfined"),
    (HostConfig(security_opt=("apparmor=unconfined",)), True, "", "unconfined"),
    (HostConfig(security_opt=("apparmor:mine",)), False, "", "mine"),
    (HostConfig(security_opt=("no-new-privileges",)), True, "docker-default", "docker-default"),
])
def test_the_default(
    monkeypatch: pytest.MonkeyPatch, host: HostConfig, there: bool, profile: str, told: str,
) -> None:
    monkeypatch.setattr(apparmor, "supported", lambda: there)
    process = apparmor.with_default(Spec(oci_version="", process=Process(cwd="/", args=("x",))), host).process
    assert process is not None
    assert process.apparmor_profile == profile
    assert apparmor.profile(host) == told


def test_a_kernel_without_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(apparmor, "_ENABLED", tmp_path / "none")
    assert not apparmor.supported()
    (tmp_path / "enabled").write_text("N\n")
    monkeypatch.setattr(apparmor, "_ENABLED", tmp_path / "enabled")
    assert not apparmor.supported()


@pytest.mark.skipif(not shutil.which("apparmor_parser", path="/usr/sbin:/sbin"), reason="needs the package apparmor")
def test_the_profile_is_one() -> None:
    """--skip-kernel-load: its grammar alone."""
    subprocess.run(["apparmor_parser", "-QK"], input=apparmor.PROFILE, text=True, check=True,
                   env={"PATH": "/usr/sbin:/sbin"})
