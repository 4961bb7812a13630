"""Where it may be served, and what production has to have before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from api.auth.startup import Serving, check
from api.cli import invoke
from graph.errors import RingfenceError


@pytest.fixture
def production(tmp_path: Path) -> Serving:
    for name in ("pepper", "audit", "certificate", "key", "password"):
        (tmp_path / name).write_text("x" * 32)
    return Serving(
        host="0.0.0.0",  # noqa: S104 - that is what is tested
        names=("rings.example.com",),
        certificate=tmp_path / "certificate",
        key=tmp_path / "key",
        environment={
            "RINGFENCE_ADMIN_PASSWORD_FILE": str(tmp_path / "password"),
            "RINGFENCE_PEPPER_FILE": str(tmp_path / "pepper"),
            "RINGFENCE_AUDIT_KEY_FILE": str(tmp_path / "audit"),
        },
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.9"])
def test_this_machine_needs_nothing(host: str) -> None:
    check(Serving(host=host), approvers=0)


def test_production_with_everything_starts(production: Serving) -> None:
    check(production, approvers=2)
    check(replace(production, certificate=None, key=None, proxies=("10.0.0.2",)), approvers=2)
    assert production.allowed_hosts == {"rings.example.com"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"certificate": None}, "TLS"),
        ({"key": None}, "TLS"),
        ({"names": ()}, "--allow-host"),
        ({"environment": {}}, "OIDC"),
        ({"environment": {"RINGFENCE_OIDC_ISSUER": "https://id.example"}}, "audit key"),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "rings.example.com", ""])  # noqa: S104
def test_production_without_something_is_refused(
    production: Serving, host: str, change: dict[str, object], said: str
) -> None:
    with pytest.raises(RingfenceError, match=said) as refused:
        check(replace(production, host=host, **change), approvers=2)  # type: ignore[arg-type]
    assert refused.value.exit_code == 2
    assert "\n" not in refused.value.message


def test_one_approver_is_too_few(production: Serving) -> None:
    with pytest.raises(RingfenceError, match="two approvers"):
        check(production, approvers=1)


def test_the_command_refuses_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["serve", "--host", "192.0.2.7"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("error: refusing to serve on 192.0.2.7")
    assert len(said) == 2
