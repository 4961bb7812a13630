"""The description of the API: an example for every answer, and every problem that a route may give."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from actions.refusals import Refusal
from api.auth.permissions import Permission
from api.auth.principal import COOKIE
from api.http.guard import DECLARED, ONCE, PROBLEMS
from api.http.idempotency import KEY
from api.http.problems import CODES, MEDIA_TYPE, Problem, document, of_refusal

ABOUT = "Finds rings of synthetic organizations, shows why, and acts on a whole ring at once."
PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `code` is for programs, `remedy` says what to do next.",
    "required": ["type", "title", "status", "detail", "code", "remedy"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "code", "remedy")},
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
_DETAILS = {
    "bad_request": ("the body is no strict JSON", "Send UTF-8 JSON without NaN or lone surrogates."),
    "unauthenticated": (
        "there is no valid token or session with this request",
        "Send Authorization: Bearer TOKEN.",
    ),
    "forbidden": ("your roles do not allow this", "It takes the role operator."),
    "not_found": ("cluster cl_aaaaaaaaaa is not in the run that is shown", "See /v1/clusters."),
    "invalid": ("1 field is not valid", "Correct them, then send it again."),
    "conflict": ("it cannot be done now", "Look at its state first."),
    "too_large": ("the body has more than 1048576 bytes", "Send it in parts."),
    "too_slow": ("the body came too slowly", "Send it again, faster."),
    "unsupported_media_type": ("events come as NDJSON", "Send Content-Type: application/x-ndjson."),
    "too_many_requests": ("too many requests in a short time", "Wait as long as Retry-After says."),
    "not_ready": ("no graph has been published yet", "Run 'ringfence run' first."),
    "bad_host": ("this host name is not served", "Use the address that 'ringfence serve' printed."),
    "uri_too_long": ("more than 8192 bytes", "Ask for less at once."),
    "headers_too_large": ("more than 100 headers or 32768 bytes of them", "Send fewer."),
}
_EVERYWHERE = ("bad_request", "bad_host", "uri_too_long", "headers_too_large", "too_many_requests")
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A new UUID for each request; the same again gives the same answer. Tokens have to send it.",
    "schema": {"type": "string", "pattern": KEY},
    "example": "0192f0c1-7a3e-7cc2-9d3b-5a0c6f1e2d4b",
}
_METHODS = ("get", "post", "put", "patch", "delete")


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole OpenAPI 3.1 document of an application."""
    spec = get_openapi(
        title="Ringfence",
        version=version("ringfence"),
        openapi_version="3.1.0",
        description=ABOUT,
        routes=app.routes,
    )
    components = spec.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    for operation in _operations(spec):
        _complete(operation, components["schemas"])
    return spec


def _operations(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in spec["paths"].values():
        for method in _METHODS:
            if method in path:
                yield path[method]


def _complete(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    permission = operation.get(DECLARED)
    public = permission == Permission.PUBLIC.value
    operation["security"] = [] if public else [{"token": []}, {"session": []}]
    responses = operation["responses"]
    responses.pop("422", None)  # the framework's own form of it, which is not ours
    for answer in responses.values():
        for content in answer.get("content", {}).values():
            _exemplify(content, schemas)
    for content in operation.get("requestBody", {}).get("content", {}).values():
        _exemplify(content, schemas)
    if "204" in responses:
        responses["204"].pop("content", None)
    if operation.pop(ONCE, False):
        operation.setdefault("parameters", []).append(_KEY)
        operation[PROBLEMS] = [*operation.get(PROBLEMS, ()), "key_required", "key_reused", "still_running"]
    by_status: dict[int, list[Problem]] = {}
    for code in dict.fromkeys((*_codes(operation, public), *operation.pop(PROBLEMS, ()))):
        problem = _problem(code)
        by_status.setdefault(problem.status, []).append(problem)
    for status, several in by_status.items():
        responses[str(status)] = _refused(several)


def _problem(code: str) -> Problem:
    """A problem of a code, as it may be met."""
    if code in CODES:
        return Problem(code, *_DETAILS.get(code, (CODES[code][1], "Look at its state first.")))
    return of_refusal(Refusal(code, code.replace("_", " "), "Look at its state first."))


def _refused(several: list[Problem]) -> dict[str, Any]:
    """The response of one status, with an example for each code that it may carry."""
    content: dict[str, Any] = {"schema": _ref("Problem")}
    if len(several) == 1:
        content["example"] = document(several[0])
    else:
        content["examples"] = {each.code: {"value": document(each)} for each in several}
    return {"description": several[0].title, "content": {MEDIA_TYPE: content}}


def _codes(operation: dict[str, Any], public: bool) -> Iterator[str]:
    yield from _EVERYWHERE
    parameters = operation.get("parameters", ())
    if not public:
        yield from ("unauthenticated", "forbidden")
    elif parameters:
        yield "unauthenticated"
    yield "invalid"
    if any(one["in"] == "path" for one in parameters) or any(one["name"] in "ab" for one in parameters):
        yield "not_found"
    if "requestBody" in operation:
        yield from ("too_large", "too_slow", "unsupported_media_type")
    if operation.get("tags") != ["sessions"]:
        yield "not_ready"


def _exemplify(content: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Give a body the first example of its schema, unless it has one."""
    if "example" in content or "schema" not in content:
        return
    found = _example(content["schema"], schemas)
    if found is not None:
        content["example"] = found


def _example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    schema = _resolved(schema, schemas)
    if schema.get("examples"):
        return _whole(schema["examples"][0], schema, schemas)
    items = schema.get("properties", {}).get("items")
    if items is not None:
        item = _example(items.get("items", {}), schemas)
        return {"items": [] if item is None else [item], "next": None, "total": 1}
    return None


def _whole(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """An example with its nulls, which the framework drops."""
    schema = _resolved(schema, schemas)
    if isinstance(value, list):
        return [_whole(each, schema.get("items", {}), schemas) for each in value]
    if not isinstance(value, dict):
        return value
    if "anyOf" in schema:
        return _whole(value, next((one for one in schema["anyOf"] if "$ref" in one), {}), schemas)
    properties = schema.get("properties", {})
    nulls = {name: None for name in schema.get("required", ()) if name not in value}
    return nulls | {name: _whole(each, properties.get(name, {}), schemas) for name, each in value.items()}


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    found: dict[str, Any] = schema if reference is None else schemas[reference.rpartition("/")[2]]
    return found


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
