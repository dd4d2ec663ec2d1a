"""The board of opportunities, projects and aftercare: a column for each stage, cards that are dragged or moved by key."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain.crm.entities import Phase
from localcrm.domain.crm.opportunities import OPPORTUNITY
from localcrm.domain.crm.pipeline import CARDS, NOWHERE, WON, Card, Column, Filter, board
from localcrm.domain.crm.stage_sets import set_of, stages_of, with_own
from localcrm.kernel.clock import now_utc
from localcrm.kernel.errors import InvalidInput
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.ids import parse_id
from localcrm.store.connection import Connection
from localcrm.store.query import Record
from localcrm.ui.deals import deeds
from localcrm.ui.deals.actions import deal_actions
from localcrm.ui.deals.sheet import DealSheet
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.form import edit_dialog
from localcrm.ui.kit.look import own_key
from localcrm.ui.kit.menu import action_button, action_keys, context_menu
from localcrm.ui.kit.picker import picker
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import near_day, show_kind
from localcrm.ui.kit.views import view_links as views_of_records
from localcrm.ui.operations import run_service, run_verb, show_failure
from localcrm.ui.registry import Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

PATH = "/opportunities"
#: A column to drop what was lost; its cards are in the list.
LOST = "lost"
#: In addresses: the stages of no department.
COMPANY = "company"
PHASES = {Phase.OPPORTUNITY: N_("Opportunities"), Phase.PROJECT: N_("Projects"), Phase.AFTERCARE: N_("Aftercare")}


OnChoice = Callable[[str | None], Awaitable[None]]


async def opportunities(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen."""
    await BoardPage(session, parameters).build()


