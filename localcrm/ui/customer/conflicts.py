"""Tab: what work done apart left to decide about the customer, and about those that were merged into it, while nobody has looked at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.admin.conflicts import CONFLICT, find_items
from localcrm.domain.admin.entities import ConflictKind
from localcrm.domain.crm.entities import Customer
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.store.connection import Connection
from localcrm.store.merged import ids_of
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.ui.conflict_words import Side, Teller, Told
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.kit.binned import bin_notice

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type
_MOST = 50


def _where(connection: Connection, identity: str) -> tuple[Condition, ...]:
    return (Condition("record", "in", ids_of(connection, CUSTOMER, identity)), Condition("state", "=", "open"))


def open_conflicts(session: Session, connection: Connection, identity: str) -> list[Told]:
    """Those that nobody has looked at, up to fifty, as far as this user may see them."""
    if not session.may("conflict.read"):
        return []
    _total, items = find_items(connection, session.actor, _where(connection, identity), limit=_MOST)
    return list(Teller(connection, session.actor, items))


def count_open(session: Session, connection: Connection, identity: str) -> int:
    """How many nobody has looked at, up to fifty."""
    query = ListQuery(CONFLICT, where=_where(connection, identity), limit=_MOST, restrict=policy.view(session.actor, CONFLICT))
    return len(select(connection, query, count=False).rows)


def of_deletion(found: Sequence[Told]) -> list[Told]:
    """Those about whether the customer is in the recycle bin."""
    return [one for one in found if one.item.conflict.get("field") == "deleted"]


def deleted_notice(session: Session, customer: Record, who: str, found: Sequence[Told]) -> None:
    """That a customer is in the recycle bin, with what is left to decide about that; nothing where ``who`` is empty."""
    also = in_short(of_deletion(found))
    settle = f"/conflicts?record={customer['id']}" if also else ""
    bin_notice(session, CUSTOMER, str(customer["id"]), str(customer["name"]), who, also=also, settle=settle)


def disputed_fields(found: Sequence[Told], identity: str) -> set[str]:
    """Fields of the customer itself that wait for a decision."""
    named = {str(one.item.conflict.get("field")) for one in found if one.item.conflict.get("record") == identity}
    return CUSTOMER.fields.keys() & named


def in_short(found: Sequence[Told]) -> str:
    """In one line: what was changed at which places, and what else waits for a decision."""
    heads: dict[str, list[str]] = {}
    for one in found:
        named = heads.setdefault(_head(one), [])
        if one.label and one.label not in named:
            named.append(one.label)
    parts = [
        _("{label}: {value}").format(label=head, value=gettext(N_(", ")).join(named)) if named else head for head, named in heads.items()
    ]
    return gettext(N_("; ")).join(parts)


def _head(one: Told) -> str:
    if one.item.kind == ConflictKind.OVERWRITTEN and len(one.places) > 1:
        first, second = sorted(one.places)
        return _("{first} and {second} both changed").format(first=first, second=second)
    if one.item.kind == ConflictKind.DELETED_EDITED and one.edits and one.lost.who and one.item.now == "true":
        return _("{who} had changed it ({edits}).").format(who=one.lost.who, edits=one.edits)
    return one.reason


def _draw(_bench: Workbench, found: Sequence[Told]) -> None:
    for one in found:
        with ui.element("div").classes("lc-told").mark("told").props("data-act=told"):
            with ui.element("div").classes("lc-row lc-wrap-row"):
                if one.label:
                    ui.label(one.label).classes("lc-chip")
                ui.label(one.reason).classes("lc-muted grow")
                with ui.element("a").props(f'href="/conflicts?record={one.item.conflict["record"]}"').mark("to-conflicts"):
                    ui.label(_("Settle under Conflicts"))
            if one.happened:
                ui.label(one.happened).classes("lc-wrap")
                ui.label(one.next_step).classes("lc-muted lc-wrap")
            else:
                _side(_("Value kept"), one.kept, one.kept_text)
                _side(_("Value overwritten"), one.lost, one.lost_text)


def _side(head: str, side: Side, text: str) -> None:
    with ui.element("div").classes("lc-row lc-wrap-row"):
        ui.label(head).classes("lc-muted lc-small-text")
        ui.label(text).classes("lc-strong lc-wrap")
        ui.label(" · ".join(filter(None, [side.who, side.at]))).classes("lc-muted lc-small-text")


CONFLICTS = Tab(
    id="conflicts",
    label_msgid=N_("Conflicts"),
    permission="conflict.read",
    count=count_open,
    read=open_conflicts,
    draw=_draw,
    shows=frozenset({"conflict"}),
    only_if_any=True,
)
