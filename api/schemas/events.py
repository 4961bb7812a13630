"""Events and labels over the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from api.schemas.base import Answered, ExactId, Given, Words, example


class RefusedRow(Answered):
    """A row that went to quarantine: its number in the body from 1, and why."""

    row: int
    reason: str
    detail: str
    field: str | None


class EventsTaken(Answered):
    """What became of the rows: rows = stored + duplicates + quarantined + erased.

    `refused` lists the first thousand of the quarantined rows. `erased` ones are about organizations that were erased:
    they are left out.
    """

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "ingest": "20260304t120000-0a1b2c3d",
                "rows": 3,
                "stored": 1,
                "duplicates": 1,
                "quarantined": 1,
                "erased": 0,
                "refused": [
                    {"row": 3, "reason": "missing", "detail": "org_id is missing", "field": "org_id"}
                ],
            }
        )
    )
    ingest: str
    rows: int
    stored: int
    duplicates: int
    quarantined: int
    erased: int
    refused: list[RefusedRow]


class LabelGiven(Given):
    """What somebody knows about an organization."""

    org_id: ExactId
    label: Literal["abusive", "legitimate"]
    reason: Words


class LabelsGiven(Given):
    """Some labels. A token says as whom it speaks (`label_source`); a person speaks as a person."""

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "labels": [
                    {"org_id": "org_1", "label": "abusive", "reason": "Confirmed by support, case 4711."}
                ]
            }
        )
    )
    labels: Annotated[list[LabelGiven], Field(min_length=1, max_length=1_000)]
    label_source: Annotated[str | None, Field(pattern=r"^[a-z0-9_.-]{1,64}$")] = None


class LabelsRecorded(Answered):
    """That they are kept; the next run knows them."""

    model_config = ConfigDict(json_schema_extra=example({"recorded": 1, "event_ids": ["decision-0a1b"]}))
    recorded: int
    event_ids: list[str]
