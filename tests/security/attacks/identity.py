"""Who the program is, and with which privileges: numbers that are no numbers, sets that are not empty (R11)."""

from tests.security.ground import Done, Ground
from tests.security.suite import attack, attacked, held

STATUS = "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status"
# Lines with which an image says that its numbers, or its names that look like numbers, are root.
EVIL_PASSWD = "".join(f"{name}:x:0:0:evil:/root:/bin/sh\n" for name in (
    "1000", "root", "-1", "1x", "+1", " 1", "4294967295", "4294967296", "2147483648", "1000000000000"))


def fields(done: Done) -> dict[str, str]:
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in
                                                                 done.stdout.splitlines())}


@attack("CVE-2016-3697 CVE-2024-40635", rules="R11")
def numbers_that_passwd_calls_root(ground: Ground, times: int) -> str:
    """The image's /etc/passwd has users whose *names* are numbers, with uid 0.

    Attack: such a passwd; process.user.uid 1000 in config.json, `exec --user 1000` and `exec --user 1000:1000`.
    Held: uid 1000 each time.
    Control: the image's passwd is the one that is read inside, and says so.
    """
    box = ground.box()
    (box.rootfs / "etc/passwd").write_text(EVIL_PASSWD)
    box.process["user"] = {"uid": 1000, "gid": 1000}
    done = box.sh("head -n 1 /etc/passwd | cut -d: -f3; id -u")
    attacked(done.stdout.startswith("0\n"), done.stdout + done.stderr)
    held(done.stdout == "0\n1000\n", done.stdout)
    box.process["user"] = {"uid": 0, "gid": 0}
    held(box.start("sleep", "100").returncode == 0, "does not start")
    for word in ("1000", "1000:1000"):
        held(box.exec("--user", word, "--", "id", "-u").stdout == "1000\n", word)
    return "uid 1000 in run and exec"


@attack("CVE-2026-30892 CVE-2026-46680", rules="R11", quick=5, full=17)
def users_that_are_no_numbers(ground: Ground, times: int) -> str:
    """A user that is nearly a number, or too large a one, becomes somebody else: at worst root.

    Attack: `exec --user` with a table of such words, in an image whose passwd says that each of them is root; and
    process.user.uid of the same numbers in config.json.
    Held: refused, or at least not run as uid 0.
    Control: plain numbers run as these; `0` runs as root.
    """
    box = ground.box()
    (box.rootfs / "etc/passwd").write_text(EVIL_PASSWD)
    held(box.start("sleep", "100").returncode == 0, "does not start")
    attacked(box.exec("--user", "7", "--", "id", "-u").stdout == "7\n", "exec --user 7 is not 7")
    attacked(box.exec("--user", "0", "--", "id", "-u").stdout == "0\n", "exec --user 0 is not 0")
    refused = 0
    words = ("1x", "+1", " 1", "-1", "1:", ":1", "1:-1", "1:2:3", "4294967295", "4294967296", "2147483648",
             "18446744073709551616", "1000000000000", "root", "0x0", "0 ", "1e3")
    for word in words[:times]:
        done = box.exec(f"--user={word}", "--", "sh", "-c", "id -u; id -g")
        held(done.returncode or done.stdout.split()[:1] != ["0"], f"{word!r}: root")
        refused += done.returncode != 0
    for number in (2**32, -1, 2**32 - 1, 2**64, 1e3 + 0.5, "0", True, [0])[:times]:
        other = ground.box()
        other.process["user"] = {"uid": number, "gid": 0}
        done = other.run("id", "-u")
        held(done.stdout != "0\n", f"uid {number!r}: root")
        refused += done.returncode != 0
    return f"{refused} words and numbers refused, none root"


@attack("CVE-2016-8867 CVE-2018-10856 CVE-2022-29162 CVE-2022-24769 CVE-2022-27649 CVE-2022-27650 CVE-2022-27651",
        rules="R11")
