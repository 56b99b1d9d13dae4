"""Docker's rules for rmi, one by one (moby, daemon/images/image_delete.go, as a peer to compare with)."""

import pytest

from pydocker.errors import Conflict
from pydocker.images.catalog import Catalog, Name
from pydocker.images.removal import Decision, User, decide
from pydocker.model.digest import Digest
from pydocker.model.image import OCI_MANIFEST, Descriptor

MANIFEST = Descriptor(media_type=OCI_MANIFEST, digest=Digest("sha256:" + "a" * 64), size=1)
ID = Digest("sha256:" + "c" * 64)
SHORT = "c" * 12
TAG, OTHER, ELSEWHERE = "docker.io/library/x:1", "docker.io/library/x:2", "docker.io/library/y:1"
BY_DIGEST = "docker.io/library/x@sha256:" + "d" * 64
RUNNING: User = ("r" * 64, True)
STOPPED: User = ("s" * 64, False)


def decided(names: list[str], name: str, *users: User, force: bool = False) -> Decision:
    catalog = Catalog()
    for known in names:
        catalog = catalog.with_name(Name(known), MANIFEST)
    return decide(catalog.with_manifest(MANIFEST), [MANIFEST.digest], ID, name, force=force, users=users)


def told(decision: Decision) -> list[str]:
    return [f"{verb}: {what}" for verb, what in decision.removed]


def test_the_last_name_takes_the_image_along() -> None:
    decision = decided([TAG], "x:1")
    assert (told(decision), decision.deletes) == (["Untagged: x:1", f"Deleted: {ID}"], True)
    assert decision.catalog.manifests == ()


def test_one_name_of_several() -> None:
    decision = decided([TAG, OTHER], "x:1")
    assert (told(decision), decision.deletes) == (["Untagged: x:1"], False)
    assert decision.catalog.names(MANIFEST.digest) == (OTHER,)


def test_digests_go_with_their_repositorys_last_tag() -> None:
    decision = decided([TAG, BY_DIGEST], "x:1")
    assert told(decision) == ["Untagged: x:1", f"Untagged: x@sha256:{'d' * 64}", f"Deleted: {ID}"]
    assert told(decided([TAG, OTHER, BY_DIGEST], "x:1")) == ["Untagged: x:1"]
    assert told(decided([TAG, BY_DIGEST, ELSEWHERE], "x:1")) == ["Untagged: x:1", f"Untagged: x@sha256:{'d' * 64}"]


def test_by_id() -> None:
    assert told(decided([TAG, BY_DIGEST], SHORT)) == [
        "Untagged: x:1", f"Untagged: x@sha256:{'d' * 64}", f"Deleted: {ID}"]
    assert told(decided([], str(ID))) == [f"Deleted: {ID}"]


def test_by_id_with_several_names_must_be_forced() -> None:
    with pytest.raises(Conflict) as caught:
        decided([TAG, ELSEWHERE], SHORT)
    assert str(caught.value) == (
        f"conflict: unable to delete {SHORT} (must be forced) - image is referenced in multiple repositories")
    assert told(decided([TAG, ELSEWHERE], SHORT, force=True)) == ["Untagged: x:1", "Untagged: y:1", f"Deleted: {ID}"]


def test_the_only_name_of_an_image_in_use() -> None:
    with pytest.raises(Conflict) as caught:
        decided([TAG], "x:1", STOPPED)
    assert str(caught.value) == ('conflict: unable to remove repository reference "x:1" (must force) - '
                                 f"container {'s' * 12} is using its referenced image {SHORT}")


def test_another_name_of_an_image_in_use_may_go() -> None:
    assert told(decided([TAG, OTHER], "x:1", RUNNING)) == ["Untagged: x:1"]


def test_by_force_with_a_stopped_container() -> None:
    assert told(decided([TAG], "x:1", STOPPED, force=True)) == ["Untagged: x:1", f"Deleted: {ID}"]


def test_by_force_with_a_running_container_leaves_the_image_dangling() -> None:
    decision = decided([TAG], "x:1", RUNNING, force=True)
    assert (told(decision), decision.deletes) == (["Untagged: x:1"], False)
    assert [entry.annotations for entry in decision.catalog.manifests] == [{}]


@pytest.mark.parametrize(("user", "force", "words"), [
    (RUNNING, False, f"(cannot be forced) - image is being used by running container {'r' * 12}"),
    (RUNNING, True, f"(cannot be forced) - image is being used by running container {'r' * 12}"),
    (STOPPED, False, f"(must be forced) - image is being used by stopped container {'s' * 12}"),
])
def test_by_id_in_use(user: User, force: bool, words: str) -> None:
    with pytest.raises(Conflict) as caught:
        decided([TAG], SHORT, user, force=force)
    assert str(caught.value) == f"conflict: unable to delete {SHORT} {words}"
