"""The files around the code: what they promise is there, and the tools that read them accept them."""

import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from pydocker.config import Config

CHECKOUT = Path(__file__).resolve().parents[3]
TARGETS = ("setup", "demo", "test", "check", "bench", "install", "uninstall", "clean")
SCRIPTS = (".ci/run", "tests/demo.sh", "tests/packages.sh", "tests/fresh/run.sh", "tests/fresh/inside.sh")


def run(*argv: str | Path, at: Path = CHECKOUT) -> str:
    done = subprocess.run(argv, cwd=at, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def need(command: str) -> str:
    path = shutil.which(command)
    if path is None:
        pytest.skip(f"{command} is not installed")
    return path


def test_make_help_lists_the_targets() -> None:
    listed = re.findall(r"^  make (\S+) +\S", run("make", "--silent", "help"), re.MULTILINE)
    assert set(TARGETS) <= set(listed)


def test_the_listed_targets_exist_and_nothing_else_is_phony() -> None:
    text = (CHECKOUT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)[0].split())
    assert phony == set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def test_the_readmes_two_commands() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    assert "sudo make demo" in readme
    assert "sudo make test" in readme
    assert "sudo make test" in (CHECKOUT / ".ci/run").read_text()


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_executable_and_parse(script: str) -> None:
    assert (CHECKOUT / script).stat().st_mode & 0o111
    run((CHECKOUT / script).read_text().splitlines()[0].removeprefix("#!"), "-n", script)


def test_the_vagrantfile_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory of its own: vagrant leaves its `.vagrant` beside the file, and its state at home."""
    vagrant = need("vagrant")
    shutil.copy(CHECKOUT / "Vagrantfile", tmp_path)
    monkeypatch.setenv("VAGRANT_HOME", str(tmp_path / "home"))
    assert "validated successfully" in run(vagrant, "validate", "--ignore-provider", at=tmp_path)


def test_the_units_are_valid(tmp_path: Path) -> None:
    """As `make install` writes them, with a program in the place of the launcher."""
    analyze = need("systemd-analyze")
    for unit in (CHECKOUT / "pydocker/units").iterdir():
        text = unit.read_text().replace("@BIN@/pydocker serve", "/bin/true serve")
        assert "@" not in re.sub(r"(?m)^#.*", "", text)
        (tmp_path / unit.name).write_text(text)
    said = run(analyze, "verify", "--man=no", *sorted(tmp_path.iterdir()))
    assert "pydocker" not in said


def test_the_license_is_named() -> None:
    assert 'license = "Apache-2.0"' in (CHECKOUT / "pyproject.toml").read_text()
    assert "Apache-2.0" in (CHECKOUT / "README.md").read_text()


def test_every_file_that_the_readme_names_is_there() -> None:
    named = re.findall(r"`((?:pydocker|runtime)/[\w/]+\.py)`", (CHECKOUT / "README.md").read_text())
    assert named
    assert [path for path in named if not (CHECKOUT / path).exists()] == []


def test_the_readme_tells_every_key_of_the_configuration() -> None:
    readme = (CHECKOUT / "README.md").read_text()
    keys = [field.encode_name for field in msgspec.structs.fields(Config)]
    assert [key for key in keys if f"`{key}`" not in readme] == []


def test_installed_packages_cost_nothing() -> None:
    need("dpkg-query")
    assert run("tests/packages.sh", "need", "dpkg", "bash") == ""


def test_a_package_that_no_distribution_has_is_no_failure_where_it_is_only_wanted() -> None:
    need("apt-cache")
    run("tests/packages.sh", "want", "pydocker-no-such-package")
