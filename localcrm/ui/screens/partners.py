"""Channel partners: their list, the companies they registered, and what they bring in and are given for it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.crm.entities import Customer
from localcrm.domain.partners import figures
from localcrm.domain.partners.entities import RebateSettlement, RebateWay
from localcrm.domain.partners.figures import PARTNER, Accrued, Ranked
from localcrm.domain.partners.registrations import REGISTRATION
from localcrm.domain.partners.rules import month_of, months_until
from localcrm.domain.partners.targets import Reached, at_present
from localcrm.kernel.clock import moment
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.ui.customer.alike import territory_words
from localcrm.ui.endpoints import record_path
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.form import Form, load_typed
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.values import show_kind
from localcrm.ui.operations import Outcome, run_service, run_verb, toast
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.partner_page import open_page
from localcrm.ui.screens.records import Entry, Further, list_screen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from localcrm.ui.sessions import Session

SETTLED = RebateSettlement.entity_type
FIGURES = "/partners/figures"
#: What is typed to register a company.
_TYPED = ("partner_id", "name", "phone", "tax_no", "area", "contact", "remark")


# registrations ---------------------------------------------------------------------------------------------------------


async def register_company(session: Session, partner: str | None = None) -> str | None:
    """Ask which company, and register it; what stands against it is said in the dialog. Returns the registration's id."""
    fields = [REGISTRATION.fields[key] for key in _TYPED]
    agreed: dict[str, str | None] = {}
    with page_dialog().props("persistent no-route-dismiss") as dialog, ui.card().classes("lc-dialog").mark("register") as card:
        ui.label(_("Register a company for a partner")).classes("lc-dialog-title")
        form = Form(session, REGISTRATION, fields=fields, preset={"partner_id": partner} if partner else {})
        found = ui.element("div").classes("lc-col").props('role="alert" data-act=found')

        async def save() -> None:
            form.clear_errors()
            found.clear()
            typed = form.values()
            missing = next((key for key in ("partner_id", "name") if not typed[key]), None)
            if missing:
                form.inputs[missing].set_error(_("Please fill in “{label}”.").format(label=REGISTRATION.fields[missing].label))
                return
            with dialog:
                outcome = await run_verb(
                    session, "partners.register_customer", {**typed, "although": bool(agreed) and agreed == typed}, on_error=form.show_error
                )
            if not outcome.ok:
                return
            if outcome.value["id"]:
                toast(_("Registered"))
                dialog.submit(outcome.value["id"])
                return
            with found:
                may = _say_found(outcome.value)
            form.inputs["name"].focus()
            agreed.clear()
            if may:
                agreed.update(typed)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Register"), on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")
    card.on("keydown.esc.stop", dialog.close)
    dialog.open()
    form.focus_first_empty()
    made: str | None = await answer_of(dialog)
    return made


def _say_found(result: Mapping[str, Any]) -> bool:
    """Say what stands against a registration; returns whether it can be registered all the same, by pressing once more."""
    for hit in result["registrations"]:
        whose = " · ".join(str(part) for part in (hit.get("partner"), hit.get("name"), hit["owner"], hit["branch"]) if part)
        with ui.element("div").classes("lc-alike-row").props("data-hit"):
            ui.icon("how_to_reg").props("size=16px")
            ui.label(_("Registered until {day}: {whose}").format(day=hit["until"], whose=whose))
    for row in result["customers"]:
        whose = " · ".join(str(part) for part in (row.get("number"), row.get("name"), row["owner"], row["branch"]) if part)
        with ui.element("div").classes("lc-alike-row").props("data-hit"):
            ui.icon("person_search").props("size=16px")
            text = _("Our customer already: {whose}").format(whose=whose)
            if row.get("id"):
                ui.link(text, record_path("customer", row["id"]), new_tab=True)
            else:
                ui.label(text)
    for one in result["territory"]:
        with ui.element("div").classes("lc-alike-row").props("data-hit"):
            ui.icon("map").props("size=16px")
            ui.label(territory_words(one))
    if result["braked"]:
        ui.label(_("You were told of many customers of others within an hour; no more are shown. Ask an administrator.")).classes(
            "lc-alike-row"
        )
    refused = bool(result["registrations"]) or not (result["customers"] or result["territory"])
    text = _("It was not registered.") if refused else _("It was not registered yet. Press “Register” once more if that was agreed.")
    ui.label(text).classes("lc-notice")
    return not refused


async def register_for(session: Session, partner: str) -> str | None:
    """The same for a partner of the list, which stays chosen."""
    await register_company(session, partner)
    return partner


