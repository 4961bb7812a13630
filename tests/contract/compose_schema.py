"""The part of the Compose Specification that docker/compose.yaml uses, as a JSON schema: whatever else is refused.

Written from the specification's text (compose-spec, `05-services.md`, `06-networks.md`, `09-secrets.md`): a key
that is misspelled, or that means something else there, is found without an engine.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

DURATION: Schema = {"type": "string", "pattern": r"^(\d+(\.\d+)?(us|ms|s|m|h))+$"}
WORDS: Schema = {"type": "array", "items": {"type": "string"}, "minItems": 1}
COMMAND: Schema = {"anyOf": [{"type": "string"}, WORDS]}
STRINGS: Schema = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}


def _closed(properties: Schema, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


HEALTHCHECK = _closed(
    {
        "disable": {"type": "boolean"},
        "test": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "array",
                    "prefixItems": [{"enum": ["CMD", "CMD-SHELL", "NONE"]}],
                    "items": {"type": "string"},
                    "minItems": 1,
                },
            ]
        },
        "interval": DURATION,
        "timeout": DURATION,
        "start_period": DURATION,
        "retries": {"type": "integer", "minimum": 1},
    }
)
DEPENDS_ON: Schema = {
    "type": "object",
    "additionalProperties": _closed(
        {
            "condition": {"enum": ["service_started", "service_healthy", "service_completed_successfully"]},
            "restart": {"type": "boolean"},
            "required": {"type": "boolean"},
        },
        required=["condition"],
    ),
}
SERVICE = _closed(
    {
        "image": {"type": "string"},
        "build": _closed({"context": {"type": "string"}, "dockerfile": {"type": "string"}}),
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "read_only": {"type": "boolean"},
        "tmpfs": {"anyOf": [{"type": "string"}, STRINGS]},
        "cap_drop": STRINGS,
        "security_opt": STRINGS,
        "environment": {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
        "secrets": STRINGS,
        "volumes": STRINGS,
        "ports": STRINGS,
        "command": COMMAND,
        "depends_on": DEPENDS_ON,
        "healthcheck": HEALTHCHECK,
        "stop_grace_period": DURATION,
    },
    anyOf=[{"required": ["image"]}, {"required": ["build"]}],
)
COMPOSE = _closed(
    {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": {
            "type": "object",
            "patternProperties": {"^[a-zA-Z0-9._-]+$": SERVICE},
            "additionalProperties": False,
        },
        "secrets": {
            "type": "object",
            "additionalProperties": _closed({"file": {"type": "string"}}, required=["file"]),
        },
        "volumes": {"type": "object", "additionalProperties": {"type": ["object", "null"]}},
    },
    patternProperties={"^x-": {}},
    required=["services"],
)
