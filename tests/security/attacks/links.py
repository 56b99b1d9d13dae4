"""Links in an image, and what the runtime itself makes in it: mount points, devices, directories (R1, R2, R4)."""

import os
import stat

from tests.security.attacks.requests import spent
from tests.security.ground import Ground
from tests.security.suite import attack, attacked, held

OUT = "/../../../../../../../../../../.."


@attack("CVE-2019-18837 CVE-2014-9356", rules="R1 R2", quick=1, full=3)
def links_to_the_host(ground: Ground, times: int) -> str:
    """Components of a mount point are links of the image that lead to the host.

    Attack: a tmpfs and a bind mount whose destination goes by a link: absolute, with many `..`, relative, dangling, in
    the middle, a chain of two, a loop.
    Held: the canary is what it was; what was mounted is seen inside the container, or the runtime refused.
    Control: the same link, followed on the host, leads to the canary's directory.
    """
    canary, tried, refused = str(ground.canary), 0, 0
    links = {"absolute": canary, "dots": OUT + canary, "dangling": canary + "/made", "chain": "absolute",
             "relative": "../" * 30 + canary.lstrip("/"), "loop": "loop"}
    for name in links:
        for below in ("/new/er", "", "/sub")[:times]:
            for kind, source in (("tmpfs", "tmpfs"), ("bind", ground.volume())):
                box = ground.box()
                for other, target in links.items():
                    (box.rootfs / other).symlink_to(target)
                attacked(name != "dots" or os.path.realpath(box.rootfs / name) == canary, "the link leads elsewhere")
                box.mount(f"/{name}{below}", source, kind)
                box.config["mounts"][-1]["source"] = str(source)
                done = box.sh("cat /proc/self/mountinfo")
                place = f"{box.rootfs}/"
                held(done.returncode or sum(" - " in line for line in done.stdout.splitlines()) > 5, done.stderr)
                held(place not in done.stdout or kind == "bind", done.stdout)
                tried, refused = tried + 1, refused + (done.returncode != 0)
    attacked(tried > refused, "every single one was refused: nothing was mounted")
    return f"{tried} links, {refused} refused, none followed to the host"


@attack("CVE-2015-3629", rules="R1 R2", quick=1, full=20)
def mount_point_that_became_a_link(ground: Ground, times: int) -> str:
    """A mount point that the first start made is a link at the second.

    Attack: a container with a volume runs and replaces its mount point in the image by a link to the canary's
    directory on the host (as somebody with the layer can); it is started again.
    Held: the canary is what it was, and the volume is not mounted over it.
    Control: the first start made the mount point, and the link leads to the canary when the host follows it.
    """
    for _ in range(times):
        box = ground.box()
        box.mount("/data", ground.volume())
        attacked(box.sh("touch /data/first").returncode == 0, "the first start failed")
        attacked((box.rootfs / "data").is_dir(), "no mount point was made")
        (box.rootfs / "data").rmdir()
        (box.rootfs / "data").symlink_to(OUT + str(ground.canary))
        attacked(os.path.realpath(box.rootfs / "data") == str(ground.canary), "the link leads elsewhere")
        done = box.sh("touch /data/second; cat /data/secret")
        held("the host's" not in done.stdout, done.stdout)
    return f"{times} times: the canary is what it was"


@attack("CVE-2026-41579 CVE-2026-47766", rules="R1 R4")
def dev_is_a_link(ground: Ground, times: int) -> str:
    """The image's /dev is a link that leads out of the image; devices are made where it leads.

    Attack: /dev links to the canary's directory: absolute, and by `..`; with a tmpfs on /dev as Docker asks for, and
    without any mount on /dev, and with a device of its own.
    Held: no device in the canary's directory; inside, /dev/null is character device 1:3 or the runtime refused.
    Control: the link leads to the canary when the host follows it.
    """
    ran = 0
    for to in (str(ground.canary), OUT + str(ground.canary), "../" * 30 + str(ground.canary).lstrip("/")):
        for mounted in (True, False):
            box = ground.box()
            (box.rootfs / "dev").rmdir()
            (box.rootfs / "dev").symlink_to(to)
            attacked("canary" in os.path.realpath(box.rootfs / "dev"), "the link leads elsewhere")
            if not mounted:
                box.drop("/dev")
            box.linux["devices"] = [{"path": "/dev/own", "type": "c", "major": 1, "minor": 5, "fileMode": 438}]
            done = box.sh("stat -c %t:%T /dev/null /dev/own")
            held(done.returncode or done.stdout == "1:3\n1:5\n", done.stdout)
            made = [path for path in ground.canary.rglob("*") if stat.S_ISCHR(path.lstat().st_mode)]
            held(not made, f"made on the host: {made}")
            ran += done.returncode == 0
    return f"6 images, {ran} of them ran, no device outside"


