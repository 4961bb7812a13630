"""Tables of how people work through clusters: cases with their notes, and the views that they saved."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from actions.ledger.tables import Json, Moment, metadata

cases = Table(
    "cases",
    metadata,
    Column("case_id", Text, primary_key=True),
    Column("cluster_id", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("assignee", Text),
    Column("snoozed_until", Moment),
    Column("version", Integer, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Index(None, "state"),
    Index(None, "assignee"),
)
"""One case a cluster, for good; `version` rises with each change."""

case_notes = Table(
    "case_notes",
    metadata,
    Column("note_id", Text, primary_key=True),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("author", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("text", Text, nullable=False),
    Index(None, "case_id"),
)

views = Table(
    "views",
    metadata,
    Column("view_id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("filters", Json, nullable=False),
    Column("saved_at", Moment, nullable=False),
    UniqueConstraint("owner", "name"),
    Index(None, "shared"),
)
"""Filters of a list, under a name of their owner's."""
