"""Webhooks set over HTTP and by command: by admins, to allowed hosts, with a secret that is shown once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_server import Served, peppered, serve

from api.cli import invoke

URL = "https://hooks.example.com/ringfence"
SETTINGS = '[actions]\nwebhook_hosts = ["hooks.example.com", "elsewhere.example.com"]\n'


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    home = tmp_path / "home"
    home.mkdir()
    (home / "ringfence.toml").write_text(SETTINGS)
    with peppered(home), serve(home) as found:
        yield found


def test_the_life_of_a_webhook(served: Served) -> None:
    with served.person("root", "admin") as admin:
        made = admin.post("/v1/webhooks", json={"name": "edge", "url": URL})
        assert made.status_code == 201
        secret = made.json()["secret"]
        assert secret.startswith("whsec_")
        listed = admin.get("/v1/webhooks")
        assert [each["sink"] for each in listed.json()["items"]] == ["webhook:edge"]
        assert secret not in listed.text + served.log.getvalue()
        rotated = admin.post("/v1/webhooks/edge/rotate", json={"reason": "every quarter"})
        assert rotated.json()["secret"] != secret
        off = admin.post("/v1/webhooks/edge/disable", json={"reason": "it leaks"}).json()
        assert (off["disabled_why"], off["disabled_at"] is None) == ("it leaks", False)
        assert admin.post("/v1/webhooks/edge/disable", json={"reason": "x"}).status_code == 409
        on = admin.post("/v1/webhooks/edge/enable", json={"reason": "mended"}).json()
        assert on["disabled_at"] is None
        moved = admin.post("/v1/webhooks", json={"name": "edge", "url": "https://elsewhere.example.com/x"})
        assert moved.json()["secret"] not in (secret, rotated.json()["secret"])
    with served.person("ada", "operator") as operator:
        assert operator.get("/v1/webhooks").status_code == 403


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x",
        "https://hooks.example.com@evil.example/",
        "https://evil.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "https://0x7f000001/",
        "https://hooks.example.com:22/",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
def test_urls_that_lead_elsewhere_are_refused(served: Served, url: str) -> None:
    with served.person("root", "admin") as admin:
        answer = admin.post("/v1/webhooks", json={"name": "edge", "url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_url")
        assert admin.get("/v1/webhooks").json()["items"] == []


def test_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "ringfence.toml").write_text(SETTINGS)
    at = ["--home", str(home), "--json"]
    with peppered(home):
        assert invoke(["webhooks", "put", "edge", URL, "--reason", "the edge", *at]) == 0
        assert json.loads(capsys.readouterr().out)["secret"].startswith("whsec_")
        assert invoke(["webhooks", "list", *at]) == 0
        assert json.loads(capsys.readouterr().out)["webhooks"][0]["url"] == URL
        assert invoke(["webhooks", "disable", "edge", "--reason", "x", *at]) == 0
        assert invoke(["webhooks", "enable", "edge", "--reason", "x", *at]) == 0
        assert invoke(["webhooks", "put", "edge", "https://evil.example/", "--reason", "x", *at]) == 2
