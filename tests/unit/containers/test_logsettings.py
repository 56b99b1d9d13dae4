"""--log-driver and --log-opt: what they become, and Docker's words for what they cannot be."""

from pathlib import Path

import pytest

from pydocker.containers import logsettings
from pydocker.errors import InvalidParameter, PydockerError
from pydocker.model.container import Config, ContainerId, HostConfig, LogConfig, Record
from pydocker.model.digest import Digest
from pydocker.monitor.launch import LogSettings

ID = ContainerId("a" * 64)
IMAGE = Digest("sha256:" + "b" * 64)


def record(driver: str = "json-file", config: Config | None = None, **options: str) -> Record:
    host = HostConfig(log_config=LogConfig(driver, {name.replace("_", "-"): value for name, value in options.items()}))
    return Record(id=ID, name="web", created=1.0, image=IMAGE, image_name="app:1", platform="linux/amd64",
                  argv=("sh",), config=config or Config(), host=host, layers=())


def settings(driver: str = "json-file", config: Config | None = None, **options: str) -> LogSettings:
    one = record(driver, config, **options)
    logsettings.check(one.host)
    return logsettings.settings(one, Path("/d"))


def test_every_log_is_bounded_by_default() -> None:
    assert settings() == LogSettings("json-file", f"/d/{ID}-json.log", 10 << 20, 3)
    assert settings("local") == LogSettings("local", "/d/local-logs/container.log", 20_000_000, 5, compress=True)
    assert settings("none", anything="goes") == LogSettings()


def test_rotation() -> None:
    found = settings(max_size="1.5k", max_file="7", compress="true")
    assert (found.max_size, found.files, found.compress) == (1500, 7, True)
    assert not settings("local", compress="0").compress
    assert not settings("local", max_file="1").compress


LABELLED = Config(labels={"a": "1", "org.b": "2", "c": "3"}, env=("HOME=/root", "X_A=5", "X_B=x=y", "gone"))


@pytest.mark.parametrize(("options", "extra"), [
    ({}, {}),
    ({"labels": "a,nope,c"}, {"a": "1", "c": "3"}),
    ({"labels_regex": "^org"}, {"org.b": "2"}),
    ({"env": "HOME,gone", "env_regex": "_B$"}, {"HOME": "/root", "X_B": "x=y"}),
    ({"tag": "{{.Name}}/{{ .ID }}/{{.ImageName}}"}, {"tag": f"web/{'a' * 12}/app:1"}),
    ({"tag": "{{.ImageID}} {{.FullID}} {{.DaemonName}}"}, {"tag": f"sha256:bbbbb {ID} docker"}),
    ({"labels": "a", "tag": "{{.ImageFullID}}"}, {"a": "1", "tag": IMAGE}),
    ({"tag": "plain"}, {"tag": "plain"}), ({"tag": ""}, {}), ({"tag": "{{if false}}x{{end}}"}, {}),
    ({"tag": '{{with .ContainerLabels}}{{index . "org.b"}}{{end}}{{.Command | upper}}'}, {"tag": "2SH"}),
    ({"tag": "{{.ContainerName}} {{.ContainerCreated}}"}, {"tag": "/web 1970-01-01 00:00:01.000000 +0000 UTC"}),
    ({"tag": '{{join (split .ImageName ":") "-"}}{{json .ContainerArgs}}'}, {"tag": "app-1[]"}),
    ({"tag": '{{range .ContainerEnv}}{{printf "%.4s;" .}}{{end}}'}, {"tag": "HOME;X_A=;X_B=;gone;"}),
])
def test_what_every_line_is_given(options: dict[str, str], extra: dict[str, str]) -> None:
    assert settings(config=LABELLED, **options).extra == extra


def test_the_fields_of_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logsettings, "JOURNAL", str(tmp_path))
    found = settings("journald", LABELLED, labels="org.b", env_regex="^X_A")
    assert found == LogSettings("journald", str(tmp_path), extra={
        "CONTAINER_ID": "a" * 12, "CONTAINER_ID_FULL": ID, "CONTAINER_NAME": "web", "CONTAINER_TAG": "a" * 12,
        "IMAGE_NAME": "app:1", "SYSLOG_IDENTIFIER": "a" * 12, "ORG_B": "2", "X_A": "5"})
    assert settings("journald", tag="{{.Name}}").extra["SYSLOG_IDENTIFIER"] == "web"
    monkeypatch.setattr(logsettings, "JOURNAL", str(tmp_path / "none"))
    with pytest.raises(PydockerError, match="journald is not enabled on this host"):
        settings("journald")


def test_what_may_wait_for_a_slow_disk() -> None:
    assert settings().buffer == settings(mode="blocking").buffer == 0
    assert settings(mode="non-blocking").buffer == 1 << 20
    assert settings("local", mode="non-blocking", max_buffer_size="4m").buffer == 4 << 20


@pytest.mark.parametrize(("driver", "options", "words"), [
    ("syslog", {}, 'error looking up logging plugin syslog: plugin "syslog" not found'),
    ("json-file", {"x": "y"}, "unknown log opt 'x' for json-file log driver"),
    ("journald", {"max_size": "1m"}, "unknown log opt 'max-size' for journald log driver"),
    ("local", {"tag": "x"}, "unknown log opt 'tag' for log driver local"),
    ("json-file", {"max_size": "x"}, "failed to initialize logging driver: invalid size: 'x'"),
    ("json-file", {"max_size": "0"}, "max-size must be a positive number"),
    ("json-file", {"max_file": "0"}, "max-file cannot be less than 1"),
    ("json-file", {"max_file": "\u0661"}, 'strconv.Atoi: parsing "\u0661": invalid syntax'),
    ("json-file", {"compress": "maybe"}, 'strconv.ParseBool: parsing "maybe": invalid syntax'),
    ("json-file", {"compress": "true", "max_file": "1"},
     "compress cannot be true when max-file is less than 2 or max-size is not set"),
    ("json-file", {"mode": "fast"}, "logger: logging mode not supported: fast"),
    ("json-file", {"max_buffer_size": "1m"},
     "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
    ("local", {"mode": "non-blocking", "max_buffer_size": "x"},
     "error parsing option max-buffer-size: invalid size: 'x'"),
    ("json-file", {"labels_regex": "("}, "error parsing regexp: "),
    ("json-file", {"labels_regex": "a{99999999999}"}, "error parsing regexp: the repetition number is too large"),
    ("json-file", {"env_regex": "(" * 5000}, "error parsing regexp: maximum recursion depth exceeded"),
])
def test_what_cannot_be(driver: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        logsettings.check(record(driver, **options).host)
    assert words in str(refused.value)


@pytest.mark.parametrize(("tag", "words"), [
    ("{{.Nope}}", "template: log-tag:1:2: executing \"log-tag\" at <.Nope>: can't evaluate field Nope in type "
     "*logger.Info"),
    ("{{", "template: log-tag:1: unclosed action"), ("{{nope}}", 'template: log-tag:1: function "nope" not defined'),
    ("{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}", "exceeded maximum template depth"),
])
def test_what_cannot_be_a_tag(tag: str, words: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        logsettings.tag(record(tag=tag))
    assert str(refused.value).startswith("failed to initialize logging driver: template: log-tag:")
    assert words in str(refused.value)
