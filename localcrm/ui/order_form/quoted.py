"""What the form shows of a quote beyond its lines: what became of it, how fresh its prices are, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from localcrm.domain import policy
from localcrm.domain.sales.entities import Quote, QuoteStatus, SalesOrder
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import gettext, gettext as _
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.ui.kit.values import TONES, grouped
from localcrm.ui.order_form.approving import approval_of

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

QUOTE, ORDER = Quote.entity_type, SalesOrder.entity_type
NOTHING_ASKED: Mapping[str, Any] = {"waiting": False, "needed": False, "chips": []}
#: An exchange that is younger says nothing new about prices.
LATELY = timedelta(days=1)


def of_quote(connection: Connection, session: Session, quote: Record) -> dict[str, Any]:
    """State, chips and deeds of a quote, and the order it became."""
    state = str(quote.get("status") or "")
    ordered = _order_of(connection, session, quote["id"])
    chips = (
        [] if quote.get("version_no") in {None, 1} else [{"label": _("Version {number}").format(number=quote["version_no"]), "tone": ""}]
    )
    draft = state == QuoteStatus.DRAFT and not quote["deleted"]
    approval = approval_of(connection, QUOTE, quote["id"]) if draft else NOTHING_ASKED
    return {
        "waiting": approval["waiting"],
        "submit": approval["needed"],
        "state": {"key": state, "label": gettext(QuoteStatus(state).label) if state else "—", "tone": TONES.get(state, "")},
        "progress": [*chips, *fresh_chips(connection, session), *approval["chips"]],
        "ordered": ordered,
        "deeds": []
        if quote["deleted"]
        else _deeds(session, state, quote, ordered, agreed=not approval["waiting"] and not approval["needed"]),
        "receipts": [],
    }


def fresh_chips(connection: Connection, session: Session) -> list[dict[str, str]]:
    """A chip that says how old prices and stock of the others are, where that is longer than lately."""
    as_of = fresh_as_of(connection, session.store.node)
    text = _("Prices and stock as of the exchange of {day}").format(day=f"{as_of.astimezone():%m-%d}") if as_of else ""
    return [{"label": text, "tone": "warn"}] if text else []


def fresh_as_of(connection: Connection, node: Node) -> datetime | None:
    """When prices and stock of the others last came to this branch; None at head office, and where that was only just now."""
    if node.is_office or not node.enrolled:
        return None
    last = connection.value("SELECT max(last_ok) FROM sync_peer")
    if last is None:
        return None
    moment = datetime.fromtimestamp(last / 1000, UTC)
    return None if now_utc() - moment < LATELY else moment


def mark_changed(rows: Sequence[dict[str, Any]], lines: Sequence[Record], products: Mapping[str, Record]) -> None:
    """Mark rows whose product costs something else than when the price was entered, as far as the user may see both."""
    for row, line in zip(rows, lines, strict=True):
        then, now = line.get("list_price"), products.get(line["product_id"], {}).get("price")
        if isinstance(then, Decimal) and isinstance(now, Decimal) and then != now:
            row["mark"] = _("List price was {then}, is now {now}").format(then=grouped(then, "price"), now=grouped(now, "price"))


def _order_of(connection: Connection, session: Session, quote_id: str) -> dict[str, str] | None:
    """The newest order that was made of a quote, where the user may see it."""
    seen = policy.seen(session.actor, ORDER)
    if seen is None or not seen.shows("quote_id"):
        return None
    query = ListQuery(ORDER, where=(Condition("quote_id", "=", quote_id),), limit=1, restrict=seen)
    rows = select(connection, query, count=False).rows
    return {"id": rows[0]["id"], "number": rows[0].get("number") or _("draft")} if rows else None


def _deeds(session: Session, state: str, quote: Record, ordered: Mapping[str, str] | None, *, agreed: bool) -> list[dict[str, str]]:
    """What can be done with a quote in this state: id of the action, its words, and how the button looks."""
    update, create = session.may("quote.update"), session.may("quote.create")
    open_ = agreed and state in {QuoteStatus.DRAFT, QuoteStatus.SENT}
    found = [
        ("edit", _("Details and files…"), "", update),
        ("compare", _("Versions side by side…"), "", bool(quote.get("replaces_id")) or state == QuoteStatus.REPLACED),
        ("version", _("New version"), "", create and update and state not in {QuoteStatus.ACCEPTED, QuoteStatus.REPLACED}),
        ("turned-down", _("The customer declines"), "", update and state == QuoteStatus.SENT),
        ("sent", _("Sent to the customer"), "primary", update and open_ and state == QuoteStatus.DRAFT),
        ("accepted", _("The customer accepts"), "primary" if state == QuoteStatus.SENT else "", update and open_),
        ("order", _("Make a sales order"), "primary", session.may("sales_order.create") and state == QuoteStatus.ACCEPTED and not ordered),
    ]
    return [{"id": key, "label": label, "look": look} for key, label, look, fits in found if fits]