class BoardPage:
    """The state of one open page."""

    def __init__(self, session: Session, parameters: Mapping[str, str]) -> None:
        self.session = session
        phase = parameters.get("phase", "")
        self.wanted = Filter(phase=Phase(phase) if phase in set(Phase) else Phase.OPPORTUNITY)
        self.asked = parameters.get("stages")
        self.wish = parameters.get("open")
        self.chosen: str | None = None
        self.more: dict[str, int] = {}
        self.stages: list[Record] = []
        self.sets: dict[str, str] = {}
        self.turn = 0

    async def build(self) -> None:
        """Skeleton, then the cards."""
        session = self.session
        with page_frame(session, title=_("Opportunities"), active="opportunities"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}"><link rel="stylesheet" href="{asset("board.css")}">')
            ui.add_head_html(f'<script src="{asset("board.js")}" defer></script>')
            self.stages = await self._read_stages()
            wanted = self.wanted
            self.sheet = DealSheet(session)
            actions = deal_actions(session, self.sheet, lambda: self.chosen, self.stages)
            with page_head(_("Opportunities")):
                phase_links(wanted.phase)
                set_choice(self.sets, wanted.department_id, lambda chosen: f"{PATH}?phase={wanted.phase.value}&stages={chosen}")
                filters(session, self._by_owner, self._by_branch)
                ui.space()
                with ui.element("div").classes("lc-row"):
                    view_links("board")
                    action_button(actions)
                    if session.may("opportunity.create"):
                        with ui.button(on_click=self.new).props("unelevated no-caps data-key=n").classes("lc-pri").mark("new"):
                            ui.label(_("＋ New opportunity"))
                            ui.label(own_key("n")).classes("lc-kbd")
            if self.stages:
                with ui.element("div").classes("lc-board-box"):
                    self.box = ui.element("div").classes("lc-board").props(f'aria-label="{_("Board")}"').mark("board")
                    context_menu(actions)
                action_keys(actions)
            else:
                self._no_stages()
        if not self.stages:
            return
        ui.on("board", self._heard)
        ui.timer(0.02, self.draw, once=True)
        session.subscribe({"opportunity", "opportunity_stage_change", "stage"}, lambda _changes: self.draw())
        if self.wish:
            wish = self.wish
            ui.timer(0.1, lambda: self._open_wish(wish), once=True)

    def _no_stages(self) -> None:
        with ui.element("div").classes("lc-empty lc-card"):
            ui.label(_("There are no stages yet that opportunities could go through."))
            if self.session.store.node.is_office and self.session.may("stage.create"):
                ui.button(_("Add the usual stages"), on_click=self._add_stages).props("unelevated no-caps").classes("lc-pri").mark(
                    "add-stages"
                )
            else:
                ui.label(_("Head office sets them.")).classes("lc-muted")

    async def _add_stages(self) -> None:
        if (await run_verb(self.session, "crm.add_standard_stages", {})).ok:
            ui.navigate.reload()

    # reading and drawing -----------------------------------------------------------------------------------------------

    async def _read_stages(self) -> list[Record]:
        def read() -> tuple[dict[str, str], str | None, list[Record]]:
            with self.session.store.read() as connection:
                sets, department = chosen_set(self.session, connection, self.wanted.phase, self.asked)
                return sets, department, stages_of(connection, self.wanted.phase, department)

        outcome = await run_service(self.session, read)
        if not outcome.ok:
            return []
        self.sets, department, stages = outcome.value
        self.wanted = replace(self.wanted, department_id=department)
        return list(stages)

    async def draw(self) -> None:
        """Read the board and show it; a newer wish wins."""
        self.turn += 1
        turn, wanted, more = self.turn, self.wanted, dict(self.more)

        def read() -> list[Column]:
            with self.session.store.read() as connection:
                return board(connection, self.session.actor, wanted, now_utc(), more=more)

        outcome = await run_service(self.session, read)
        if outcome.ok and turn == self.turn:
            data = json.dumps(self._shown(outcome.value), ensure_ascii=False)
            ui.run_javascript(f"localcrm.board.show({json.dumps(f'c{self.box.id}')}, {data})")

    def _shown(self, columns: list[Column]) -> dict[str, Any]:
        shown = [self._column(column) for column in columns]
        if self.wanted.phase is Phase.OPPORTUNITY:
            hint = _("Drop lost deals here")
            shown.append({"key": LOST, "name": _("Lost"), "slim": True, "count": 0, "cards": [], "drop": True, "hint": hint})
        return {"columns": shown, "movable": self.session.may("opportunity.update")}

    def _column(self, column: Column) -> dict[str, Any]:
        names = {NOWHERE: _("Without a stage"), WON: _("Won in 30 days")}
        left = column.count - len(column.cards)
        name = names.get(column.key, column.name)
        return {
            "key": column.key,
            "name": f"{name} · {column.percent}%" if column.percent is not None else name,
            "count": column.count,
            "sums": _sums(column),
            "drop": column.key != NOWHERE,
            "hint": _("Nothing here"),
            "more": _("{count} more").format(count=f"{left:,}") if left > 0 else "",
            "cards": [self._card(card) for card in column.cards],
        }

    def _card(self, card: Card) -> dict[str, Any]:
        today = now_utc().astimezone().date()
        step = " ".join(part for part in (near_day(card.next_on) if card.next_on else "", card.next_step) if part)
        return {
            "id": card.id,
            "title": card.title,
            "customer": card.customer,
            "owner": card.owner,
            "amount": _money(card.amount),
            "percent": f"{card.percent}%" if self.wanted.phase is Phase.OPPORTUNITY else "",
            "days": _("{days} d").format(days=card.days),
            "daysTip": _("{days} days in this stage").format(days=card.days),
            "stuck": card.stuck,
            "next": f"→ {step}" if step else "",
            "late": bool(card.next_on and card.next_on < today),
        }

    # what was done on the board ----------------------------------------------------------------------------------------

    async def _heard(self, event: events.GenericEventArguments) -> None:
        try:
            await self._do(*(event.args.get(key) for key in ("kind", "card", "column")))
        except InvalidInput as error:  # what a browser says need not be an id
            show_failure(error)

    async def _do(self, kind: object, card: object, column: object) -> None:
        if kind == "choose":
            self.chosen = str(card) if card else None
        elif kind == "open" and card:
            await self.sheet.open(parse_id(str(card)))
        elif kind == "more" and column:
            self.more[str(column)] = self.more.get(str(column), CARDS) + CARDS
            await self.draw()
        elif kind == "move" and card and column:
            await self._move(parse_id(str(card)), str(column))

    async def _move(self, card: str, column: str) -> None:
        if column in {WON, LOST}:
            await deeds.decide(self.session, card, won=column == WON)
        else:
            await deeds.move(self.session, card, parse_id(column))

    async def _open_wish(self, identity: str) -> None:
        self.chosen = identity
        await self.sheet.open(parse_id(identity))

    async def _by_owner(self, identity: str | None) -> None:
        self.wanted = replace(self.wanted, owner_id=identity)
        await self.draw()

    async def _by_branch(self, identity: str | None) -> None:
        self.wanted = replace(self.wanted, branch_id=identity)
        await self.draw()

    async def new(self) -> None:
        """Enter an opportunity."""
        await edit_dialog(self.session, OPPORTUNITY)


