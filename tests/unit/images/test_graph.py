"""What only one image needs, what several need, and what containers and leases keep."""

from hypothesis import given
from hypothesis import strategies as st

from pydocker.images.graph import Graph, Parts, shared, union
from pydocker.model.digest import Digest


def d(name: str) -> Digest:
    return Digest(f"sha256:{name}")


def parts(blobs: str, layers: str) -> Parts:
    return Parts(frozenset(map(d, blobs)), frozenset(map(d, layers)))


FIRST, SECOND = parts("mcx", "12"), parts("nky", "13")


def graph(containers: dict[str, tuple[Digest, ...]] | None = None, leased: str = "") -> Graph:
    return Graph(images={d("m"): FIRST, d("n"): SECOND}, containers=containers or {},
                 leased=frozenset(map(d, leased)))


def test_what_is_shared_stays() -> None:
    assert graph().only([d("m")]) == parts("mcx", "2")
    assert graph().only([d("m"), d("n")]) == parts("mcxnky", "123")
    assert shared([FIRST, SECOND]) == parts("", "1")


def test_a_container_keeps_its_layers_and_no_blobs() -> None:
    assert graph({"c": (d("1"), d("2"))}).only([d("m"), d("n")]) == parts("mcxnky", "3")


def test_a_lease_keeps_both_kinds() -> None:
    assert graph(leased="x2").only([d("m")]) == parts("mc", "")


def test_a_blob_and_a_layer_of_one_digest_are_two_things() -> None:
    """An uncompressed layer's blob has the digest that is the chain id of the lowest layer."""
    both = Graph(images={d("a"): parts("a1", "1"), d("b"): parts("b1", "")}, containers={})
    assert both.only([d("a")]) == parts("a", "1")


@given(st.lists(st.tuples(st.text("abcdef"), st.text("123456")), max_size=6), st.text("123456"), st.data())
def test_exactly_what_nothing_refers_to(images: list[tuple[str, str]], stack: str, data: st.DataObject) -> None:
    """Removing images one by one, in any order, frees each thing once, and in the end all but the container's."""
    needs = {d(f"m{at}"): parts(*both) for at, both in enumerate(images)}
    left = Graph(images=needs, containers={"c": tuple(map(d, stack))})
    everything, freed = left.needed(), Parts()
    for manifest in data.draw(st.permutations(sorted(left.images))):
        going = left.only([manifest])
        left = left.without([manifest])
        assert not (going.blobs & left.needed().blobs or going.layers & left.needed().layers)
        assert not (going.blobs & freed.blobs or going.layers & freed.layers)
        freed |= going
    assert freed == everything - parts("", stack)
    assert left.needed() == parts("", stack)
    assert union([]) == Parts()