async def to_customer(session: Session, registration: str) -> str | None:
    """Ask whether the customer is entered already, and note that the company has become one."""
    outcome = await run_service(session, lambda: load_typed(session, REGISTRATION, registration))
    if not outcome.ok:
        return None
    with page_dialog().props("persistent no-route-dismiss") as dialog, ui.card().classes("lc-dialog lc-narrow").mark("to-customer") as card:
        ui.label(_("“{name}” has become our customer").format(name=outcome.value["name"])).classes("lc-dialog-title")
        form = Form(session, REGISTRATION, fields=[REGISTRATION.fields["customer_id"]])
        ui.label(_("Choose the customer if it is entered already. Left empty, a new customer is entered.")).classes("lc-muted")

        async def save() -> None:
            parameters = {"registration_id": registration, "customer_id": form.values()["customer_id"] or None}
            with dialog:
                done = await run_verb(session, "partners.turn_into_customer", parameters, done=_("Noted: our customer"))
            if done.ok:
                dialog.submit(registration)

        with ui.element("div").classes("lc-dialog-buttons"):
            ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
            ui.button(_("Save"), on_click=save).props("unelevated no-caps data-commit").classes("lc-pri").mark("save")
    card.on("keydown.esc.stop", dialog.close)
    dialog.open()
    noted: str | None = await answer_of(dialog)
    return noted


def _verb(name: str, done: str) -> Callable[[Session, str], Awaitable[str | None]]:
    async def run(session: Session, identity: str) -> str | None:
        outcome = await run_verb(session, name, {"registration_id": identity}, done=_(done))
        return identity if outcome.ok else None

    return run


# ranking and rebates ---------------------------------------------------------------------------------------------------