def _money(amount: Decimal | None) -> str:
    return "" if amount is None else show_kind("money", amount) or ""


def _sums(column: Column) -> list[tuple[str, str]]:
    """What a column comes to, and what of it may be counted on."""
    if column.amount is None:
        return []
    sums = [(f"{column.amount:,.0f}", f"{_('Sum of this column')}: {_money(column.amount)}")]
    if column.percent is not None and column.weighted is not None:
        sums.append((f"≈ {column.weighted:,.0f}", f"{_('Weighted by probability')}: {_money(column.weighted)}"))
    return sums


def filters(session: Session, by_owner: OnChoice, by_branch: OnChoice) -> None:
    """Whose opportunities are looked at; None: everybody's."""
    for kind, label, chosen in (("user", _("Everybody's"), by_owner), ("branch", _("All branches"), by_branch)):
        if session.may(f"{kind}.read"):
            with ui.element("div").classes("lc-board-filter").mark(f"by-{kind}"):
                picker(session, kind, None, chosen, create=False, label=label).props["placeholder"] = label


def chosen_set(session: Session, connection: Connection, phase: Phase, asked: str | None) -> tuple[dict[str, str], str | None]:
    """Departments with stages of their own, and whose stages are shown: those asked for, else those the user's own deals go through."""
    sets = with_own(connection, phase)
    if asked is None:
        return sets, set_of(connection, phase, session.actor.user_id)
    return sets, asked if asked in sets else None


def set_choice(sets: Mapping[str, str], chosen: str | None, path: Callable[[str], str]) -> None:
    """Whose stages are shown, where departments have their own."""
    if not sets:
        return
    names = {
        COMPANY: _("Stages of the company"),
        **{key: _("Stages of {department}").format(department=name) for key, name in sets.items()},
    }
    box = ui.select(names, value=chosen or COMPANY, on_change=lambda event: ui.navigate.to(path(str(event.value))))
    box.props(f'outlined dense options-dense hide-bottom-space aria-label="{_("Stages")}" data-act=stage-set').mark("stage-set")


def phase_links(active: Phase | None) -> None:
    """The three phases beside the title."""
    with ui.element("nav").classes("lc-phases").mark("phases"):
        for phase, label in PHASES.items():
            link = ui.element("a").props(f'href="{PATH}?phase={phase.value}"').mark(f"phase-{phase.value}")
            if phase is active:
                link.props('aria-current="page"')
            with link:
                ui.label(gettext(label))


def view_links(active: str) -> None:
    """Board, list and funnel of the same records."""
    views = {"board": (_("Board"), PATH), "list": (_("As a list"), f"{PATH}/list"), "funnel": (_("Funnel"), f"{PATH}/funnel")}
    views_of_records(views, active)


register(Screen("opportunities", PATH, N_("Deals and projects"), "view_kanban", "opportunity.read", opportunities, "selling", 10))
