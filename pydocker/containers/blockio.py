"""`--blkio-weight`, `--device-read-bps` and their like, as an OCI spec has them: by number instead of by path."""

from pydocker.errors import InvalidParameter
from pydocker.model.container import HostConfig, ThrottleDevice
from runtime.spec import LinuxBlockIO, LinuxThrottleDevice, LinuxWeightDevice

_LEAST, _MOST = 10, 1000


def check(host: HostConfig) -> None:
    """Raises InvalidParameter in Docker's words."""
    if host.blkio_weight and not _LEAST <= host.blkio_weight <= _MOST:
        raise InvalidParameter(f"range of blkio weight is from {_LEAST} to {_MOST}")
    for one in host.blkio_weight_device or ():
        if not _LEAST <= one.weight <= _MOST:
            raise InvalidParameter(f"invalid weight for device: {one.path}: the range is from {_LEAST} to {_MOST}")
    for throttle in (*(host.blkio_device_read_bps or ()), *(host.blkio_device_write_bps or ()),
                     *(host.blkio_device_read_iops or ()), *(host.blkio_device_write_iops or ())):
        if throttle.rate < 0:
            raise InvalidParameter(f"invalid rate for device: {throttle.path}: must not be negative")


def limits(host: HostConfig, numbers: dict[str, tuple[int, int]]) -> LinuxBlockIO | None:
    """All of them, or None where nothing was asked for. `numbers` are the devices' by path."""
    def throttles(asked: tuple[ThrottleDevice, ...] | None) -> tuple[LinuxThrottleDevice, ...]:
        return tuple(LinuxThrottleDevice(major=numbers[one.path][0], minor=numbers[one.path][1], rate=one.rate)
                     for one in asked or ())

    weights = tuple(LinuxWeightDevice(major=numbers[one.path][0], minor=numbers[one.path][1], weight=one.weight)
                    for one in host.blkio_weight_device or ())
    found = LinuxBlockIO(
        weight=host.blkio_weight or None, weight_device=weights,
        throttle_read_bps_device=throttles(host.blkio_device_read_bps),
        throttle_write_bps_device=throttles(host.blkio_device_write_bps),
        throttle_read_iops_device=throttles(host.blkio_device_read_iops),
        throttle_write_iops_device=throttles(host.blkio_device_write_iops))
    return found if found != LinuxBlockIO() else None
