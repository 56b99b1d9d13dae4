"""A real web server behind `-p`, which hands each request to another one that it knows by name."""

import os
import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.engine import Engine
from tests.root.containers.room import wait_until
from tests.root.ports.hosts import CLIENT, ENGINE, Surroundings

# The program and its libraries are the host's, which Debian's package put there.
HOSTS = tuple(word for path in ("/usr", "/lib", "/lib64") if os.path.exists(path)
              for word in ("-v", f"{path}:{path}:ro"))
CONFIGURATION = """\
user root; worker_processes 1; daemon off; pid /tmp/pid;
events {{}}
http {{
    access_log /dev/stdout; client_body_temp_path /tmp/1; proxy_temp_path /tmp/2; fastcgi_temp_path /tmp/3;
    uwsgi_temp_path /tmp/4; scgi_temp_path /tmp/5;
    server {{ listen 80; location / {{ {what}; }} }}
}}
"""


def nginx(engine: Engine, directory: Path, name: str, what: str, *flags: str) -> None:
    if shutil.which("nginx") is None:
        pytest.skip("needs nginx: make setup-tests")
    file = directory / f"{name}.conf"
    file.write_text(CONFIGURATION.format(what=what))
    engine.ok("run", "-d", "--name", name, "--network", "site", *flags, *HOSTS, "-v", f"{file}:/nginx.conf:ro",
              "busybox", "nginx", "-e", "stderr", "-c", "/nginx.conf")


def listening(engine: Engine, *names: str) -> None:
    for name in names:
        wait_until(lambda name=name: ":80 " in engine.ok("exec", name, "netstat", "-ltn"))


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read(), "utf-8")


def test_a_site_of_two(engine: Engine, around: Surroundings, networks: None, tmp_path: Path) -> None:
    engine.ok("network", "create", "site")
    nginx(engine, tmp_path, "app", "return 200 \"for $http_x_real_ip by $host\"")
    nginx(engine, tmp_path, "web", "proxy_pass http://app; proxy_set_header X-Real-IP $remote_addr", "-p", "8080:80")
    listening(engine, "app", "web")
    with around.client.inside():
        assert get(f"http://{ENGINE}:8080/") == f"for {CLIENT} by app"
    wait_until(lambda: f"{CLIENT} - - " in engine.ok("logs", "web"))  # nginx tells it when it has answered

    engine.ok("rm", "-f", "app")
    nginx(engine, tmp_path, "app", "return 200 new")
    engine.ok("restart", "-t", "0", "web")
    listening(engine, "app", "web")
    assert get("http://127.0.0.1:8080/") == "new"
