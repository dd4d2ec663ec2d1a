"""Tab: with whom the customer is shared, how far and until when, and where that is not known yet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.crm.entities import Customer
from localcrm.domain.people.shared_with import SharedWith, shares_of
from localcrm.domain.roles import ShareLevel
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.store.connection import Connection
from localcrm.ui.customer.custody import present
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.sharing import share_dialog, shared_words
from localcrm.ui.kit.values import ago, near_day, near_moment
from localcrm.ui.operations import run_verb

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type


def _read(session: Session, connection: Connection, identity: str) -> list[SharedWith]:
    today = present(session).astimezone().date()
    return shares_of(connection, session.store.node, session.actor, CUSTOMER, identity, today=today)


def _count(session: Session, connection: Connection, identity: str) -> int:
    return sum(not one.ended and not one.over for one in _read(session, connection, identity))


def _draw(bench: Workbench, shares: list[SharedWith]) -> None:
    session = bench.session
    may_share = session.may("customer.share")
    if not shares:
        with ui.element("div").classes("lc-empty"):
            ui.label(_("Not shared with anybody yet."))
            if may_share:
                ui.button(_("Share…"), on_click=partial(_share, bench)).props("unelevated no-caps").classes("lc-btn")
        return
    with ui.element("table").classes("lc-table").mark("shares").props("data-act=shares"):
        heads(_("Shared with"), _("May"), _("Until"), _("Takes effect"), "")
        for one in shares:
            with ui.element("tr"):
                with ui.element("td"):
                    ui.label(one.name)
                    ui.label(shared_words(one.by, one.since)).classes("lc-muted lc-small-text")
                    if one.share["reason"]:
                        ui.label(one.share["reason"]).classes("lc-muted lc-small-text")
                with ui.element("td"):
                    ui.label(gettext(ShareLevel(one.share["level"]).label))
                    if left_out := str(one.share["without"] or "").split():
                        labels = [kind.label for kind in policy.goes_with(CUSTOMER) if kind.key in left_out]
                        ui.label(_("without {what}").format(what=_(", ").join(labels))).classes("lc-muted lc-small-text")
                cell(near_day(one.share["until"]) if one.share["until"] else _("always"), "lc-muted")
                with ui.element("td"):
                    ui.label(effect(one)).classes("lc-warn-text" if one.waits_for else "lc-muted")
                with ui.element("td").classes("lc-num"):
                    if may_share and not one.ended:
                        end = ui.button(_("End"), on_click=partial(_end, session, one.share["id"])).props("flat dense no-caps")
                        end.mark("end-share").props("data-act=end-share")
    if may_share:
        with ui.element("div").style("padding:10px 14px"):
            ui.button(_("Share…"), on_click=partial(_share, bench)).props("unelevated no-caps").classes("lc-btn")


def effect(one: SharedWith) -> str:
    """Whether a share, or its end, counts already; honest about a branch that has not heard of it."""
    if one.waits_for:
        text = _("Ended; {branch} sees it until its next exchange") if one.ended else _("In {branch} with its next exchange")
        heard = _("last exchange {ago}").format(ago=ago(one.last_heard, now_utc())) if one.last_heard else _("no exchange yet")
        return f"{text.format(branch=one.waits_for)} · {heard}"
    if one.ended:
        when = near_moment(one.ended_at) if one.ended_at else ""
        if one.ended_by:
            return _("Ended by {name}, {when}").format(name=one.ended_by, when=when)
        return _("Ended {when}, as the customer had changed hands at another place").format(when=when)
    return _("over since its last day") if one.over else _("at once")


async def _share(bench: Workbench) -> None:
    with bench.grid.box:  # the tab is drawn anew while the dialog is open
        await share_dialog(bench.session, CUSTOMER, str(bench.customer))


async def _end(session: Session, share: str) -> None:
    await run_verb(session, "people.unshare", {"share_id": share}, done=_("The share has ended here"))


SHARING = Tab(
    id="sharing", label_msgid=N_("Sharing"), permission="share.read", count=_count, read=_read, draw=_draw, shows=frozenset({"share"})
)
