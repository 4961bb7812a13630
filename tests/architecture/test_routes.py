"""Every route says who may use it, and routes do nothing but ask."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI

from api.app import Parts, create_app, guarded
from api.auth.permissions import ROLES, Permission
from api.auth.startup import Serving
from api.http.guard import DECLARED, Routes, UndeclaredError
from graph.errors import RingfenceError
from graph.home import Home

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "GET /v1/session/open",
    "POST /v1/session",
    "GET /v1/session/provider",
    "GET /v1/session/provider/callback",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("routes")
        patch.setenv("RINGFENCE_PEPPER_FILE", str(folder / "pepper"))
        return create_app(Serving(), Home(folder / "home"))


def test_every_route_declares_a_permission_that_some_role_has(app: FastAPI) -> None:
    held = frozenset().union(*ROLES.values())
    for place, route in guarded(app).items():
        assert route.permission in held or place in PUBLIC, place
        assert (route.permission is Permission.PUBLIC) is (place in PUBLIC), place


def test_a_route_without_a_permission_cannot_be_made() -> None:
    routes = Routes("nothing")
    with pytest.raises(UndeclaredError):
        routes.get("/nothing")(lambda: None)
    with pytest.raises(ValueError, match="everything"):
        routes.get("/nothing", openapi_extra={DECLARED: "everything"})(lambda: None)


def test_a_router_of_another_kind_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    foreign = APIRouter()
    foreign.get("/open")(lambda: None)
    with pytest.raises(TypeError, match="declares no permission"):
        guarded(create_app(Serving(), Home(tmp_path / "home"), Parts(routers=[foreign])))


def test_beyond_this_machine_nothing_is_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGFENCE_PEPPER_FILE", str(tmp_path / "pepper"))
    abroad = Serving(host="192.0.2.7")
    with pytest.raises(RingfenceError, match="it lacks TLS"):
        create_app(abroad, Home(tmp_path / "home"))


def test_routes_are_told_apart_and_lie_under_v1(app: FastAPI) -> None:
    places = list(guarded(app))
    assert len(places) == sum(len(route.methods) for route in guarded(app).values())
    outside = {place for place in places if " /v1/" not in place}
    assert outside == {"GET /healthz", "GET /readyz", "GET /metrics"}


def test_routes_hold_no_query_language() -> None:
    query = re.compile(r"\b(SELECT|MATCH|INSERT|DELETE FROM|UPDATE)\b .*\b(FROM|RETURN|INTO|SET)\b")
    for path in (ROOT / "api" / "routes").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not query.search(text), path
        assert not re.search(r"^(import|from) (duckdb|apsw|neo4j|sqlalchemy|igraph)", text, re.M), path


@pytest.mark.parametrize(
    "statement", ["import api.notebook", "import api.cli", "import api.services, api.stores"]
)
def test_the_web_framework_is_loaded_by_the_server_alone(statement: str) -> None:
    code = (
        f"import sys; {statement}; print(*[name for name in ('fastapi', 'uvicorn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
