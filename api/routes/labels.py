"""Labels: what people know about organizations."""

from __future__ import annotations

from api.auth.permissions import Permission
from api.decisions import LABEL, PERSON, record
from api.http.guard import Routes
from api.http.problems import Problem, of_error, of_unknown
from api.reads import Reads
from api.routes.needs import PrincipalOf, ServicesOf
from api.schemas.events import LabelsGiven, LabelsRecorded
from graph.errors import RingfenceError
from graph.lookup import organization_ref

routes = Routes("labels")


@routes.changes("/labels", Permission.ANNOTATE, status_code=201, problems=["not_found"], once=True)
def post_labels(services: ServicesOf, principal: PrincipalOf, given: LabelsGiven) -> LabelsRecorded:
    """Record labels, all of them or none. A person's word counts before any feed's, so no token speaks as one.

    That somebody labels is kept first: where it cannot be, nothing is recorded.
    """
    source = PERSON if principal.person else given.label_source
    if source is None or (source == PERSON and not principal.person):
        raise Problem(
            "invalid", "a token has to say as whom it speaks", f"Give a label_source other than {PERSON!r}."
        )
    rows = [{**label.model_dump(), "label_source": source} for label in given.labels]
    about = {"labels": len(rows), "source": source}
    organizations = [label.org_id for label in given.labels]
    services.audit.record(principal, "labelled", given.labels[0].reason, about, organizations)
    try:
        with services.intake.alone():
            events = record(services.reads.home, LABEL, rows)
    except RingfenceError as error:
        services.audit.record(principal, "labels_refused", "", about, organizations)
        failed = of_error if _known(services.reads, given) else of_unknown
        raise failed(error) from None
    return LabelsRecorded(recorded=len(events), event_ids=[event["event_id"] for event in events])


def _known(reads: Reads, given: LabelsGiven) -> bool:
    """Whether the graph has all the organizations: then it is not for want of one that labels were not kept."""
    refs = {organization_ref(label.org_id, reads.pepper) for label in given.labels}
    try:
        return len(reads.store().get_nodes(sorted(refs))) == len(refs)
    except Problem:  # no graph yet
        return False
