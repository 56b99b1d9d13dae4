"""Rows of our notes' tables that are the engine's business as well, or alone: networks (table 5) and mounts (tables 1
and 2). Where the case of each is: an attack of this suite by its name, or a test that `make test` runs, `file::test`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What was possible elsewhere, and what shows that it is not here."""

    names: str
    what: str
    cases: tuple[str, ...]


_HERE, _PORTS, _VOLUMES = "tests/security/test_networks.py", "tests/root/ports", "tests/root/volumes"
_COPIES = "tests/root/containers/test_cp_attacks.py"

NETWORKS = (
    Row("CVE-2020-8558", "neighbours reach 127.0.0.1 through route_localnet",
        (f"{_PORTS}/test_publish.py::test_loopback_is_the_hosts_alone",)),
    Row("CVE-2020-13401", "a container's router advertisements change the host's routes",
        (f"{_HERE}::test_router_advertisements_change_nothing",
         f"{_PORTS}/test_isolation.py::test_router_advertisements_of_a_container")),
    Row("CVE-2021-20199", "clients from outside look like 127.0.0.1",
        (f"{_PORTS}/test_publish.py::test_from_everywhere", f"{_PORTS}/test_publish.py::test_datagrams_from_everywhere",
         f"{_PORTS}/test_publish.py::test_ipv6_keeps_the_clients_address_too")),
    Row("CVE-2024-29018", "names that a container of an internal network asks for are told outside",
        (f"{_HERE}::test_nothing_is_asked_outside_for_an_internal_network",
         "tests/root/names/test_dns.py::test_nothing_is_asked_outside_for_an_internal_network")),
    Row("CVE-2024-32473", "IPv6 in networks without it",
        (f"{_HERE}::test_without_ipv6_there_is_none_of_it",)),
    Row("CVE-2025-54388 CVE-2025-54410", "firewalld's reload opens ports of 127.0.0.1, and networks to each other",
        (f"{_PORTS}/test_firewall.py::test_firewalld", f"{_PORTS}/test_firewall.py::test_a_flush_is_made_good")),
)

MOUNTS = (
    Row("CVE-2014-9356 CVE-2019-18837", "links in the image", ("links_to_the_host",)),
    Row("CVE-2015-3629", "a mount point that became a link before the next start",
        ("mount_point_that_became_a_link",
         f"{_VOLUMES}/test_mount_options.py::test_where_a_volume_was_is_a_link_to_the_host")),
    Row("CVE-2015-3630 CVE-2018-10892", "parts of /proc that are not masked", ("masked_and_read_only",)),
    Row("CVE-2015-3631 CVE-2019-19921", "volumes over /proc and /sys",
        ("volumes_over_proc_and_sys", f"{_VOLUMES}/test_mount_options.py::test_nothing_over_proc_and_sys")),
    Row("CVE-2019-16884 CVE-2023-27561 CVE-2023-28642", "/proc or /sys is a link", ("proc_is_a_link",)),
    Row("CVE-2021-30465", "the target of a mount is exchanged", ("target_of_a_mount",)),
    Row("CVE-2022-0492", "cgroup v1's release_agent, mounted inside", ("release_agent",)),
    Row("CVE-2022-23648", "VOLUME leads to files of the host",
        (f"{_VOLUMES}/test_first_content.py::test_no_file_of_the_host_comes_into_a_volume",)),
    Row("CVE-2023-0778", "a volume is exported while a file becomes a link",
        (f"{_VOLUMES}/test_transfer.py::test_an_export_of_what_changes_meanwhile",)),
    Row("CVE-2023-25809", "cgroups that can be written", ("cgroups_are_read_only",)),
    Row("CVE-2024-45310 CVE-2026-41568", "directories for mounts, made while a link comes in between",
        ("directories_that_are_made", f"{_COPIES}::test_a_link_exchanged_for_a_directory")),
    Row("CVE-2024-23651", "a volume's part (volume-subpath) that becomes a link",
        (f"{_VOLUMES}/test_mount_options.py::test_a_part_that_is_exchanged_for_a_link_to_the_host",)),
    Row("CVE-2025-24965", "files that the engine writes are links in the image", ("files_that_runtimes_write",)),
    Row("CVE-2025-31133", "/dev/null is exchanged for what is to be masked", ("null_that_masks",)),
    Row("CVE-2025-52565", "/dev/pts/N is exchanged", ("terminal_that_is_bound",)),
    Row("CVE-2025-52881", "writes to /proc are led elsewhere", ("writes_to_proc_that_are_redirected",)),
    Row("CVE-2026-41579 CVE-2026-47766", "/dev is a link", ("dev_is_a_link",)),
    Row("CVE-2018-15664 CVE-2019-10152", "`cp` while the path is exchanged",
        (f"{_COPIES}::test_a_link_exchanged_for_a_directory",)),
    Row("CVE-2026-42306", "what `cp` mounts is seen by the host",
        (f"{_COPIES}::test_the_hosts_mount_table_does_not_change",)),
)


def told() -> str:
    """A table for people."""
    return "\n".join(line for title, rows in (("Networks", NETWORKS), ("Mounts", MOUNTS))
                     for line in (f"\n{title}: where the case of each row is", *map(_told, rows)))


def _told(row: Row) -> str:
    return f"  {row.names}: {row.what}\n" + "\n".join(f"      {case}" for case in row.cases)