def sets_of_capabilities(ground: Ground, times: int) -> str:
    """Capabilities stay in the ambient or inheritable set, or with a user that is not root.

    Attack: look at the five sets in `run` and in `exec`, as root and as uid 1000; the calling process itself holds all
    that it can in its inheritable and ambient sets.
    Held: inheritable and ambient are empty; effective and permitted are empty for uid 1000; the bounding set is
    Docker's for all.
    Control: the caller's own sets are not empty, and the effective set of root inside is Docker's.
    """
    box = ground.box()
    caller = ("setpriv", "--inh-caps", "+chown,+sys_admin", "--ambient-caps", "+chown,+sys_admin")
    outside = ground.runs(*caller, "cat", "/proc/self/status", stdout=-1).communicate()[0]
    attacked("CapInh:\t0000000000000000" not in outside, "the caller has nothing to inherit")
    root = fields(box.sh(STATUS, through=caller))
    attacked(root.get("CapEff", "") not in ("", "0" * 16), root)
    box.process["user"] = {"uid": 1000, "gid": 1000}
    user = fields(box.sh(STATUS, through=caller))
    box.process["user"] = {"uid": 0, "gid": 0}
    held(box.start("sleep", "100", through=caller).returncode == 0, "does not start")
    inside = {"run": root, "run as 1000": user, "exec": fields(box.exec("sh", "-c", STATUS)),
              "exec as 1000": fields(box.exec("--user", "1000:1000", "--", "sh", "-c", STATUS))}
    for name, found in inside.items():
        held(found.get("CapInh") == "0" * 16 and found.get("CapAmb") == "0" * 16, f"{name}: {found}")
        held(found["CapBnd"] == root["CapEff"], f"{name}: bounding {found['CapBnd']}")
        held("1000" not in name or found["CapEff"] == found["CapPrm"] == "0" * 16, f"{name}: {found}")
    return f"bounding {root['CapBnd']}, nothing inherited in run and exec (root and uid 1000)"


@attack("CVE-2022-36109 CVE-2023-25173 CVE-2022-2989 CVE-2022-2990", rules="R11")
def groups_of_the_caller(ground: Ground, times: int) -> str:
    """The supplementary groups of whoever called the runtime stay with the program, or those asked for get lost.

    Attack: the caller is in groups 4242 and 4243; additionalGids asks for 7.
    Held: `id -G` is exactly what was asked for.
    Control: the caller's child, without a runtime, is in these groups.
    """
    caller = {"extra_groups": (4242, 4243)}
    outside = ground.runs("id", "-G", stdout=-1, **caller).communicate()[0].split()
    attacked("4242" in outside, outside)
    box = ground.box()
    held(box.run("id", "-G", **caller).stdout.split() == ["0"], "the caller's groups are there")
    box.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7]}
    found = box.run("id", "-G", **caller).stdout.split()
    held(found == ["1000", "7"], found)
    return "exactly the groups that were asked for"


@attack("no_new_privs", rules="R11")
def setuid_programs(ground: Ground, times: int) -> str:
    """A setuid program of the image gives root back, though noNewPrivileges was asked for.

    Attack: uid 1000 executes a program that is setuid root and tells who it is.
    Held: with noNewPrivileges it stays uid 1000, in `run` and in `exec`.
    Control: without noNewPrivileges the same program is root.
    """
    box = ground.box()
    (box.rootfs / "bin/whoami").chmod(0o4755)
    box.process["user"] = {"uid": 1000, "gid": 1000}
    attacked(box.run("whoami").stdout == "0\n", "a setuid program does not become root")
    box.process["noNewPrivileges"] = True
    held(box.run("whoami").stdout == "1000\n", "run")
    box.start("sleep", "100")
    found = box.exec("--user", "1000:1000", "--", "whoami").stdout
    held(found == "1000\n", f"exec: {found}")
    return "uid 1000 with it, root without"
