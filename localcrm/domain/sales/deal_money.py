"""What a deal comes to: the papers of it that count, what it cost, and what is left of its amount.

Cost follows from what hangs on the deal: expenses, what was paid for tasks, and hours at what one costs. Nothing of it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from localcrm.domain import policy
from localcrm.domain.crm.entities import Opportunity, ProjectTask
from localcrm.domain.finance.approval import counted
from localcrm.domain.finance.entities import Expense
from localcrm.domain.policy import Actor
from localcrm.domain.records import no_such_record
from localcrm.domain.sales.entities import Contract, ContractStatus, OrderStatus, Quote, QuoteStatus, SalesOrder
from localcrm.kernel.money import MONEY_SCALE, round_to
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, select

_DEAL, _TASK, _EXPENSE = Opportunity.entity_type, ProjectTask.entity_type, Expense.entity_type
#: Papers of a deal: which field of each says what it comes to, and in which states it counts.
PAPERS: Mapping[EntityType, tuple[str, frozenset[str]]] = {
    Quote.entity_type: ("amount", frozenset({QuoteStatus.ACCEPTED.value})),
    Contract.entity_type: ("amount", frozenset({ContractStatus.SIGNED.value, ContractStatus.FULFILLED.value})),
    SalesOrder.entity_type: ("gross", frozenset({OrderStatus.POSTED.value})),
}
#: What a deal costs, by name: the kind of record, and the fields whose product is the cost.
COSTS: Mapping[str, tuple[EntityType, tuple[str, ...]]] = {
    "expenses": (_EXPENSE, ("amount",)),
    "tasks": (_TASK, ("cost",)),
    "hours": (_TASK, ("hours", "hour_cost")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DealMoney:
    """Sums as far as the actor may see what they are made of; a name is missing where he may not.

    papers: by key of the kind, what counts of them · costs: by name as in ``COSTS`` · amount: what the deal is worth; None: not to be seen ·
    partly: there may be records that the actor does not see.
    """

    papers: Mapping[str, Decimal]
    costs: Mapping[str, Decimal]
    amount: Decimal | None
    partly: bool

    @property
    def cost(self) -> Decimal | None:
        """All of the cost; None where a part of it is not to be seen."""
        return sum(self.costs.values(), Decimal(0)) if self.costs.keys() == COSTS.keys() else None

    @property
    def margin(self) -> Decimal | None:
        """What is left of the amount; None where cost or amount are not to be seen."""
        return None if self.cost is None or self.amount is None else self.amount - self.cost

    @property
    def percent(self) -> Decimal | None:
        """The margin in percent of the amount, with one place; None without an amount."""
        return round_to(self.margin * 100 / self.amount, 1) if self.margin is not None and self.amount else None


def deal_money(connection: Connection, actor: Actor, opportunity_id: str) -> DealMoney:
    """The sums of a deal; raises NotFound where it may not be seen."""
    view = policy.view(actor, _DEAL)
    found = select(connection, ListQuery(_DEAL, where=(Condition("id", "=", opportunity_id),), limit=1, restrict=view), count=False).rows
    if not found:
        raise no_such_record(_DEAL)
    amount = found[0].get("amount")
    papers = {
        kind.key: sum_of(connection, actor, kind, "opportunity_id", opportunity_id, (key,), states)
        for kind, (key, states) in PAPERS.items()
    }
    costs = {name: sum_of(connection, actor, kind, "opportunity_id", opportunity_id, factors) for name, (kind, factors) in COSTS.items()}
    views = [policy.seen(actor, kind) for kind in (*PAPERS, _EXPENSE, _TASK)]
    return DealMoney(
        papers={key: value for key, value in papers.items() if value is not None},
        costs={name: value for name, value in costs.items() if value is not None},
        amount=amount if isinstance(amount, Decimal) else None,
        partly=any(seen is not None and seen.rows is not None for seen in views),
    )


def sum_of(
    connection: Connection,
    actor: Actor,
    kind: EntityType,
    by: str,
    identity: str,
    factors: tuple[str, ...],
    states: frozenset[str] = frozenset(),
) -> Decimal | None:
    """The sum over a kind's records that name a deal, or another record, in ``by`` of the product of some fields, each record rounded; None
    where one of them may not be read.

    Expenses that a flow asks about count once they were approved.
    """
    seen = policy.seen(actor, kind)
    if seen is None or not all(map(seen.shows, (*factors, by, *(["status"] if states else [])))):
        return None
    condition, params = seen.condition("d")
    # The plus keeps the index of the state out of it: few records hang on one deal, many are accepted.
    counts = f"AND +d.status IN ({','.join('?' * len(states))})" if states else ""
    rows = connection.all(
        f"""SELECT d.id, {", ".join(f'd."{key}"' for key in factors)} FROM "{kind.key}" d
            WHERE d."{by}" = ? AND d.deleted = 0 {counts} AND {condition}""",
        [bytes.fromhex(identity), *sorted(states), *params],
    )
    among = counted(connection, [row[0].hex() for row in rows]) if kind is _EXPENSE else None
    total = Decimal(0)
    for one, *row in rows:
        if among is not None and one.hex() not in among:
            continue
        product = Decimal(1)
        for key, stored in zip(factors, row, strict=True):
            product *= kind.fields[key].load(stored) or 0
        total += round_to(product, MONEY_SCALE)
    return total
