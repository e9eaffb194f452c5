"""By which names a server may be asked, and with which key: a page elsewhere cannot reach a local one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from symptoms.service import LocalServer
from tinker_local.server.guard import LOOPBACK_NAMES, allowed_hosts


@pytest.fixture(scope="module")
def http(server: LocalServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"X-API-Key": server.api_key}, trust_env=False) as made:
        yield made


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:8765", "[::1]:8765", "[::1]"])
def test_the_machines_own_names_are_served(http: httpx.Client, host: str):
    """Whatever the port: a tunnel has another."""
    assert http.get("/api/v1/get_server_capabilities", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8765", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "[::2", ""]
)
@pytest.mark.parametrize("path", ["/api/v1/healthz", "/api/v1/get_server_capabilities"])
def test_another_name_is_refused_though_the_key_is_right(http: httpx.Client, host: str, path: str):
    """A page that made its own name point to this machine knows the default key, and gets nothing."""
    answer = http.get(path, headers={"Host": host})
    assert answer.status_code == 403
    assert "--allow-host" in answer.json()["detail"]


def test_the_key_may_come_as_a_bearer_token(server: LocalServer):
    """As X-API-Key or as Authorization, and a wrong one of either kind is refused."""
    for headers, status in (
        ({"Authorization": f"Bearer {server.api_key}"}, 200),
        ({"Authorization": f"bearer {server.api_key}"}, 200),
        ({"Authorization": f"Basic {server.api_key}"}, 401),
        ({"Authorization": "Bearer tml-other"}, 401),
        ({"X-API-Key": "tml-other", "Authorization": f"Bearer {server.api_key}"}, 401),
        ({"X-API-Key": "\u00e9"}, 401),
        ({}, 401),
    ):
        sent = [(name, value.encode("utf-8")) for name, value in headers.items()]
        answer = httpx.get(f"{server.url}/api/v1/checkpoints", headers=sent, trust_env=False)
        assert answer.status_code == status, headers


def test_names_that_are_added_are_served():
    """Names are compared without port and case; an address that others reach has a key of its own."""
    assert allowed_hosts("127.0.0.1", []) == LOOPBACK_NAMES
    assert allowed_hosts("127.0.0.1", ["Lab.example:80"]) == LOOPBACK_NAMES | {"lab.example"}
    assert allowed_hosts("0.0.0.0", []) is None
    assert allowed_hosts("192.0.2.7", ["lab.example"]) == LOOPBACK_NAMES | {"192.0.2.7", "lab.example"}


def test_the_option_reaches_the_server(tiny_model: Path, tmp_path: Path):
    """`--allow-host` serves that name, and what is no name ends the start with a sentence."""
    command = [sys.executable, "-m", "tinker_local", "serve", "--base-model", str(tiny_model), "--port", "0"]
    command += ["--home", str(tmp_path), "--api-key", "tml-x", "--stop-with-stdin", "--allow-host"]
    refused = subprocess.run([*command, "[::1"], capture_output=True, text=True, input="")
    assert refused.returncode == 2
    assert "'[::1' is no name of a host" in refused.stderr
    with subprocess.Popen(
        [*command, "box.internal"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        for host, status in (("box.internal:80", 200), ("localhost", 200), ("evil.example", 403)):
            answer = httpx.get(f"{url}/api/v1/healthz", headers={"Host": host}, trust_env=False)
            assert answer.status_code == status
        assert process.stdin is not None
        process.stdin.close()
