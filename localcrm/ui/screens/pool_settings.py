"""What pools there are, who picks from them within which limits, and when customers are reclaimed: set by head office."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.crm import pool_limits
from localcrm.domain.crm.entities import POOL_FIELDS, AllotRule, Customer, Pool, ReclaimRule, Together
from localcrm.domain.people.entities import Department, User
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import ListQuery, Record, every, titles
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.approval import joined
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import Form, edit_dialog, load_typed
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.problem import Problem
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.operations import run_service, run_verb, toast
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import delete_with_undo, history_dialog

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CUSTOMER, POOL, RULE, ALLOT = Customer.entity_type, Pool.entity_type, ReclaimRule.entity_type, AllotRule.entity_type
USER, DEPARTMENT = User.entity_type, Department.entity_type
#: Fields of a pool that are lists of others, chosen from what there is.
_LISTS = {"members": USER, "departments": DEPARTMENT, "away": USER, "admins": USER}


@dataclass(frozen=True, slots=True)
class State:
    """Everything the screen shows, read at once. ``held``: customers in each pool."""

    pools: Sequence[Record]
    rules: Sequence[Record]
    allotting: Sequence[Record]
    names: Mapping[str, str]
    homes: Mapping[str, str]
    held: Mapping[str, int]


async def pool_settings(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _Settings(session).build()


class _Settings:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.may_pool = session.store.node.is_office and session.may("pool.update")
        self.may_allot = session.store.node.is_office and session.may("allot_rule.update")
        self.may_rule = session.store.node.is_office and session.may("reclaim_rule.update")

    async def build(self) -> None:
        """Pools as cards, then the rules that fill them."""
        title = _("Pools and reclaiming")
        with page_frame(self.session, title=title, active="pool-settings"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            with page_head(title):
                if not self.session.store.node.is_office:
                    ui.label(_("Set by head office.")).classes("lc-muted")
                ui.space()
                if self.may_pool:
                    new = ui.button(_("＋ New pool"), on_click=self._new_pool).props("unelevated no-caps data-key=n")
                    new.classes("lc-pri").mark("new").props("data-act=new")
            self.pools = ui.element("div").classes("lc-col").style("flex:none").mark("pools").props("data-act=pools")
            with ui.element("div").classes("lc-row").style("flex:none;flex-wrap:wrap"):
                ui.label(_("When customers are reclaimed")).classes("lc-sub grow")
                if self.may_rule:
                    ui.button(_("Reclaim now"), on_click=self._reclaim).props("unelevated no-caps data-act=reclaim").classes("lc-btn")
                    ui.button(_("＋ New rule"), on_click=self._new_rule).props("unelevated no-caps data-act=new-rule").classes("lc-btn")
            ui.label(
                _(
                    "Every night, at the place a customer belongs to. Days count from the last of what a rule asks for, at the earliest from when the salesperson got the customer and from when the rule was switched on."
                )
            ).classes("lc-muted").style("flex:none")
            self.rules = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("rules").props("data-act=rules")
            with ui.element("div").classes("lc-row").style("flex:none;flex-wrap:wrap"):
                ui.label(_("Who is given customers of a pool")).classes("lc-sub grow")
                if self.may_allot:
                    new_rule = ui.button(_("＋ New rule"), on_click=partial(allot_dialog, self.session, None))
                    new_rule.props("unelevated no-caps data-act=new-allot").classes("lc-btn")
            ui.label(
                _(
                    "Where somebody has customers of a pool given out by rules: the first rule that fits a customer gives it to whoever of its people was given one longest ago and has room."
                )
            ).classes("lc-muted").style("flex:none")
            self.allotting = ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").mark("allotting")
            self.allotting.props("data-act=allotting")
        await self.draw()
        self.session.subscribe({"pool", "reclaim_rule", "allot_rule", "customer"}, lambda _changes: self.draw())

    def _read(self) -> State:
        with self.session.store.read() as connection:
            found = pool_limits.pools(connection)
            rules, allotting = (self._all(connection, kind) for kind in (RULE, ALLOT))
            names = dict[str, str]()
            for key, kind in _LISTS.items():
                names |= titles(connection, kind, [one for pool in found for one in str(pool[key] or "").split()])
            names |= titles(connection, USER, [one for rule in allotting for one in str(rule["members"] or "").split()])
            homes = {pool["id"]: pool_limits.home_name(connection, pool) for pool in found}
            counted = "SELECT count(*) FROM (SELECT 1 FROM customer WHERE pool_id = ? AND deleted = 0 LIMIT 10001)"
            held = {pool["id"]: int(connection.value(counted, (bytes.fromhex(pool["id"]),))) for pool in found}
            return State(found, rules, allotting, names, homes, held)

    def _all(self, connection: Connection, kind: EntityType) -> list[Record]:
        query = ListQuery(kind, restrict=policy.view(self.session.actor, kind))
        return [row for page in every(connection, query) for row in page.rows]

    async def draw(self) -> None:
        """Read and show."""
        outcome = await run_service(self.session, self._read)
        if not outcome.ok:
            return
        state: State = outcome.value
        self.pools.clear()
        with self.pools:
            for pool in state.pools:
                self._draw_pool(pool, state)
            if not state.pools:
                with ui.element("div").classes("lc-card lc-empty"):
                    ui.label(_("There is no pool yet. In a pool lie customers without a salesperson, until somebody picks them."))
        self.rules.clear()
        with self.rules:
            self._draw_rules(state)
        self.allotting.clear()
        with self.allotting:
            self._draw_allotting(state)

    def _draw_pool(self, pool: Record, state: State) -> None:
        with ui.element("div").classes("lc-card lc-pad").mark("pool").props("data-act=pool"):
            with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
                ui.label(str(pool["name"])).classes("lc-sub")
                ui.label(_("Active") if pool["active"] else _("Out of use")).classes("lc-chip").props(
                    f"data-tone={'good' if pool['active'] else 'plain'}"
                )
                count = state.held[pool["id"]]
                ui.label(_("{count} customers").format(count="10,000+" if count > 10_000 else f"{count:,}")).classes("lc-muted grow")
                if self.may_pool:
                    edit = ui.button(_("Edit"), on_click=partial(pool_dialog, self.session, pool["id"])).props(
                        "unelevated no-caps data-act=edit"
                    )
                    edit.classes("lc-btn")
                with ui.button(icon="more_horiz").props(f'flat dense round aria-label="{_("More")}"'), ui.menu().classes("lc-menu"):
                    ui.menu_item(_("History"), on_click=partial(history_dialog, self.session, POOL, pool["id"]))
                    if self.may_pool:
                        delete = ui.menu_item(_("Delete"), on_click=partial(delete_with_undo, self.session, POOL, pool["id"]))
                        delete.classes("lc-bad-text")
            for label, text in _sentences(pool, state):
                with ui.element("div").classes("lc-row").style("gap:8px;align-items:baseline"):
                    ui.label(label).classes("lc-label").style("flex:none;min-width:124px")
                    ui.label(text).style("overflow-wrap:anywhere")

    def _draw_rules(self, state: State) -> None:
        if not state.rules:
            with ui.element("div").classes("lc-empty"):
                ui.label(_("No rule yet: customers stay with their salesperson."))
            return
        pools = {pool["id"]: str(pool["name"]) for pool in state.pools}
        with ui.element("table").classes("lc-table"):
            heads(
                _("Name"), _("Reclaimed after"), (_("Level"), "lc-hide-phone"), (_("Pool"), "lc-hide-phone"), (_("Spared"), "lc-hide-phone"), _("State"), "",
            )  # fmt: skip
            for rule in state.rules:
                with ui.element("tr"):
                    cell(str(rule["name"]), "lc-strong")
                    cell(_("{terms}; reminded {before} days before").format(terms=_terms(rule), before=rule["remind_days"]))
                    level = RULE.fields["level"].options.get(rule["level"] or "", rule["level"] or "")
                    cell(gettext(level) if level else _("All others"), "lc-hide-phone")
                    cell(pools.get(rule["pool_id"], "…"), "lc-hide-phone")
                    spared = [_("locked ones")]
                    spared += [_("deal customers")] if rule["spare_deals"] else []
                    spared += [_("those with an open opportunity, contract or order")] if rule["spare_open"] else []
                    cell(joined(spared), "lc-muted lc-hide-phone")
                    with ui.element("td"):
                        ui.label(_("Active") if rule["active"] else _("Switched off")).classes("lc-chip").props(
                            f"data-tone={'good' if rule['active'] else 'plain'}"
                        )
                    if self.may_rule:
                        self._pens(RULE, rule["id"], partial(edit_dialog, self.session, RULE, identity=rule["id"]))

    def _draw_allotting(self, state: State) -> None:
        if not state.allotting:
            with ui.element("div").classes("lc-empty"):
                ui.label(_("No rule yet: customers of a pool are picked, or assigned by hand."))
            return
        pools = {pool["id"]: str(pool["name"]) for pool in state.pools}
        with ui.element("table").classes("lc-table"):
            heads(
                _("Name"), (_("Pool"), "lc-hide-phone"), (_("Only"), "lc-hide-phone"), _("Given in turn to"), (_("State"), "lc-hide-phone"), "",
            )  # fmt: skip
            for rule in sorted(state.allotting, key=lambda one: (pools.get(one["pool_id"], ""), one["position"])):
                with ui.element("tr"):
                    cell(str(rule["name"]), "lc-strong")
                    cell(pools.get(rule["pool_id"], "…"), "lc-hide-phone")
                    level = ALLOT.fields["level"].options.get(rule["level"] or "", rule["level"] or "")
                    wanted = [rule["area"], rule["source"], gettext(level) if level else None]
                    cell(joined([one for one in wanted if one]) or _("all customers"), "lc-muted lc-hide-phone")
                    people = joined([state.names.get(one, "…") for one in str(rule["members"] or "").split()])
                    most = rule["held_most"]
                    cell(people if most is None else _("{people}, until each has {count}").format(people=people, count=most))
                    with ui.element("td").classes("lc-hide-phone"):
                        ui.label(_("Active") if rule["active"] else _("Switched off")).classes("lc-chip").props(
                            f"data-tone={'good' if rule['active'] else 'plain'}"
                        )
                    if self.may_allot:
                        self._pens(ALLOT, rule["id"], partial(allot_dialog, self.session, rule["id"]))

    def _pens(self, kind: EntityType, identity: str, edit: Callable[[], Any]) -> None:
        with ui.element("td").classes("lc-num"):
            for icon, label, run in (
                ("edit", _("Edit"), edit),
                ("delete", _("Delete"), partial(delete_with_undo, self.session, kind, identity)),
            ):
                ui.button(icon=icon, on_click=run).props(f"flat dense round size=sm aria-label={quoted(label)}")

    async def _new_pool(self) -> None:
        await pool_dialog(self.session, None)

    async def _new_rule(self) -> None:
        await edit_dialog(self.session, RULE)

    async def _reclaim(self) -> None:
        """First what would go, then the deed."""
        outcome = await run_verb(self.session, "crm.reclaim_preview", {})
        if not outcome.ok:
            return
        rows = outcome.value["rows"]
        if not rows:
            toast(_("No rule takes a customer here today."))
            return
        with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("reclaim-dialog").props("data-act=reclaim-dialog"):
            ui.label(_("These customers go to a pool")).classes("lc-dialog-title")
            with ui.element("div").classes("lc-scroll"), ui.element("table").classes("lc-table"):
                heads(_("Customer"), _("Salesperson"), _("Pool"), (_("Reclaim rule"), "lc-hide-phone"))
                for row in rows:
                    with ui.element("tr"):
                        cell(row["name"], "lc-strong")
                        cell(row["owner"])
                        cell(row["pool"])
                        cell(row["rule"], "lc-muted lc-hide-phone")
            if outcome.value["more"]:
                ui.label(_("and more")).classes("lc-muted")
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
                ui.button(_("Reclaim"), on_click=lambda: dialog.submit(True)).props("unelevated no-caps").classes("lc-pri").mark(
                    "yes"
                ).props("data-act=yes")
        if await answer_of(dialog):
            done = await run_verb(self.session, "crm.reclaim", {})
            if done.ok:
                toast(_("{count} customers went to a pool").format(count=done.value["moved"]))


def _terms(rule: Record) -> str:
    """After how many days of what a rule takes a customer."""
    words = {
        "days": _("{days} days without a record"),
        "opportunity_days": _("{days} days without an open opportunity"),
        "deal_days": _("{days} days without a deal"),
        "contract_days": _("{days} days after its last contract"),
    }
    terms = [word.format(days=rule[key]) for key, word in words.items() if rule[key]]
    terms += [_("its protection has run out")] if rule["after_protection"] else []
    return (_(" and ") if rule["together"] == Together.ALL else _(" or ")).join(terms)


def _sentences(pool: Record, state: State) -> list[tuple[str, str]]:
    """What a pool says, for people to read."""
    who = [state.names.get(one, "…") for key in ("members", "departments") for one in str(pool[key] or "").split()]
    limits = []
    if pool["picks_per_day"] is not None:
        limits.append(_("{count} a day").format(count=pool["picks_per_day"]))
    if pool["held_most"] is not None:
        most = _("{count} customers each, without deal customers") if pool["deals_free"] else _("{count} customers each")
        limits.append(most.format(count=pool["held_most"]))
    if pool["fresh_days"]:
        limits.append(_("new ones lie {days} days first").format(days=pool["fresh_days"]))
    if pool["barred_days"]:
        limits.append(_("a former salesperson waits {days} days").format(days=pool["barred_days"]))
    if pool["protect_days"]:
        limits.append(_("{days} days safe after picking").format(days=pool["protect_days"]))
    if pool["looks_per_day"] is not None:
        limits.append(_("looked into {count} times a day").format(count=pool["looks_per_day"]))
    away, admins = ([state.names.get(one, "…") for one in str(pool[key] or "").split()] for key in ("away", "admins"))
    shown = [CUSTOMER.fields[key].label for key in str(pool["shown"] or "").split() if key in CUSTOMER.fields]
    telephone = [_("telephone covered")] if pool["mask_phone"] else []
    return [
        (_("Picked by"), joined(who) or _("whoever has the right")),
        (_("Given out by"), state.homes[pool["id"]]),
        *([(POOL.fields["admins"].label, joined(admins))] if admins else []),
        (_("Limits of the pool"), joined(limits) or _("none")),
        *([(_("On leave"), joined(away))] if away else []),
        (_("Shown before picking"), joined([*shown, *telephone])),
    ]


# one pool -------------------------------------------------------------------------------------------------------------------


async def pool_dialog(session: Session, identity: str | None) -> None:
    """The form of a pool; who picks and what is shown is chosen from lists."""
    await _listed_dialog(session, POOL, identity, ("members", "departments", "admins", "shown", "away"), _("New pool"), _("Pool saved"))


async def allot_dialog(session: Session, identity: str | None) -> None:
    """The form of a rule of allotting; whom it gives to is chosen from a list."""
    await _listed_dialog(session, ALLOT, identity, ("members",), _("New rule"), _("Rule saved"))


async def _listed_dialog(session: Session, kind: EntityType, identity: str | None, lists: Sequence[str], new: str, saved: str) -> None:
    """A form of which some fields are lists, chosen from what there is."""

    def read() -> tuple[Record | None, dict[str, dict[str, str]]]:
        with session.store.read() as connection:
            users = connection.all('SELECT id, name FROM "user" WHERE deleted = 0 AND active = 1 ORDER BY name')
            departments = connection.all("SELECT id, name FROM department WHERE deleted = 0 ORDER BY position, name")
        people = {pk.hex(): name for pk, name in users}
        offered = {"departments": {pk.hex(): name for pk, name in departments}}
        offered["shown"] = {key: CUSTOMER.fields[key].label for key in POOL_FIELDS if key != "name"}
        return load_typed(session, kind, identity) if identity else None, {key: offered.get(key, people) for key in lists}

    outcome = await run_service(session, read)
    if not outcome.ok:
        return
    record, offered = outcome.value
    with (
        page_dialog().props("persistent") as dialog,
        ui.card().classes("lc-dialog").mark(f"{kind.key}-dialog").props(f"data-act={kind.key}-dialog"),
    ):
        ui.label(str(record["name"]) if record else new).classes("lc-dialog-title")
        problem = Problem()
        form = Form(session, kind, fields=[field for field in kind.fields.values() if field.key not in offered], record=record, two=True)
        boxes = {}
        with form.box:
            for key, names in offered.items():
                with ui.element("div").classes("lc-field lc-whole").props(f"data-list={key}"):
                    ui.label(kind.fields[key].label).classes("lc-label")
                    held = str((record or {}).get(key, kind.fields[key].default) or "").split()
                    gone = {one: "…" for one in held if one not in names and key != "shown"}
                    box = ui.select(
                        {**names, **gone}, multiple=True, clearable=True, value=[one for one in held if one in {**names, **gone}]
                    )
                    boxes[key] = box.props(
                        f"outlined dense options-dense use-chips hide-bottom-space aria-label={quoted(kind.fields[key].label)}"
                    )

        problem.form = form

        async def save() -> None:
            form.clear_errors()
            problem.hide()
            chosen = {key: " ".join(box.value or ()) for key, box in boxes.items()}
            if "shown" in chosen:
                chosen["shown"] = f"name {chosen['shown']}".strip()
            values = {key: "" if value is None else value for key, value in {**form.values(), **chosen}.items()}
            if record is None:
                done = await run_verb(session, "records.create_record", {"entity": kind.key, "values": values}, on_error=problem.refuse)
            else:
                given = {"entity": kind.key, "id": record["id"], "values": values, "version": record["version"]}
                done = await run_verb(session, "records.update_record", given, on_error=problem.refuse)
            if done.ok:
                dialog.submit(True)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Save"), on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save").props(
                "data-act=save"
            )
    if await answer_of(dialog):
        toast(saved)


register(
    Screen("pool-settings", "/settings/pools", N_("Pool rules"), "published_with_changes", "pool.update", pool_settings, "settings", 45)
)
