"""Verbs of the search centre."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from localcrm.domain import policy
from localcrm.domain.crm.alike import find_alike
from localcrm.domain.crm.entities import Customer
from localcrm.domain.finding.centre import FILES, look_up
from localcrm.domain.finding.narrowing import Narrowing, Whose
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.i18n import N_
from localcrm.store.uow import UnitOfWork

_CUSTOMER = Customer.entity_type
_Text = Annotated[str, Field(max_length=200)]


def search_everything(
    uow: UnitOfWork,
    actor: Actor,
    *,
    text: _Text,
    kind: _Text = "",
    whose: Whose = Whose.ANYBODY,
    branch_id: RecordId | None = None,
    days: Annotated[int, Field(ge=0, le=36_500)] = 0,
) -> dict[str, Any]:
    """Records of every kind, and attached files, that answer a text: {"rows": [{"entity", "id", "title", "matches": {field: text}}], "counts": {kind: hits}, "sole"}.

    ``kind``: only these rows, "file" for files · ``whose``: "mine" or "department" · ``days``: changed in so many days. ``sole``: id of the
    one record that is meant, where only one answers, or only one exactly.
    """
    narrowing = Narrowing(whose, branch_id or "", days)
    answer = look_up(uow.connection, actor, text, narrowing, kind=kind, now_ms=uow.store.clock.now_ms())
    rows = [
        {
            "entity": FILES if hit.file else hit.kind.key,
            "id": hit.record["id"],
            "title": str(hit.record.get(hit.kind.title_field) or ""),
            "matches": {match.field.key: match.text for match in hit.matches},
        }
        for hit in answer.hits
    ]
    return {"rows": rows, "counts": dict(answer.counts), "sole": None if answer.sole is None else rows[answer.sole]["id"]}


def is_told_of_others(actor: Actor) -> bool:
    """Whether an actor is one who is told, while he enters a customer, that it is there already with somebody else."""
    may = all(policy.may(actor, f"customer.{action}") for action in ("read", "create"))
    return may and not actor.watched_by and policy.view(actor, _CUSTOMER).rows is not None


def search_beyond(uow: UnitOfWork, actor: Actor, *, text: _Text) -> dict[str, Any]:
    """Customers beyond an actor's rights that are called exactly so: {"rows": [{"reason": field, "owner", "branch"}], "braked"}.

    It is the question that is asked while a customer is entered, under its rules (``crm.alike``): whole names, telephone and tax numbers
    only, noted in the system log, and of no more than some within an hour.
    """
    if not is_told_of_others(actor):
        return {"rows": [], "braked": False}
    found = find_alike(uow, actor, values=dict.fromkeys(("name", "phone", "tax_no"), text))
    rows = [{"reason": row["reasons"][0], "owner": row["owner"], "branch": row["branch"]} for row in found["rows"] if row.get("masked")]
    return {"rows": rows, "braked": found["braked"]}


VERBS = (
    Verb(search_everything, N_("Search everything")),
    Verb(search_beyond, N_("Ask whether a customer is there with somebody else"), "customer.create"),
)
BEHAVIOURS: Mapping[str, Behaviour] = {}
