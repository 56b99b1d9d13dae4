"""What must not be possible from inside, and what must not be left open: SECURITY's rules R1 to R8."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from runtime.spec import Mount, User
from tests.root.runtime.conftest import COMMAND, REPOSITORY, Runtime


def test_no_descriptor_leaks_into_a_created_container(runtime: Runtime) -> None:
    """CVE-2015-3627, CVE-2024-21626: only the three streams and the FIFO are open, whatever the caller had open."""
    runtime.configure("sleep", "100")
    directory = os.open("/", os.O_RDONLY)
    done = subprocess.run([*COMMAND, "--root", str(runtime.root), "create", "--bundle", str(runtime.bundle), "c"],
                          cwd=REPOSITORY, pass_fds=(directory,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=60, check=False)
    os.close(directory)
    assert done.returncode == 0
    links = Path(f"/proc/{runtime.pid()}/fd")
    others = [os.readlink(link) for link in links.iterdir() if int(link.name) > 2]
    assert others == [str(runtime.root / "c/exec.fifo")]


def test_no_descriptor_leaks_into_the_program(runtime: Runtime) -> None:
    runtime.configure("sh", "-c", "ls /proc/self/fd; echo and; ls /proc/1/fd; echo end")
    # `ls` has one more, for the directory. (The shell holds no pipes, and does not become its last command.)
    assert runtime.run().stdout.split() == ["0", "1", "2", "3", "and", "0", "1", "2", "end"]


def test_the_interpreter_cannot_be_written_through_proc(runtime: Runtime) -> None:
    """CVE-2019-5736: before execve the process is the host's Python, opened by a read-only mount."""
    runtime.configure("sleep", "100")
    runtime.create()
    executable = f"/proc/{runtime.pid()}/exe"
    assert os.statvfs(executable).f_flag & os.ST_RDONLY
    with pytest.raises(OSError, match=r"Read-only file system|Text file busy"):
        os.open(executable, os.O_WRONLY)


def test_an_image_that_executes_proc_self_exe_gets_nothing(runtime: Runtime) -> None:
    """CVE-2019-5736, the other half: the entry point is a link to ourselves."""
    (runtime.rootfs / "bin/evil").symlink_to("/proc/self/exe")
    done = runtime.run("/bin/evil", "-c", "open('/proc/self/exe', 'r+b')")
    assert done.returncode in (1, 126, 127)


def test_the_waiting_process_is_not_dumpable(runtime: Runtime) -> None:
    """CVE-2016-9962: what is not dumpable belongs to root in /proc, and cannot be traced from inside."""
    runtime.configure("sleep", "100", user=User(uid=1000))
    runtime.create()
    assert os.stat(f"/proc/{runtime.pid()}/environ").st_uid == 0
    runtime("start", "c", check=True)


def test_nothing_is_imported_or_opened_after_entering(runtime: Runtime) -> None:
    """R8, CVE-2019-14271: traced from outside; between pivot_root and execve only these files are touched."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    runtime.configure("true")
    trace = runtime.directory / "trace"
    calls = "trace=open,openat,openat2,pivot_root,execve,stat,newfstatat"
    command = [*COMMAND, "--root", str(runtime.root), "run", "--bundle", str(runtime.bundle), "c"]
    subprocess.run(["strace", "-ff", "-e", calls, "-o", str(trace), *command], cwd=REPOSITORY, check=True, timeout=120)
    (text,) = [path.read_text() for path in runtime.directory.glob("trace.*") if "pivot_root(" in path.read_text()]
    before, _, after = text.partition("pivot_root(")
    after = after.partition('execve("/bin/true"')[0]
    opened = [line for line in after.splitlines() if line.startswith(("open", "stat", "newfst")) and '""' not in line]
    assert opened and not [line for line in opened if '"/etc/passwd"' not in line and '/true"' not in line]
    assert ".py" not in before and ".so" not in before


def test_imports_are_refused_with_an_error_that_says_so() -> None:
    script = ("from runtime.process.guard import forbid_imports\n"
              "forbid_imports()\n"
              "try:\n    import wave\n"
              "except ImportError as error:\n    print(error)")
    done = subprocess.run([COMMAND[0], "-c", script], cwd=REPOSITORY, capture_output=True,
                          text=True, check=True)
    assert done.stdout == "import of wave after the process entered the container\n"


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_an_image_whose_proc_or_sys_is_a_link_is_refused(runtime: Runtime, name: str) -> None:
    """CVE-2019-16884, CVE-2023-27561."""
    (runtime.rootfs / name).rmdir()
    (runtime.rootfs / "elsewhere").mkdir()
    (runtime.rootfs / name).symlink_to("elsewhere")
    done = runtime.run("true")
    assert done.returncode == 1 and f"/{name}" in done.stderr


def test_links_in_the_image_lead_nowhere_but_inside(runtime: Runtime) -> None:
    """CVE-2021-30465, CVE-2026-41579: mount points and devices behind links to the host's root, or above it."""
    canary = runtime.directory / "canary"
    canary.mkdir()
    (runtime.rootfs / "dev").rmdir()
    (runtime.rootfs / "dev").symlink_to(f"/../../..{canary}")
    (runtime.rootfs / "volume").symlink_to(str(canary))
    spec = runtime.configure("sh", "-c", "ls /dev/null /volume")
    volume = Mount(destination="/volume/made", type="tmpfs", source="tmpfs")
    runtime.write(replace(spec, mounts=(*spec.mounts, volume)))
    done = runtime.run()
    assert done.returncode == 0 and {"/dev/null", "made"} <= {*done.stdout.split()}, done
    assert list(canary.iterdir()) == []


