"""Channel partners, the tiers of their rebates, and giving them what is due for a month."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from localcrm.domain import policy
from localcrm.domain.numbering import next_number
from localcrm.domain.partners import deposits, figures, rebate_credit, registrations, sales, stock, targets
from localcrm.domain.partners.entities import RebateBasis, RebateWay
from localcrm.domain.partners.figures import PARTNER, SETTLED, TIER
from localcrm.domain.partners.rules import first_day, month_of, months_until, period_of, periods_at
from localcrm.domain.policy import Actor
from localcrm.domain.records import Behaviour
from localcrm.domain.spans import check_span
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import Forbidden, InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.money import MONEY_SCALE, parse_decimal, round_to
from localcrm.store.query import Record, record_json
from localcrm.store.uow import UnitOfWork

_NOTHING = Decimal("0.00")


def prepare_partner(uow: UnitOfWork, actor: Actor, values: dict[str, Any], old: Record | None) -> dict[str, Any]:
    """A new partner gets a number, and belongs to whoever enters him and to the branch where that happens."""
    if old is not None:
        return values
    filled = {**values, "number": values.get("number") or next_number(uow, PARTNER, uow.today)}
    filled.setdefault("owner_id", actor.user_id)
    filled.setdefault("branch_id", uow.node.branch_id)
    return filled


def check_partner(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """His agreement ends after it began, and whose orders he paid with his credit stays his customer."""
    check_span(PARTNER, new, "starts_on", "ends_on")
    rebate_credit.check_customer(uow, new, old)


def check_tier(uow: UnitOfWork, actor: Actor, new: dict[str, Any], old: Record | None) -> None:  # noqa: ARG001
    """A tier is of one partner or of a level, and there is one from an amount on."""
    if (new["partner_id"] is None) == (not new["level"]):
        raise InvalidInput("partner_or_level", N_("Choose a partner or a level, one of them."), field="level")
    check_span(TIER, new, "starts_on", "ends_on")
    whose = {"partner_id": new["partner_id"], "level": new["level"]}
    for other in uow.where(TIER, **{key: value for key, value in whose.items() if value}):
        if other["id"] != (old or {}).get("id") and other["from_amount"] == new["from_amount"] and _overlap(other, new):
            raise InvalidInput("tier_there_already", N_("There is already a tier from this amount on."), field="from_amount")


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(
        first["starts_on"] is None or second["ends_on"] is None or first["starts_on"] <= second["ends_on"]
        for first, second in ((one, other), (other, one))
    )


def list_rebates(uow: UnitOfWork, actor: Actor, *, months: int = 12) -> dict[str, Any]:
    """Rebates of the last months, this one among them: {"rows": [{partner_id, month, basis, percent, amount, settled, open}], "whole"}.

    whole: whether the actor sees every order and receipt; otherwise it is reckoned on those he sees.
    """
    if not figures.sees_rebates(actor):
        return {"rows": [], "whole": False}
    found = figures.accrued(uow.connection, actor, months_until(uow.today, min(max(months, 1), 60)))
    return {"rows": [_row(one) for one in found], "whole": figures.sees_all(actor)}


def _row(one: figures.Accrued) -> dict[str, Any]:
    amounts = {"basis": one.basis, "percent": one.percent, "amount": one.amount, "settled": one.settled, "open": one.open}
    return {"partner_id": one.partner_id, "month": one.month, **amounts}


def list_ranking(uow: UnitOfWork, actor: Actor) -> dict[str, Any]:
    """Partners by what their customers ordered in the last twelve months: {"rows": [{partner_id, customers, ordered, received}], "whole"}."""
    found = figures.ranking(uow.connection, actor, uow.today)
    rows = [
        {"partner_id": one.partner_id, "customers": one.customers, "ordered": one.sums.ordered, "received": one.sums.received}
        for one in found
    ]
    return {"rows": rows, "whole": figures.sees_all(actor)}


def list_targets(uow: UnitOfWork, actor: Actor, *, period: str | None = None) -> dict[str, Any]:
    """Targets of a year or quarter, else those of today's, the best first: {"rows": [{partner_id, period, target, reached, percent}], "whole"}."""
    wanted = [period_of(period) or period] if period else periods_at(uow.today)
    found = sorted(targets.reached(uow.connection, actor, periods=wanted), key=lambda one: (-one.percent, one.partner_id))
    rows = [
        {"partner_id": one.partner_id, "period": one.period, "target": one.target, "reached": one.reached, "percent": one.percent}
        for one in found
    ]
    return {"rows": rows, "whole": figures.sees_all(actor)}


