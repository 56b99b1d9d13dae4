"""The maps of an idmapped mount: every id means one thing, and nobody becomes the owner by accident."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pydocker.monitor.mounting import rows

LAST = 2**32 - 2
IDS = st.integers(0, LAST) | st.integers(0, 3) | st.integers(LAST - 3, LAST)


@given(IDS, IDS, IDS)
def test_maps(owner: int, user: int, other: int) -> None:
    found = rows(owner, user)
    assert len(found) <= 4 and all(row.size > 0 for row in found)

    def seen(on_disk: int) -> list[int]:
        return [row.host_id + on_disk - row.container_id for row in found
                if row.container_id <= on_disk < row.container_id + row.size]

    assert seen(owner) == [user]
    if owner != user:
        assert seen(user) == []
    if other not in (owner, user):
        assert seen(other) == [other]
    ranges = sorted((row.host_id, row.host_id + row.size) for row in found)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(ranges))
    assert ranges[-1][1] <= LAST + 1
