"""Innocent reasons to share something: addresses typed, and the identifiers that are places and tie nobody."""

from __future__ import annotations

import pyarrow as pa

from detection.settings import BystanderSettings

STAGES = ("crowds", "address_traffic", "address_types", "places")
"""In order. They read `uses`, `degrees`, `shared_identifiers`, `linked_kinds`, `organizations`, `addresses_parts`,
`known_addresses` (see `detection.networks`) and `bystander_recipe`; each leaves the table of its name."""


def recipe(settings: BystanderSettings, population: int) -> pa.Table:
    """The one row of constants that the stages read; among few organizations a smaller crowd is a crowd."""
    crowd = round(
        min(settings.least_crowd, max(settings.least_crowd_of_few, settings.crowd_share * population))
    )
    return pa.table(
        {
            "least_crowd": pa.array([crowd], pa.int64()),
            "least_servers": pa.array([settings.least_servers], pa.int64()),
            "least_office": pa.array([settings.least_office], pa.int64()),
            "accompanied": pa.array([settings.accompanied], pa.float64()),
            "domain_share": pa.array([settings.domain_share], pa.float64()),
            "ages": pa.array([settings.ages_s * 1_000_000], pa.int64()),
            "one_card": pa.array([settings.one_card], pa.float64()),
            "worth": pa.array([settings.worth], pa.float64()),
            "far_beyond": pa.array([settings.far_beyond], pa.float64()),
        }
    )
