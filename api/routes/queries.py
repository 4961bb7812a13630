"""The investigators' named queries; a query of one's own is not asked over the network."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path

from api.answers.queries import run_named
from api.auth.permissions import Permission
from api.http.guard import Routes
from api.http.problems import Problem, not_found
from api.routes.needs import MaskOf, ReadsOf
from api.schemas.base import Page
from api.schemas.runs import ColumnOf, ParameterOf, QueryAnswer, QueryOf, QueryRequest
from queries import named

routes = Routes("queries")
TIMEOUT_S = 10.0
MOST_ROWS = 10_000
Name = Annotated[
    str, Path(pattern=r"^[a-z0-9_]{1,80}$", description="A query's name.", examples=["members_of_cluster"])
]


@routes.reads("/queries")
def list_queries() -> Page[QueryOf]:
    """Every named query with its parameters and columns."""
    items = [_described(one) for one in named.catalogue()]
    return Page(items=items, total=len(items))


@routes.reads("/queries/{name}")
def get_query(name: Name) -> QueryOf:
    """One named query."""
    return _described(_known(name))


@routes.changes("/queries/{name}/run", Permission.READ)
def run_query(reads: ReadsOf, mask: MaskOf, name: Name, asked: QueryRequest) -> QueryAnswer:
    """The rows of a named query, at most as many as its `limit` says; identifiers in them are masked."""
    query = _known(name)
    try:
        limit = query.bind(asked.parameters)[named.LIMIT]
    except named.QueryError as error:
        raise Problem("invalid", error.message, error.hint) from None
    if not isinstance(limit, int) or limit > MOST_ROWS:
        raise Problem("invalid", f"limit is more than {MOST_ROWS}", "Ask for fewer, or use an export.")
    found = run_named(reads.store(), name, asked.parameters, timeout_s=TIMEOUT_S)
    rows = [
        [_plain(mask.cell(column, value)) for column, value in zip(found.columns, row, strict=True)]
        for row in found.rows
    ]
    return QueryAnswer(run_id=reads.run_id(), columns=list(found.columns), rows=rows, cut=found.cut)


def _known(name: str) -> named.NamedQuery:
    try:
        return named.load(name)
    except named.QueryError:
        raise not_found(f"query {name}", "See /v1/queries.") from None


def _described(query: named.NamedQuery) -> QueryOf:
    parameters = [
        ParameterOf(
            name=one.name,
            type=one.type.value,
            meaning=one.meaning,
            required=one.required,
            default=_plain(one.default),
            range=one.range,
        )
        for one in query.parameters
    ]
    columns = [ColumnOf(name=one.name, type=one.type.value, meaning=one.meaning) for one in query.columns]
    return QueryOf(
        name=query.name,
        title=query.title,
        purpose=query.purpose,
        parameters=parameters,
        columns=columns,
        example=dict(query.example),
    )


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