@attack("CVE-2025-24965", rules="R1")
def files_that_runtimes_write(ground: Ground, times: int) -> str:
    """What a runtime itself writes into an image is there already, as a link to a file of the host.

    Attack: links to the canary's secret at every name that some runtime makes or writes (.krun_config.json, the
    default devices and links of /dev without a mount on it, /dev/console, the working directory, bind targets), all of
    them once with an absolute link and once with `..`.
    Held: the canary is what it was.
    Control: a write through one of these links on the host reaches the canary's file (tried with a copy of it).
    """
    ran, copy = 0, ground.directory / "copy"
    for prefix in ("", OUT):
        box = ground.box()
        (box.rootfs / "probe").symlink_to(OUT + str(copy))
        (box.rootfs / "probe").write_text("reached")
        attacked(copy.read_text() == "reached", "a link on the host reaches nothing")
        (box.rootfs / "run").mkdir()
        for name in (".krun_config.json", "dev/null", "dev/zero", "dev/console", "dev/ptmx", "dev/fd", "dev/stdin",
                     "run/.containerenv", "etc/hosts", "etc/resolv.conf", "etc/hostname", ".dockerenv"):
            (box.rootfs / name).symlink_to(f"{prefix}{ground.canary}/secret")
        (box.rootfs / "srv").symlink_to(f"{prefix}{ground.canary}/new")
        box.process["cwd"] = "/srv/deep"
        box.drop("/dev")
        (ground.volume() / "hosts").write_text("hosts\n")
        for name in ("hosts", "resolv.conf", "hostname"):
            box.mount(f"/etc/{name}", ground.volume() / "hosts")
        done = box.sh("echo overwritten > /etc/hosts; pwd")
        held((ground.canary / "secret").read_text() == "the host's\n", "the canary's file was written")
        ran += done.returncode == 0
    return f"2 images with 13 links each, {ran} of them ran, the canary is what it was"


@attack("CVE-2024-9676", rules="R1 R16")
def passwd_that_never_ends(ground: Ground, times: int) -> str:
    """The image's /etc/passwd and /etc/group are a FIFO, a device, a huge sparse file, a link to the host's memory.

    Attack: each of these, with HOME missing from the environment (a runtime then looks it up), in `run` and `exec`.
    Held: an answer within a minute, ten seconds of work, and with at most 1 GB of memory.
    Control: reading the FIFO does hang, and the sparse file has two gigabytes.
    """
    kinds = ("fifo", "zero", "sparse", "full", "kcore")
    for kind in kinds:
        box = ground.box()
        for name in ("passwd", "group"):
            path = box.rootfs / "etc" / name
            path.unlink(missing_ok=True)
            if kind == "fifo":
                os.mkfifo(path)
            elif kind == "sparse":
                path.touch()
                os.truncate(path, 2 << 30)
            else:
                path.symlink_to({"zero": "/dev/zero", "full": "/dev/full", "kcore": "/proc/kcore"}[kind])
        began, memory = spent(), {"preexec_fn": bounded}
        done = box.run("echo", "ran", timeout=60, **memory)
        held(done.stdout == "ran\n", f"{kind}: {done.stderr}")
        box.start("sleep", "100", timeout=60)
        box.exec("--user", "7", "--", "true", timeout=60)
        box.delete()
        held(spent() - began < 10, f"{kind}: took {spent() - began:.0f} s of a processor")
        attacked(kind != "fifo" or ground.runs("timeout", "0.2", "cat", box.rootfs / "etc/passwd").wait() == 124, "?")
        attacked(kind != "sparse" or (box.rootfs / "etc/passwd").stat().st_size == 2 << 30, "it is not there")
    return f"{', '.join(kinds)}: answered in time"


def bounded() -> None:
    """A ceiling for the runtime's own memory that reading two gigabytes would break."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
