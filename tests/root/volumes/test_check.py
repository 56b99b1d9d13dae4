"""`system check` and volumes; and that nothing is removed while it cannot be told who has it."""

from pathlib import Path

from tests.engine import Engine
from tests.root.volumes.test_volumes import data, volumes


def test_what_is_wrong_is_told_and_nothing_lost(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    for name in ("kept", "damaged", "lost", "filled", "empty", "nameless"):
        engine.ok("volume", "create", name)
    tops = {name: data(engine, name).parent for name in volumes(engine)}
    user = engine.ok("create", "-v", "gone:/x:nocopy", "busybox")
    assert engine.ok("system", "check").endswith(" 1 container, 7 volumes: all is well")
    tops["gone"] = data(engine, "gone").parent
    tops["gone"].rename(engine.root / "gone")
    (tops["damaged"] / "volume.json").write_text("{")
    (tops["damaged"] / "_data/file").write_text("the user's")
    (tops["lost"] / "_data").rmdir()
    (tops["nameless"] / "volume.json").unlink()
    (tops["filled"] / "_filled").mkdir()
    (tops["filled"] / "_filled/file").write_text("content")
    (tops["empty"].parent / "stray").write_text("not a volume")
    found = engine.pydocker("system", "check", "--repair")
    assert found.code == 2
    for words in ("volume damaged: damaged document", "volume lost: its files are gone",
                  "volume nameless: its record is missing", "stray: is no volume",
                  "volume filled: its first content was not put in place to the end\n    mended: finished",
                  f"container {user[:12]}: its volume gone is gone"):
        assert words in found.out, words
    assert (tops["filled"] / "_data/file").read_text() == "content"
    assert (tops["damaged"] / "_data/file").read_text() == "the user's"
    for name, words in (("lost", "its files are gone"), ("nameless", "its record is missing")):
        for command in (("run", "--rm", "-v", f"{name}:/a", "busybox", "true"), ("volume", "export", name),
                        ("volume", "clone", name, "new")):
            refused = engine.pydocker(*command)
            assert refused.code in (1, 125) and f"volume {name}: {words} (see `system check`)\n" in refused.err
    for name in ("damaged", "nameless"):
        assert engine.pydocker("volume", "rm", name).code == 1
        assert engine.ok("volume", "rm", "-f", name) == name and not tops[name].exists()
    (tops["empty"].parent / "stray").unlink()
    (engine.root / "gone").rename(tops["gone"])


def test_a_container_that_lost_its_record_may_have_any_volume(fresh_engine: Engine) -> None:
    engine = fresh_engine
    engine.import_busybox()
    engine.ok("volume", "create", "other")
    id = engine.ok("create", "-v", "kept:/data", "busybox")
    record = Path(engine.root / "data/containers" / id / "config.json")
    whole = record.read_text()
    record.write_text("{")
    for command in (("rm", "kept"), ("rename", "other", "another"), ("prune", "-af")):
        refused = engine.pydocker("volume", *command)
        assert refused.code == 1 and f"which volumes container {id[:12]} has cannot be told" in refused.err
    assert volumes(engine) == ["kept", "other"]
    record.write_text(whole)
    engine.ok("volume", "rm", "other")


def test_a_renamed_volume_is_anonymous_no_more(engine: Engine) -> None:
    name = engine.ok("volume", "create")
    engine.ok("volume", "rename", name, "named")
    assert engine.ok("volume", "prune", "-f") == "Total reclaimed space: 0B"
    assert volumes(engine) == ["named"]
