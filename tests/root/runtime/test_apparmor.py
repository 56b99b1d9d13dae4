"""AppArmor with a profile of our own, on kernels that have it switched on; `make test-vm` boots one."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root.runtime.conftest import Runtime

PROFILE = """
profile %s flags=(attach_disconnected, mediate_deleted) {
  capability,
  network,
  signal,
  file,
  deny /etc/secret r,
}
"""


@pytest.fixture(scope="module")
def profile(token: str) -> Iterator[str]:
    """A loaded profile that allows everything but one file."""
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    if not enabled.exists() or enabled.read_text().strip() != "Y":
        pytest.skip("AppArmor is not switched on in this kernel: make test-vm")
    if shutil.which("apparmor_parser") is None:
        pytest.skip("needs the package apparmor")
    parse(PROFILE % token, "--replace")
    yield token
    parse(PROFILE % token, "--remove")


def parse(text: str, action: str) -> None:
    subprocess.run(("apparmor_parser", action, "--skip-cache"), input=text, text=True, check=True, timeout=60)


def test_the_program_runs_under_the_profile(runtime: Runtime, profile: str) -> None:
    (runtime.rootfs / "etc/secret").write_text("told")
    done = runtime.run("sh", "-c", "cat /proc/self/attr/current; cat /etc/passwd | wc -l; cat /etc/secret",
                       apparmor_profile=profile)
    assert done.stdout.splitlines() == [f"{profile} (enforce)", "2"]
    assert "can't open '/etc/secret': Permission denied" in done.stderr


def test_with_no_new_privileges_and_another_user_too(runtime: Runtime, profile: str) -> None:
    runtime.configure("cat", "/proc/self/attr/current", apparmor_profile=profile, no_new_privileges=True)
    runtime.change(process__user={"uid": 1000, "gid": 1000})
    done = runtime("run", "--bundle", str(runtime.bundle), "c")
    assert done.stdout == f"{profile} (enforce)\n", done.stderr


def test_exec_runs_under_it(runtime: Runtime, profile: str) -> None:
    runtime.background("sleep", "100", apparmor_profile=profile)
    done = runtime("exec", "c", "cat", "/proc/self/attr/current")
    assert done.stdout == f"{profile} (enforce)\n", done.stderr


def test_a_profile_that_is_not_loaded_is_an_error_and_leaves_nothing(runtime: Runtime, profile: str) -> None:
    done = runtime.run("true", apparmor_profile=f"{profile}-unknown")
    assert done.returncode != 0
    assert f"{profile}-unknown" in done.stderr and "no such file or directory" in done.stderr.lower()
