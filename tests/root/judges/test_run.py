"""What people ask podman and docker for, answered by the container itself: with our runtime as with runc."""

import pytest

from tests.root.judges.asked import ASKED
from tests.root.judges.conftest import Pair
from tests.root.judges.engines import same


@pytest.mark.parametrize("name", ASKED)
def test_run(name: str, judges: Pair, settings: dict[str, str]) -> None:
    options, script, code, answers = ASKED[name]
    result = same(*judges, "run", "--rm", *options.format(**settings).split(), "busybox", "sh", "-c", script)
    assert result.code == code, result
    for answer in answers:
        assert answer in result.out + result.err
