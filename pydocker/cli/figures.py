"""What a sample of `stats` says to a person: percentages, sizes, columns (docker/cli, command/container/stats).

Memory is what programs use: the page cache that the kernel could drop at once (`inactive_file`) is taken off.
"""

from pydocker.cli import phrases, table
from pydocker.client.answers import Cpu, Memory, Sample

HEADINGS = {
    "Container": "CONTAINER", "ID": "CONTAINER ID", "Name": "NAME", "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT", "MemPerc": "MEM %", "NetIO": "NET I/O", "BlockIO": "BLOCK I/O", "PIDs": "PIDS",
}
COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")


def row(asked: str, sample: Sample | None, whole: bool) -> table.Row:
    """The cells of a container that was `asked` for by this name; of one that has not answered yet, dashes."""
    if sample is None:
        return {"Container": asked, "ID": "--", "Name": "--", "CPUPerc": "--", "MemUsage": "-- / --", "MemPerc": "--",
                "NetIO": "--", "BlockIO": "--", "PIDs": "--"}
    used, limit = used_memory(sample.memory), sample.memory.limit
    read, written = block(sample)
    received = sum(one.rx_bytes for one in (sample.networks or {}).values())
    sent = sum(one.tx_bytes for one in (sample.networks or {}).values())
    return {
        "Container": asked, "ID": sample.id if whole else phrases.short_id(sample.id),
        "Name": sample.name.removeprefix("/"), "CPUPerc": f"{processor_share(sample.cpu, sample.cpu_before):.2f}%",
        "MemUsage": f"{phrases.binary_size(used)} / {phrases.binary_size(limit)}",
        "MemPerc": f"{used / limit * 100 if limit else 0.0:.2f}%",
        "NetIO": f"{phrases.decimal_size(received)} / {phrases.decimal_size(sent)}",
        "BlockIO": f"{phrases.decimal_size(read)} / {phrases.decimal_size(written)}", "PIDs": str(sample.pids.current),
    }


def processor_share(now: Cpu, before: Cpu) -> float:
    """In percent of one processor: four busy ones are 400."""
    own, all = now.usage.total - before.usage.total, now.system - before.system
    count = now.online or len(now.usage.each or ())
    return own / all * count * 100 if own > 0 and all > 0 else 0.0


def used_memory(memory: Memory) -> int:
    """Bytes. v1 calls the part that is taken off by another name, since it counts the cgroups below as well."""
    figures = memory.stats or {}
    cache = figures.get("total_inactive_file", figures.get("inactive_file", 0))
    return memory.usage - cache if cache < memory.usage else memory.usage


def block(sample: Sample) -> tuple[int, int]:
    """Bytes read from and written to block devices."""
    entries = sample.blkio.bytes or ()
    read, written = (sum(one.value for one in entries if one.op.lower() == op) for op in ("read", "write"))
    return read, written
