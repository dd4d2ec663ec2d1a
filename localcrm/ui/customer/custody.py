"""Tab: through whose hands the customer went. Actions: hand over, assign, release into a pool, lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.admin.conflicts import is_disputed
from localcrm.domain.crm import custody, custody_rules, pool_limits, reclaim
from localcrm.domain.crm.entities import ChangeKind, Customer, Pool
from localcrm.domain.crm.open_work import WORK
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.query import Record, titles
from localcrm.ui.customer.actions import CustomerAction, Part, may
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import load_typed
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.picker import Picker, picker
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.values import exact, near_day, near_moment, show_kind
from localcrm.ui.operations import run_service, run_verb

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CUSTOMER, POOL = Customer.entity_type, Pool.entity_type
TONES: Mapping[str, str] = {
    ChangeKind.PICK: "good",
    ChangeKind.ASSIGN: "acc",
    ChangeKind.HAND_OVER: "acc",
    ChangeKind.RELEASE: "warn",
    ChangeKind.MOVED: "warn",
    ChangeKind.RECLAIM: "warn",
    ChangeKind.SETTLED: "bad",
}


def present(session: Session) -> datetime:
    """The moment by the clock of the data file."""
    return datetime.fromtimestamp(session.store.clock.now_ms() / 1000, tz=UTC)


# the tab --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Custody:
    customer: Record
    links: Sequence[Mapping[str, Any]]
    names: Mapping[str, str]
    pools: Mapping[str, str]
    due: reclaim.Due | None
    sold: Sequence[custody.Sold]
    disputed: bool


def _read(session: Session, connection: Connection, identity: str) -> _Custody:
    customer = load_typed(session, CUSTOMER, identity)
    links = custody.chain(connection, session.actor, identity)
    due = (reclaim.dues_told(connection, session.actor, present(session), [identity]) or {}).get(identity)
    pools = [str(one) for one in (customer.get("pool_id"), due.rule["pool_id"] if due else None) if one]
    sold = custody.sold_under(connection, session.actor, identity)
    people = custody.names_of(connection, [*links, {"to_id": customer.get("owner_id")}, *({"to_id": one.user} for one in sold)])
    disputed = is_disputed(connection, session.actor, CUSTOMER, identity, "owner_id")
    return _Custody(customer, links, people, titles(connection, POOL, pools), due, sold, disputed)


def _draw(_bench: Workbench, found: _Custody) -> None:
    with ui.element("div").classes("lc-quick").style("padding:10px 14px").mark("custody").props("data-act=custody"):
        _standing(found)
    if not found.links:
        with ui.element("div").classes("lc-empty"):
            ui.label(_("It has not changed hands yet."))
        return
    with ui.element("table").classes("lc-table").mark("owner-changes").props("data-act=owner-changes"):
        heads(_("Kind"), _("Salesperson"), _("Time"), (_("Changed by"), "lc-hide-phone"), _("Reason"))
        lost = {digest for link in found.links for digest in str(link["beside"] or "").split()}
        for link in found.links:
            _draw_link(link, found.names, did_not_last=link["digest"] in lost)
    if found.sold:
        _draw_sold(found)


def _draw_sold(found: _Custody) -> None:
    """Who is credited with what was sold."""
    with ui.element("table").classes("lc-table").style("margin-top:10px").mark("sold-under").props("data-act=sold-under"):
        heads(_("Sold while it was with"), (_("Orders"), "lc-num"), (_("Total"), "lc-num"))
        for one in found.sold:
            with ui.element("tr"):
                cell(found.names.get(one.user or "", _("nobody")))
                cell(f"{one.orders:,}", "lc-num")
                cell(show_kind("money", one.gross) or "", "lc-num")


def _standing(found: _Custody) -> None:
    """Whose it is, since when, and what will become of it."""
    customer, due = found.customer, found.due
    if customer.get("owner_id"):
        ui.label(found.names.get(str(customer["owner_id"]), "…")).classes("lc-strong")
        if customer.get("owner_since"):
            ui.label(_("since {day}").format(day=near_day(customer["owner_since"].astimezone().date()))).classes("lc-muted")
    elif customer.get("pool_id"):
        _chip(_("In the pool “{pool}”").format(pool=found.pools.get(str(customer["pool_id"]), "…")), "warn")
    else:
        ui.label(_("No salesperson")).classes("lc-muted")
    if customer.get("locked") and customer.get("owner_id"):  # what another place put into a pool meanwhile is kept from nothing
        _chip(_("Locked against reclaiming"), "acc")
    if due is not None:
        pool = found.pools.get(due.rule["pool_id"], "…")
        if due.days <= 0:
            _chip(_("Goes to the pool “{pool}” tonight").format(pool=pool), "bad")
        else:
            text = _("Goes to the pool “{pool}” in {days} days if nothing is recorded")
            _chip(text.format(pool=pool, days=due.days), "warn" if due.is_near else "plain")
    broken = sum(bool(link["fault"]) for link in found.links)
    if found.disputed:
        with ui.element("a").props(f'href="/conflicts?record={customer["id"]}"').mark("disputed").props("data-act=disputed"):
            ui.label(_("Decided at two places: see Conflicts"))
    if broken:
        _chip(_("{count} changes do not fit the chain").format(count=broken), "bad")
    elif found.links:
        chip = _chip(_("Chain unbroken"), "good")
        chip.tooltip(_("Each change is sealed with the one before, in every branch: none can be altered or left out without showing here."))


def _draw_link(link: Mapping[str, Any], names: Mapping[str, str], *, did_not_last: bool) -> None:
    with ui.element("tr"):
        with ui.element("td"):
            _chip(gettext(ChangeKind(link["kind"]).label), "bad" if link["fault"] else TONES.get(link["kind"], "plain"))
        former = names.get(link["from_id"] or "", _("Pool") if link["pool_id"] else "—")
        cell(f"{former} → {names.get(link['to_id'] or '', _('Pool') if link['pool_id'] else '—')}")
        cell(near_moment(link["at"]), "lc-muted", tip=exact(link["at"]))
        cell(names.get(link["by_id"] or "", "—"), "lc-muted lc-hide-phone")
        with ui.element("td").classes("lc-muted"):
            with ui.element("div").classes("lc-row lc-wrap-row"):
                if did_not_last:
                    ui.label(_("did not last")).classes("lc-chip").props("data-tone=bad data-act=did-not-last").mark("did-not-last")
                ui.label(_why(link))
            if along := custody_rules.along_of(link):
                parts = [f"{entity_type(kind).label} {count}" for kind, count in along.items() if kind in WORK]
                ui.label(_("went along: {what}").format(what=_(", ").join(parts))).classes("lc-small-text")


def _why(link: Mapping[str, Any]) -> str:
    """The reason somebody gave, or why the program did it."""
    if link["kind"] == ChangeKind.SETTLED:
        return _("Two places decided at the same time; this one counts.")
    if link["kind"] == ChangeKind.MOVED and link["by_id"] is None:
        return _("The pool it was put into had been closed meanwhile.")
    return link["reason"] or ""


def _chip(text: str, tone: str) -> ui.label:
    return ui.label(text).classes("lc-chip").props(f"data-tone={tone}").style("width:fit-content")


def _count(session: Session, connection: Connection, identity: str) -> int:  # noqa: ARG001 -- who sees the customer sees its chain
    return int(connection.value("SELECT count(*) FROM owner_change WHERE customer_id = ? AND deleted = 0", (bytes.fromhex(identity),)))


OWNERS = Tab(
    id="owners",
    label_msgid=N_("Owner changes"),
    permission="owner_change.read",
    count=_count,
    read=_read,
    draw=_draw,
    shows=reclaim.SOURCES | {"owner_change", "conflict"},
)


# dialogs --------------------------------------------------------------------------------------------------------------------


class _Dialog:
    """A small form around one verb; a refusal stands in it and nothing typed is lost."""

    def __init__(self, session: Session, mark: str, title: str, hint: str) -> None:
        self.session = session
        with page_dialog() as self.dialog, ui.card().classes("lc-dialog lc-narrow").mark(mark).props(f"data-act={mark}") as self.card:
            ui.label(title).classes("lc-dialog-title")
            ui.label(hint).classes("lc-muted")
            self.problem = Problem()

    def field(self, label: str, *, required: bool = False) -> ui.element:
        """A place for one widget under its label."""
        with self.card, ui.element("div").classes("lc-field") as box:
            ui.label(label).classes("lc-label" + (" lc-required" if required else ""))
        return box

    def user(self, label: str) -> Picker:
        """Who it shall be."""
        with self.field(label, required=True):
            return picker(self.session, "user", None, lambda _id: None, create=False, label=label)

    def text(self, label: str, *, required: bool = False) -> ui.input:
        """A line to type."""
        with self.field(label, required=required):
            return ui.input().props(f"outlined dense hide-bottom-space aria-label={quoted(label)}").mark("reason").props("data-act=reason")

    def choice(self, label: str, options: Mapping[str, str], value: str) -> ui.select:
        """One of several."""
        with self.field(label):
            box = ui.select(dict(options), value=value)
            return box.props(f"outlined dense options-dense hide-bottom-space aria-label={quoted(label)}")

    def buttons(self, yes: str, act: Any) -> None:
        """Cancel and the deed."""
        with self.card, ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=self.dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(yes, on_click=act).props("unelevated no-caps data-commit").classes("lc-pri").mark("yes").props("data-act=yes")

    async def run(self, verb: str, parameters: Mapping[str, Any], done: str) -> None:
        """Do it; close where it went well."""
        if (await run_verb(self.session, verb, parameters, done=done, on_error=self.problem.refuse)).ok:
            self.dialog.close()


KEEPS = {
    "": N_("Sees it no longer by this"),
    "read": N_("Still reads it"),
    "follow": N_("Still adds contacts and activity records"),
    "write": N_("Still works on it"),
}


async def hand_over_dialog(session: Session, customers: Sequence[str], name: str) -> None:
    """To whom, what goes along, and what the former salesperson keeps."""

    def read() -> dict[str, int]:
        with session.store.read() as connection:
            return custody.goes_along(connection, session.actor, session.store.node, customers)

    outcome = await run_service(session, read)
    if not outcome.ok:
        return
    box = _Dialog(
        session,
        "hand-over",
        _("Hand over “{name}”").format(name=name),
        _("Contacts and activity records go along. It can be taken back within a day."),
    )
    to = box.user(_("New salesperson"))
    keep = box.choice(_("Former salesperson"), {key: gettext(word) for key, word in KEEPS.items()}, "")
    ticks = dict[str, ui.checkbox]()
    if outcome.value:
        with box.field(_("Goes along")):
            for kind, count in outcome.value.items():
                tick = ui.checkbox(f"{gettext(WORK[kind].label)} · {count:,}", value=True).props(f"dense data-act=along-{kind}")
                ticks[kind] = tick.mark(f"along-{kind}")
    reason = box.text(_("Reason"))

    async def act() -> None:
        if not to.value:
            box.problem.tell(_("Choose who gets it."))
            return
        along = [kind for kind, tick in ticks.items() if tick.value]
        given = {"customers": list(customers), "to": to.value, "keep": keep.value, "along": along, "reason": reason.value or ""}
        await box.run("crm.hand_over", given, _("“{name}” goes to {who}").format(name=name, who=to.title))

    box.buttons(_("Hand over"), act)
    await answer_of(box.dialog)


async def assign_dialog(session: Session, customers: Sequence[str], name: str) -> None:
    """To whom a customer of a pool is given."""
    box = _Dialog(session, "assign", _("Assign “{name}”").format(name=name), _("Limits of the pool count for whoever gets it."))
    to, reason = box.user(_("New salesperson")), box.text(_("Reason"))

    async def act() -> None:
        if not to.value:
            box.problem.tell(_("Choose who gets it."))
            return
        given = {"customers": list(customers), "to": to.value, "reason": reason.value or ""}
        await box.run("crm.assign", given, _("“{name}” goes to {who}").format(name=name, who=to.title))

    box.buttons(_("Assign"), act)
    await answer_of(box.dialog)


async def release_dialog(session: Session, customers: Sequence[str], name: str, *, into: str = "", out_of: str = "") -> None:
    """Into which pool, and why. ``into``: the only one that is offered · ``out_of``: the one they lie in."""

    def read() -> dict[str, str]:
        with session.store.read() as connection:
            found = {pool["id"]: str(pool["name"]) for pool in pool_limits.pools(connection) if pool["active"]}
        return {pool: title for pool, title in found.items() if pool != out_of and into in {"", pool}}

    outcome = await run_service(session, read)
    if not outcome.ok:
        return
    pools: dict[str, str] = outcome.value
    hint = _("It loses its salesperson and its shares end. It can be taken back within a day.")
    if out_of:
        hint = _("Whoever may pick there can have it then. It can be taken back within a day.")
    box = _Dialog(session, "release", _("Put “{name}” into a pool").format(name=name), hint)
    if not pools:
        box.problem.tell(_("There is no other pool.") if out_of else _("There is no pool yet. Head office sets one up."))
    pool = box.choice(_("Pool"), pools, next(iter(pools), "")) if pools else None
    reason = box.text(_("Reason"), required=True)

    async def act() -> None:
        given = {"customers": list(customers), "pool_id": pool.value if pool else None, "reason": reason.value or ""}
        await box.run("crm.release", given, _("“{name}” is in the pool").format(name=name))

    box.buttons(_("Put into the pool"), act)
    await answer_of(box.dialog)


# actions --------------------------------------------------------------------------------------------------------------------


async def _load(bench: Workbench) -> Record | None:
    outcome = await run_service(bench.session, lambda: load_typed(bench.session, CUSTOMER, str(bench.customer)))
    return outcome.value if outcome.ok else None


async def _hand_over(bench: Workbench) -> None:
    if (customer := await _load(bench)) is not None:
        dialog = assign_dialog if customer.get("owner_id") is None and bench.session.may("customer.assign") else hand_over_dialog
        await dialog(bench.session, [customer["id"]], str(customer["name"])[:60])


async def _release(bench: Workbench) -> None:
    if (customer := await _load(bench)) is not None:
        await release_dialog(bench.session, [customer["id"]], str(customer["name"])[:60])


async def _lock(bench: Workbench) -> None:
    customer = await _load(bench)
    if customer is None:
        return
    locked, name = bool(customer.get("locked")), str(customer["name"])[:60]
    done = _("“{name}” is unlocked") if locked else _("“{name}” is locked: no rule takes it")
    verb = "crm.unlock" if locked else "crm.lock"
    await run_verb(bench.session, verb, {"customer_id": customer["id"]}, done=done.format(name=name))


ACTIONS = (
    CustomerAction(
        id="hand-over", label_msgid=N_("Give to somebody else…"), run=_hand_over, shown=may("customer.transfer"), part=Part.PASS_ON
    ),
    CustomerAction(id="release", label_msgid=N_("Put into a pool…"), run=_release, shown=may("customer.release"), part=Part.PASS_ON),
    CustomerAction(id="lock", label_msgid=N_("Lock or unlock"), run=_lock, shown=may("customer.lock"), part=Part.PASS_ON),
)
