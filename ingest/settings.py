"""What ingest lets its user choose, with the limits it sets and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field


class IngestSettings(BaseModel):
    """Frozen and picklable: every worker process gets a copy.

    Lengths are in characters. Identifiers may be long (tokens, signed device attestations); descriptive text may
    not. Times are UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str = Field(
        "USD", pattern="^[A-Z]{3}$", description="Currency of money in rows that name none."
    )
    earliest: datetime = Field(datetime(2000, 1, 1, tzinfo=UTC), description="Older rows are quarantined.")
    future: timedelta = Field(timedelta(hours=24), description="How far after arrival a row may be dated.")
    max_identifier: int = Field(65_536, ge=1, description="Longest identifier; longer is `too_long`.")
    max_text: int = Field(4_096, ge=1, description="Longest descriptive text; longer is `too_long`.")
    phone_region: str | None = Field(
        None, pattern="^[A-Z]{2}$", description="Country of phone numbers written without a country code."
    )
    workers: int = Field(2, ge=0, le=64, description="Worker processes; 0 does everything in this one.")
    lock_timeout: timedelta = Field(
        timedelta(hours=1), description="How long to wait for another ingest into the same home."
    )