def test_a_legitimate_link_works(runtime: Runtime) -> None:
    (runtime.rootfs / "run").mkdir()
    (runtime.rootfs / "var").mkdir()
    (runtime.rootfs / "var/run").symlink_to("/run")
    runtime.configure("sh", "-c", "touch /run/lock/x; ls /var/run/lock")
    runtime.change(mounts=[{"destination": "/proc", "type": "proc"},
                           {"destination": "/var/run/lock", "type": "tmpfs", "source": "tmpfs"}])
    assert runtime.run().stdout == "x\n"


@pytest.mark.parametrize("destination", ["/proc", "/proc/self/attr", "/sys", "/proc/sys/kernel"])
def test_volumes_over_proc_and_sys_are_refused(runtime: Runtime, destination: str) -> None:
    """CVE-2015-3631."""
    spec = runtime.configure("true")
    volume = Mount(destination=destination, type="bind", source=str(runtime.directory), options=("rbind",))
    runtime.write(replace(spec, mounts=(*spec.mounts, volume)))
    done = runtime.run()
    assert done.returncode == 1 and "cannot be mounted" in done.stderr


@pytest.mark.parametrize("number", [*range(3, 20)])
def test_working_directory_by_a_descriptor_stays_inside(runtime: Runtime, number: int) -> None:
    """CVE-2024-21626."""
    done = runtime.run("sh", "-c", "ls ../../../../../", cwd=f"/proc/self/fd/{number}")
    assert done.returncode != 0 or ("busybox" not in done.stdout and "lost+found" not in done.stdout)
    assert not {"home", "usr", "var"} & set(done.stdout.split())


def test_passwd_that_is_a_fifo_or_huge_does_not_hang(runtime: Runtime) -> None:
    """CVE-2024-9676."""
    (runtime.rootfs / "etc/passwd").unlink()
    os.mkfifo(runtime.rootfs / "etc/passwd")
    assert runtime.run("sh", "-c", "echo $HOME").stdout == "/\n"
    (runtime.rootfs / "etc/passwd").unlink()
    (runtime.rootfs / "etc/passwd").symlink_to("/dev/zero")
    assert runtime.run("sh", "-c", "echo $HOME").stdout == "/\n"


def test_sysctl_of_the_host_is_refused(runtime: Runtime) -> None:
    """CVE-2022-0811."""
    runtime.configure("true")
    for key, value in (("kernel.core_pattern", "|/x"), ("vm.swappiness", "1"), ("net/../kernel/core_pattern", "x"),
                       ("kernel.shm_rmid_forced", "1\nx")):
        runtime.change(linux__sysctl={key: value})
        done = runtime.run()
        assert done.returncode == 1 and "$.linux.sysctl" in done.stderr, key


def test_the_hosts_null_device_cannot_be_changed_from_inside(runtime: Runtime) -> None:
    """Masked files, and a standard stream that is /dev/null, lead to the inode that all of the host uses."""
    before = os.stat("/dev/null")
    attempts = "; ".join(f"chmod {before.st_mode & 0o777:o} {path}; chown 0 {path}"
                         for path in ("/proc/self/fd/0", "/proc/keys", "/proc/timer_list"))
    done = runtime.run("sh", "-c", f"{attempts}; echo x > /proc/self/fd/0; cat /proc/self/fd/0 /proc/keys; echo done")
    assert done.stdout == "done\n" and done.stderr.count("Read-only file system") == 6, done
    runtime("delete", "--force", "c")
    runtime.background("sleep", "100")
    done = runtime("exec", "c", "sh", "-c", "chown 0 /proc/self/fd/0")
    assert done.returncode == 1 and "Read-only file system" in done.stderr, done
    assert os.stat("/dev/null").st_ctime_ns == before.st_ctime_ns


def test_a_bind_target_behind_a_dangling_link_is_made_inside(runtime: Runtime) -> None:
    """An image's /etc/resolv.conf is often a link to a file of /run that only a booted system has."""
    canary = runtime.directory / "canary"
    canary.mkdir()
    (runtime.directory / "source").write_text("nameserver\n")
    for number, link in enumerate(("../run/resolve/stub.conf", f"{canary}/made", f"{'../' * 40}{canary}/made", "self")):
        name = f"file{number}"
        (runtime.rootfs / "etc" / name).symlink_to(name if link == "self" else link)
        spec = runtime.configure("cat", f"/etc/{name}")
        bind = Mount(destination=f"/etc/{name}", type="bind", source=str(runtime.directory / "source"),
                     options=("rbind",))
        runtime.write(replace(spec, mounts=(*spec.mounts, bind)))
        done = runtime.run()
        assert done.stdout == "nameserver\n" or (link == "self" and "too many levels" in done.stderr), done
    assert list(canary.iterdir()) == []