class _Figures:
    """One open page."""

    def __init__(self, session: Session) -> None:
        self.session, self.by_target = session, False
        self.may_rebates = session.may(f"{SETTLED.key}.read") and figures.sees_rebates(session.actor)
        self.may_settle = session.may(f"{SETTLED.key}.create") and session.store.node.is_office and figures.sees_all(session.actor)

    async def build(self) -> None:
        """Ranking first, then what is due for each month."""
        title = _("Partner figures")
        with page_frame(self.session, title=title, active="partner-figures"):
            with page_head(title):
                ui.space()
                if self.session.may("partner_target.read"):
                    ui.button(_("Targets"), on_click=lambda: ui.navigate.to("/records/partner_target")).props(
                        "unelevated no-caps data-act=targets"
                    ).classes("lc-btn")
                if self.session.may("rebate_tier.read"):
                    ui.button(_("Rebate tiers"), on_click=lambda: ui.navigate.to("/records/rebate_tier")).props(
                        "unelevated no-caps data-act=tiers"
                    ).classes("lc-btn")
                if self.may_rebates:
                    ui.button(_("Rebates given"), on_click=lambda: ui.navigate.to("/records/rebate_settlement")).props(
                        "unelevated no-caps data-act=given"
                    ).classes("lc-btn")
            self.page = ui.element("div").classes("lc-col").style("gap:12px;overflow-y:auto").mark("figures")
            self.aside = ui.element("div")  # a question stands while the page behind it is drawn anew
        await self.draw()
        kinds = {PARTNER.key, "partner_target", "sales_order", "receipt", "rebate_tier", SETTLED.key, Customer.entity_type.key}
        self.session.subscribe(kinds, lambda _changes: self.draw())

    def _read(self) -> tuple[list[Ranked], dict[str, Reached], list[Accrued], dict[str, str], str]:
        day = moment(self.session.store.clock).astimezone().date()
        with self.session.store.read() as connection:
            actor = self.session.actor
            rebates = figures.accrued(connection, actor, months_until(day, 12)) if self.may_rebates else []
            ranked, reached = figures.ranking(connection, actor, day), at_present(connection, actor, day)
            if self.by_target:
                ranked.sort(key=lambda one: -reached[one.partner_id].percent if one.partner_id in reached else Decimal(1))
            return ranked, reached, rebates, figures.names(connection, actor), month_of(day)

    async def draw(self) -> None:
        """Read and show."""
        outcome: Outcome = await run_service(self.session, self._read)
        if not outcome.ok:
            return
        ranked, reached, rebates, names, month = outcome.value
        self.page.clear()
        with self.page:
            if not figures.sees_all(self.session.actor):
                ui.label(_("Only orders and receipts that you may see are counted.")).classes("lc-muted")
            elif not self.session.store.node.is_office:
                ui.label(_("Counted is what is known at this branch. Rebates are settled at head office.")).classes("lc-muted")
            with ui.element("div").classes("lc-row").style("flex-wrap:wrap"):
                ui.label(_("The last twelve months")).classes("lc-sub")
                if reached:
                    for by_target, label in ((False, _("By what was ordered")), (True, _("By the target reached"))):
                        chip = ui.button(label, on_click=partial(self._rank, by_target)).props("flat dense no-caps")
                        on = by_target == self.by_target
                        chip.classes("lc-chip lc-acc" if on else "lc-chip").props(f"aria-pressed={str(on).lower()}")
            with ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").props("data-act=ranking"):
                self._draw_ranking(ranked, reached, names)
            if self.may_rebates:
                ui.label(_("Rebates by month")).classes("lc-sub")
                with ui.element("div").classes("lc-card").style("flex:none;overflow-x:auto").props("data-act=rebates"):
                    self._draw_rebates(rebates, names, month)

    async def _rank(self, by_target: bool) -> None:
        self.by_target = by_target
        await self.draw()

    def _draw_ranking(self, rows: list[Ranked], reached: Mapping[str, Reached], names: Mapping[str, str]) -> None:
        if not rows:
            ui.label(_("There are no channel partners yet.")).classes("lc-empty lc-muted")
            return
        with ui.element("table").classes("lc-table"):
            heads(
                _("Rank"), _("Channel partner"), (_("Customers"), "lc-num lc-hide-phone"), (_("Ordered"), "lc-num"), (_("Received"), "lc-num lc-hide-phone"),
                *([(_("Target"), "lc-num lc-hide-phone"), (_("Reached"), "lc-num")] if reached else []),
            )  # fmt: skip
            for place, row in enumerate(rows, start=1):
                with ui.element("tr"):
                    cell(str(place), "lc-muted")
                    with ui.element("td"):
                        ui.link(names.get(row.partner_id, "…"), record_path(PARTNER.key, row.partner_id)).classes("lc-strong")
                    cell(str(row.customers), "lc-num lc-hide-phone")
                    cell(show_kind("money", row.sums.ordered) or "", "lc-num")
                    cell(show_kind("money", row.sums.received) or "", "lc-num lc-hide-phone")
                    if reached:
                        self._draw_target(reached.get(row.partner_id))

    @staticmethod
    def _draw_target(one: Reached | None) -> None:
        cell(
            f"{one.period} · {show_kind('money', one.target)}" if one else "—",
            "lc-num lc-hide-phone" if one else "lc-num lc-muted lc-hide-phone",
        )
        with ui.element("td").classes("lc-num"):
            if one:
                ui.label(f"{one.percent}%").classes("lc-chip").props(f"data-tone={'good' if one.percent >= 100 else 'plain'}").tooltip(
                    show_kind("money", one.reached) or ""
                )

    def _draw_rebates(self, rows: list[Accrued], names: Mapping[str, str], month: str) -> None:
        if not rows:
            ui.label(_("Nothing came in through partners in these months.")).classes("lc-empty lc-muted")
            return
        with ui.element("table").classes("lc-table"):
            heads(
                _("Month"), _("Channel partner"), (_("Based on"), "lc-num lc-hide-phone"), (_("Rebate"), "lc-num lc-hide-phone"),
                (_("Amount"), "lc-num lc-hide-phone"), (_("Given"), "lc-num lc-hide-phone"), (_("Still open"), "lc-num"), "",
            )  # fmt: skip
            for row in rows:
                with ui.element("tr"):
                    cell(row.month.replace("-", "\N{NON-BREAKING HYPHEN}"), "lc-muted")
                    cell(names.get(row.partner_id, "…"), "lc-strong")
                    cell(show_kind("money", row.basis) or "", "lc-num lc-hide-phone")
                    cell(show_kind("percent", row.percent) or "", "lc-num lc-hide-phone")
                    cell(show_kind("money", row.amount) or "", "lc-num lc-hide-phone")
                    cell(show_kind("money", row.settled) or "", "lc-num lc-hide-phone")
                    cell(show_kind("money", row.open) or "", "lc-num")
                    with ui.element("td").classes("lc-num"):
                        self._draw_state(row, names, month)

    def _draw_state(self, row: Accrued, names: Mapping[str, str], month: str) -> None:
        if row.month >= month:
            ui.label(_("Still runs")).classes("lc-chip").props("data-tone=plain")
        elif row.open == 0:
            ui.label(_("Given") if row.settled else _("Nothing due")).classes("lc-chip").props(
                f"data-tone={'good' if row.settled else 'plain'}"
            )
        else:
            if row.open < 0:
                ui.label(_("Too much given")).classes("lc-chip").props("data-tone=bad")
            if self.may_settle:

                async def settle() -> None:
                    await self._settle(row, names)

                ui.button(self._deed(row), on_click=settle).props("flat no-caps dense data-act=settle-rebate").classes("lc-btn")

    @staticmethod
    def _deed(row: Accrued) -> str:
        return _("Pay out") if row.open > 0 else _("Take the surplus back")

    async def _settle(self, row: Accrued, names: Mapping[str, str]) -> None:
        text = _("Give “{partner}” {amount} for {month}?") if row.open > 0 else _("Take {amount} back from “{partner}” for {month}?")
        question = text.format(partner=names.get(row.partner_id, "…"), amount=show_kind("money", abs(row.open)), month=row.month)
        with self.aside, page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("settle-dialog"):
            ui.label(question).classes("lc-dialog-title")
            ui.label(_("It is noted and cannot be changed afterwards.")).classes("lc-muted")
            with ui.element("div").classes("lc-dialog-buttons").style("flex-wrap:wrap"):
                ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
                for way in RebateWay:
                    look = "lc-pri" if way is RebateWay.CREDIT else "lc-btn"
                    button = ui.button(gettext(way.label), on_click=partial(dialog.submit, way.value)).props("unelevated no-caps")
                    button.classes(look).props(f"data-act=by-{way.value}")
        with self.aside:
            if way := await answer_of(dialog):
                parameters = {"partner_id": row.partner_id, "month": row.month, "amount": str(row.open), "way": way}
                await run_verb(self.session, "partners.settle_rebate", parameters, done=_("Noted as given"))


