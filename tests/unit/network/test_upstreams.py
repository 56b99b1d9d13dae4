"""Which server is asked, and when the next one is."""

from pydocker.network.resolvconf import Upstream
from pydocker.network.upstreams import AGAIN, LEAST, MOMENT, MOST, PROOF, Memory

ONE, TWO, THREE = (Upstream(f"192.0.2.{number}") for number in (1, 2, 3))


def memory() -> Memory:
    it = Memory()
    it.know([ONE, TWO, THREE])
    return it


def test_patience_grows_with_what_is_known() -> None:
    it = memory()
    assert it.patience(ONE) == MOMENT
    it.answered(ONE, 0.001)
    assert it.patience(ONE) == LEAST
    it.answered(TWO, 0.1)
    assert it.patience(TWO) == 0.4
    it.answered(THREE, 3.0)
    assert it.patience(THREE) == MOST


def test_the_dead_are_asked_last_and_found_when_they_are_back() -> None:
    it = memory()
    it.silent(ONE, PROOF, now=100.0)
    assert it.order() == (TWO, THREE, ONE)
    assert [*it.practice(100.0 + AGAIN / 2)] == []
    assert [*it.practice(100.0 + AGAIN)] == [ONE] and [*it.practice(100.1 + AGAIN)] == []
    it.answered(ONE, 0.01)
    assert it.order() == (ONE, TWO, THREE)


def test_a_moment_of_silence_is_no_proof() -> None:
    it = memory()
    it.silent(ONE, MOMENT, now=100.0)
    assert it.order() == (ONE, TWO, THREE)
    it.refused(TWO, now=100.0)
    assert it.order() == (ONE, THREE, TWO)


def test_other_servers_change_nothing_about_those_that_stay() -> None:
    it = memory()
    it.refused(ONE, now=100.0)
    it.know([ONE, THREE])
    assert it.order() == (THREE, ONE)
    it.answered(TWO, 0.1)  # gone meanwhile
    assert it.order() == (THREE, ONE)
