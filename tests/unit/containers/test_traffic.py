"""What went over a container's interfaces, from the kernel's table."""

from pydocker.containers.stats import Traffic, traffic

DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0     0
  eth0: 1234567     890    1    2    0     0          0         0     7654      32    3    4    0     0       0     0
"""


def test_the_columns_of_proc_net_dev() -> None:
    assert traffic(DEV) == {"eth0": Traffic(1234567, 890, 1, 2, 7654, 32, 3, 4)}
    assert traffic("") == {}
