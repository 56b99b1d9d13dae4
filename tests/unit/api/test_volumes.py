"""The routes under /volumes, over a backend in memory."""

from tests.unit.api.conftest import Running


def test_a_life(running: Running) -> None:
    made = running.call("POST", "/v1.47/volumes/create", {
        "Name": "kept", "Driver": "local", "DriverOpts": None, "Labels": {"a": "b"}, "ClusterVolumeSpec": None})
    assert made.status == 201
    assert made.json == {
        "CreatedAt": "2001-09-09T01:46:40Z", "Driver": "local", "Labels": {"a": "b"}, "Name": "kept", "Options": None,
        "Mountpoint": str(running.engine.paths.volume_data("kept")), "Scope": "local"}
    assert running.call("GET", "/volumes").json == {"Volumes": [made.json], "Warnings": None}
    assert running.call("GET", "/volumes/kept").json == made.json
    running.engine.volumes.used = {"kept": ["1", "2"]}
    assert running.call("GET", "/system/df?type=volume").json["Volumes"] == [
        {**made.json, "UsageData": {"Size": 7, "RefCount": 2}}]
    assert running.call("PUT", "/volumes/kept?version=1", {"Spec": {}}).status == 503
    assert running.call("DELETE", "/volumes/kept").status == 204
    assert running.call("GET", "/volumes/kept").json == {"message": "get kept: no such volume"}
    assert running.call("DELETE", "/volumes/kept?force=1").status == 204
    assert running.call("POST", "/volumes/create", {"ClusterVolumeSpec": {"Group": "x"}}).status == 501
    assert running.call("POST", "/volumes/create", {"Labels": [1]}).status == 400


def test_filters(running: Running) -> None:
    for name, labels in (("one", {}), ("two", {"a": "b"}), ("three", {"com.docker.volume.anonymous": ""})):
        running.call("POST", "/volumes/create", {"Name": name, "Labels": labels})
    running.engine.volumes.used = {"one": ["c"]}

    def shown(filters: str) -> list[str]:
        return [one["Name"] for one in running.call("GET", f"/volumes?filters={filters}").json["Volumes"]]

    assert shown('{"dangling":{"true":true}}') == ["three", "two"] and shown('{"dangling":["0"]}') == ["one"]
    assert shown('{"name":["t"]}') == ["three", "two"] and shown('{"label":["a=b"]}') == ["two"]
    assert running.call("GET", '/volumes?filters={"x":["y"]}').status == 400
    assert running.call("POST", '/volumes/prune?filters={"until":["1h"]}').status == 400
    assert running.call("POST", '/volumes/prune?filters={"label!":["a"],"all":["1"]}').json == {
        "VolumesDeleted": ["three"], "SpaceReclaimed": 7}
    assert running.call("POST", "/v1.42/volumes/prune").json == {"VolumesDeleted": None, "SpaceReclaimed": 0}
    assert running.call("POST", "/v1.41/volumes/prune").json == {"VolumesDeleted": ["two"], "SpaceReclaimed": 7}


def test_ours(running: Running) -> None:
    running.call("POST", "/volumes/create", {"Name": "one"})
    assert running.call("POST", "/pydocker/volumes/one/clone?name=two").status == 201
    assert running.call("POST", "/pydocker/volumes/one/rename?name=three").status == 204
    assert running.call("POST", "/pydocker/volumes/one/rename?name=").status == 400
    assert running.call("GET", "/pydocker/volumes/two/export").content == b"archive of two"
    assert running.call("POST", '/pydocker/volumes/four/import?labels={"a":"b"}', b"tar").status == 201
    assert running.engine.volumes.imported == {"four": b"tar"}
    assert running.call("POST", "/pydocker/volumes/four/import?labels=[1]", b"tar").status == 400
    assert [one["Name"] for one in running.call("GET", "/volumes").json["Volumes"]] == ["four", "three", "two"]
