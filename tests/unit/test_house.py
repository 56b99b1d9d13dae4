"""The rules of the house, which no single room can keep: layers, types, who may import what, size and words."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("pydocker", "runtime")
SOURCES = tuple(sorted(path for package in PACKAGES for path in (CHECKOUT / package).rglob("*.py")))

# One importer for each third-party package: where it has to be replaced, one room changes.
IMPORTERS = {
    "prctl": ("runtime/linux/prctl.py",),
    "pyseccomp": ("runtime/linux/libseccomp.py",),
    "ctypes": ("runtime/linux/",),
    "cgroupspy": ("runtime/cgroups/v1.py",),
    "dnslib": ("pydocker/network/packets.py",),
    "pyroute2": ("pydocker/network/netlink.py",),
    "requests": ("pydocker/registry/",),
    "urllib3": ("pydocker/registry/",),
    "h11": ("pydocker/wire/", "pydocker/client/", "pydocker/api/"),
    "click": ("pydocker/cli/", "runtime/cli"),
    "rich": ("pydocker/cli/",),
    "isal": ("pydocker/layers/",),
    "zstandard": ("pydocker/layers/",),
}
# Used everywhere: typed JSON is how the rooms speak to the disk and to each other.
EVERYWHERE = {"msgspec"}

LONGEST_FILE = 350
LONGEST_FUNCTION = 60


def name(path: Path) -> str:
    return path.relative_to(CHECKOUT).as_posix()


def run(*argv: str) -> None:
    """Run a linter as a module of this Python; what it says is the failure."""
    done = subprocess.run((sys.executable, *argv), cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(argv)}:\n{done.stdout}{done.stderr}", pytrace=False)


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The top-level name of each imported module, wherever in the file it is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0], node.lineno


def fail_with(faults: list[str]) -> None:
    if faults:
        pytest.fail("\n".join(faults), pytrace=False)


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    return {name(path): ast.parse(path.read_bytes()) for path in SOURCES}


def test_ruff() -> None:
    run("-m", "ruff", "check", "--no-cache", ".")


@pytest.mark.timeout(600)
def test_mypy() -> None:
    run("-m", "mypy", "--cache-dir=/dev/null")


def test_imports_go_down_only() -> None:
    run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache", "--no-logo")


def test_one_importer_for_each_package(trees: dict[str, ast.Module]) -> None:
    free = sys.stdlib_module_names - IMPORTERS.keys() | EVERYWHERE | set(PACKAGES)
    fail_with([
        f"{file}:{line}: import {package}: only {' and '.join(IMPORTERS.get(package, ())) or 'nobody'} may"
        for file, tree in trees.items() for package, line in imports(tree)
        if package not in free and not file.startswith(IMPORTERS.get(package, ()))
    ])


def test_what_is_imported_is_declared(trees: dict[str, ast.Module]) -> None:
    """python-prctl is the one whose module has another name than its distribution."""
    text = (CHECKOUT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[0]
    declared = set(re.findall(r'^    "([A-Za-z0-9-]+)>=', text, re.MULTILINE))
    used = {package for tree in trees.values() for package, _ in imports(tree)}
    fail_with([f"{package} is imported and not declared"
               for package in sorted(used - sys.stdlib_module_names - set(PACKAGES))
               if {package, f"python-{package}"}.isdisjoint(declared)])


def test_no_threads_in_the_runtime(trees: dict[str, ast.Module]) -> None:
    """setns(2) and unshare(2) of a user namespace refuse a process with threads."""
    threaded = ("threading", "concurrent", "asyncio", "multiprocessing")
    fail_with([f"{file}:{line}: {package}" for file, tree in trees.items() if file.startswith("runtime/")
               for package, line in imports(tree) if package in threaded])


def test_nothing_is_left_to_do() -> None:
    mark = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    fail_with([f"{name(path)}:{number}: {line.strip()}" for path in SOURCES
               for number, line in enumerate(path.read_text().splitlines(), 1) if mark.search(line)])


def test_a_files_name_says_what_lives_there() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}
    fail_with([name(path) for path in SOURCES if path.stem in vague])


def test_files_and_functions_are_short(trees: dict[str, ast.Module]) -> None:
    long_files = [f"{name(path)}: more than {LONGEST_FILE} lines" for path in SOURCES
                  if len(path.read_text().splitlines()) > LONGEST_FILE]
    fail_with(long_files + [
        f"{file}:{node.lineno}: {node.name} has more than {LONGEST_FUNCTION} lines"
        for file, tree in trees.items() for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ])


def test_every_module_says_what_it_is_about(trees: dict[str, ast.Module]) -> None:
    fail_with([f"{file}: no docstring" for file, tree in trees.items() if not ast.get_docstring(tree)])


def test_no_exception_is_swallowed(trees: dict[str, ast.Module]) -> None:
    def swallows(node: ast.AST) -> bool:
        return (isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass) for line in node.body)
                and (node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException")))

    fail_with([f"{file}:{getattr(node, 'lineno', 0)}: swallows every exception"
               for file, tree in trees.items() for node in ast.walk(tree) if swallows(node)])