def settle_rebate(
    uow: UnitOfWork,
    actor: Actor,
    *,
    partner_id: RecordId,
    month: str,
    amount: str | None = None,
    way: str | None = None,
    remark: str | None = None,
) -> dict[str, Any]:
    """Note that a partner was given his rebate of a month (2026-11): all that is open, or ``amount``; a negative one takes back. Returns the settlement.

    At head office alone, which knows the orders of every branch. Raises Refused for more than is open, or for a month that still runs.
    """
    policy.require(actor, f"{SETTLED.key}.create")
    if not uow.node.is_office:
        raise Refused("office_settles", N_("Rebates are settled at head office, which knows the orders of every branch."))
    policy.require_record(uow.connection, actor, PARTNER, partner_id, "read")
    partner, start = uow.get(PARTNER, partner_id), first_day(month)
    by_goods = partner["rebate_on"] == RebateBasis.SHIPPED
    if not figures.sees_all(actor) or not figures.sees_rebates(actor) or (by_goods and not figures.sees_shipped(actor)):
        raise Forbidden("sees_part", N_("You do not see all orders and receipts, so you cannot settle rebates."))
    if start is None:
        raise InvalidInput("bad_month", N_("Write a month as 2026-11."), field="month")
    if month >= month_of(uow.today):
        raise Refused("month_runs", N_("{month} is not over yet."), month=month)
    due = next((one for one in figures.accrued(uow.connection, actor, [month], partner_id)), None)
    given = sum((row["amount"] for row in uow.where(SETTLED, partner_id=partner_id, month=month)), _NOTHING)
    earned = due.amount if due else _NOTHING
    what = earned - given if amount is None else round_to(parse_decimal(amount), MONEY_SCALE)
    if what == 0 or (what > 0 and given + what > earned) or (what < 0 and given + what < 0):
        raise Refused(
            "rebate_settled",
            N_("The rebate of “{partner}” for {month} is {earned}, {given} has been given. Nothing was entered."),
            partner=partner["name"],
            month=month,
            earned=f"{earned:,.2f}",
            given=f"{given:,.2f}",
        )
    values = {"partner_id": partner_id, "month": month, "amount": what, "way": way or RebateWay.CREDIT, "remark": remark}
    values |= {"basis": due.basis if due else _NOTHING, "percent": due.percent if due else Decimal(0)}
    values |= {"date": uow.today, "user_id": actor.user_id, "branch_id": uow.node.branch_id}
    return record_json(SETTLED, uow.get(SETTLED, uow.insert(SETTLED, SETTLED.validate(values))))


BEHAVIOURS = {
    **registrations.BEHAVIOURS,
    **targets.BEHAVIOURS,
    **deposits.BEHAVIOURS,
    **stock.BEHAVIOURS,
    **sales.BEHAVIOURS,
    "partner": Behaviour(prepare=prepare_partner, check=check_partner, derive=targets.derive_partner),
    "rebate_tier": Behaviour(check=check_tier, distinct=("from_amount",)),
}
VERBS = (
    *registrations.VERBS,
    *deposits.VERBS,
    Verb(list_targets, N_("List targets of channel partners"), "partner.read"),
    Verb(list_ranking, N_("Rank channel partners"), "partner.read"),
    Verb(list_rebates, N_("List rebates"), "rebate_settlement.read"),
    Verb(settle_rebate, N_("Settle a rebate")),
)
