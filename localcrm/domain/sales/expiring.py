"""Quotes and contracts that are about to run out: occasions to speak to the customer before they do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from localcrm.domain.crm.entities import Customer
from localcrm.domain.crm.reminders import MOST, Ask, Reminding, before, morning
from localcrm.domain.options.company import company_days
from localcrm.domain.sales.entities import Contract, ContractStatus, Quote, QuoteStatus
from localcrm.kernel.schema import EntityType

_CUSTOMER = Customer.entity_type


def quotes(ask: Ask) -> Iterator[Reminding]:
    """Quotes of the user's own that were sent and hold for some days more; until the day they end."""
    yield from _ending(ask, Quote.entity_type, "quote", "valid_until", QuoteStatus.SENT, "quote_days")


def contracts(ask: Ask) -> Iterator[Reminding]:
    """Signed contracts of the user's own that end, some days before, once or several times."""
    yield from _ending(ask, Contract.entity_type, "contract", "ends_on", ContractStatus.SIGNED, "contract_days")


def _ending(ask: Ask, kind: EntityType, occasion: str, until: str, status: str, option: str) -> Iterator[Reminding]:
    numbers = company_days(ask.connection, ask.node, option)
    customers, seen = ask.view(_CUSTOMER, "name"), ask.view(kind, until, "status", "customer_id", "owner_id", "title")
    if not numbers or seen is None:
        return
    first, last = ask.now.astimezone().date(), ask.until.astimezone().date() + dt.timedelta(days=max(numbers))
    condition, params = seen.condition("d")
    rows = ask.connection.all(
        f"""SELECT d.id, d."{until}", d.title, customer.id, customer.name FROM "{kind.key}" d INDEXED BY "{kind.key}__{until}"
            CROSS JOIN customer ON customer.id = d.customer_id
            WHERE d.deleted = 0 AND d."{until}" >= ? AND d."{until}" <= ? AND d.status = ? AND d.owner_id = ? AND {condition}
            ORDER BY +d."{until}" LIMIT {MOST}""",
        [first.isoformat(), last.isoformat(), str(status), ask.user, *params],
    )
    for identity, day_text, title, customer, name in rows:
        day = dt.date.fromisoformat(day_text)
        if found := before(ask, day, numbers):
            due, mark = found
            yield Reminding(
                key=f"{occasion}:{identity.hex()}:{day_text}{mark}",
                kind=occasion,
                due=due,
                at=morning(day),
                title=name if customers is not None else "",
                text=title,
                customer=customer.hex(),
            )