async def partner_figures(session: Session, parameters: Mapping[str, str]) -> None:  # noqa: ARG001 -- every builder gets them
    """Build the screen."""
    await _Figures(session).build()


async def _enter(session: Session) -> str | None:
    return await register_company(session)


_CHANGE = "partner_registration.update"
PARTNER_ACTIONS = (
    Further("page", N_("Targets, deposit and stock"), "partner.read", open_page),
    Further("register", N_("Register a company…"), "partner_registration.create", register_for),
)
REGISTRATION_ACTIONS = (
    Further("customer", N_("Became our customer…"), _CHANGE, to_customer),
    Further("extend", N_("Extend"), _CHANGE, _verb("partners.extend_registration", N_("Extended"))),
    Further("give-up", N_("Give up"), _CHANGE, _verb("partners.release_registration", N_("Given up; others may register it"))),
)

register(
    Screen(
        "partner", "/records/partner", N_("Channel partners"), "handshake", "partner.read",
        list_screen("partner", "partner", PARTNER_ACTIONS), "partners", 10, lists="partner",
    ),
    Screen(
        "partner_registration", "/records/partner_registration", N_("Registrations"), "how_to_reg", "partner_registration.read",
        list_screen(
            "partner_registration", "partner_registration", REGISTRATION_ACTIONS,
            entry=Entry(N_("＋ Register a company"), "partner_registration.create", _enter),
        ),
        "partners", 20, lists="partner_registration",
    ),
    Screen(
        "partner_target", "/records/partner_target", N_("Partners' targets"), "flag", "partner_target.read",
        list_screen("partner_target", "partner_target"), None, lists="partner_target",
    ),
    Screen(
        "partner_deposit", "/records/partner_deposit", N_("Partners' deposits"), "savings", "partner_deposit.read",
        list_screen("partner_deposit", "partner_deposit"), None, lists="partner_deposit",
    ),
    Screen(
        "partner_stock", "/records/partner_stock", N_("Partners' stock"), "inventory", "partner_stock.read",
        list_screen("partner_stock", "partner_stock"), "partners", 35, lists="partner_stock",
    ),
    Screen(
        "partner_sale", "/records/partner_sale", N_("Partners' sales"), "point_of_sale", "partner_sale.read",
        list_screen("partner_sale", "partner_sale"), "partners", 36, lists="partner_sale",
    ),
    Screen("partner-figures", FIGURES, N_("Partner figures"), "leaderboard", "partner.read", partner_figures, "partners", 30),
    Screen(
        "rebate_tier", "/records/rebate_tier", N_("Rebate tiers"), "stairs", "rebate_tier.read",
        list_screen("rebate_tier", "rebate_tier"), None, lists="rebate_tier",
    ),
    Screen(
        "rebate_settlement", "/records/rebate_settlement", N_("Rebates given"), "redeem", "rebate_settlement.read",
        list_screen("rebate_settlement", "rebate_settlement"), None, lists="rebate_settlement",
    ),
)  # fmt: skip
