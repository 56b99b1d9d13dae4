"""Times on the wire, and Docker's words for spans."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydocker.wire.times import NEVER, from_rfc3339, rfc3339, span

HOUR, DAY = 3600.0, 86400.0


def test_times_have_nine_digits_and_zero_is_never() -> None:
    assert rfc3339(1700000000.25) == "2023-11-14T22:13:20.250000000Z"
    assert rfc3339(0) == NEVER
    assert from_rfc3339(NEVER) == 0.0


@given(st.integers(1, 4 * 10**15))
def test_a_time_is_read_back_to_the_microsecond(microseconds: int) -> None:
    assert from_rfc3339(rfc3339(microseconds / 1e6)) == pytest.approx(microseconds / 1e6, abs=2e-6)


@pytest.mark.parametrize(("text", "seconds"), [
    ("2023-11-14T22:13:20Z", 1700000000.0),
    ("2023-11-14T23:13:20.5+01:00", 1700000000.5),
    ("2023-11-14T22:13:20.123456789Z", pytest.approx(1700000000.123457)),
    ("yesterday", 0.0), ("", 0.0), ("2023-99-14T22:13:20Z", 0.0),
])
def test_times_of_others_are_read(text: str, seconds: float) -> None:
    assert from_rfc3339(text) == seconds


@pytest.mark.parametrize(("seconds", "words"), [
    (0.3, "Less than a second"), (1, "1 second"), (45, "45 seconds"), (60, "About a minute"), (119, "About a minute"),
    (180, "3 minutes"), (59 * 60, "59 minutes"), (HOUR, "About an hour"), (1.4 * HOUR, "About an hour"),
    (1.6 * HOUR, "2 hours"), (47 * HOUR, "47 hours"), (2 * DAY, "2 days"), (13 * DAY, "13 days"),
    (14 * DAY, "2 weeks"), (59 * DAY, "8 weeks"), (60 * DAY, "2 months"), (729 * DAY, "24 months"),
    (730 * DAY, "2 years"), (-5, "Less than a second"),
])
def test_spans_in_dockers_words(seconds: float, words: str) -> None:
    assert span(seconds) == words
