"""The column PORTS, as Docker's client writes it (docker/cli, formatter.DisplayablePorts): ports in a row are a range.

`8000-8002/tcp`, `0.0.0.0:8000-8002->8000-8002/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp`
"""

from collections.abc import Iterable

from pydocker.client.answers import Port


def shown(ports: Iterable[Port]) -> str:
    """Ranges first, then the ports that have another number on the host."""
    ranges: dict[tuple[str, str], tuple[int, int]] = {}  # by address and protocol
    done: list[str] = []
    mapped: list[str] = []
    for port in sorted(ports, key=lambda one: (one.private, one.ip, one.public, one.type)):
        if port.ip and port.public != port.private:
            mapped.append(f"{_at(port.ip, str(port.public))}->{port.private}/{port.type}")
            continue
        key = (port.ip, port.type)
        first, last = ranges.get(key, (port.private, port.private - 1))
        if port.private != last + 1:
            done.append(_range(key, first, last))
            first = port.private
        ranges[key] = (first, port.private)
    return ", ".join([*done, *(_range(key, *numbers) for key, numbers in ranges.items()), *mapped])


def _range(key: tuple[str, str], first: int, last: int) -> str:
    ip, protocol = key
    numbers = str(first) if first == last else f"{first}-{last}"
    return f"{_at(ip, numbers)}->{numbers}/{protocol}" if ip else f"{numbers}/{protocol}"


def _at(ip: str, port: str) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
