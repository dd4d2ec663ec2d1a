"""Pools as those see them who pick: the customers in each, one's own that will go there, and what became of requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from localcrm.domain.crm import pool_admins, pool_limits, pools, reclaim
from localcrm.domain.crm.entities import ChangeKind, ClaimOutcome, Customer
from localcrm.kernel.errors import AppError
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import Field
from localcrm.store.query import TOTAL_CAP, Record, ref_titles
from localcrm.ui.customer.custody import assign_dialog, present, release_dialog
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.lines import cell, heads
from localcrm.ui.kit.look import records_in_words
from localcrm.ui.kit.menu import Action, action_keys, context_menu
from localcrm.ui.kit.places import place_of
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import exact, near_day, near_moment, show
from localcrm.ui.operations import run_service, run_verb, toast, way_back
from localcrm.ui.registry import Badge, Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CUSTOMER = Customer.entity_type
#: Rows that come at once.
PORTION = 50
#: The two boxes beside the pools.
DUE, CLAIMS = "due", "claims"
#: Before the id of a pool: what was given out of it.
GIVEN = "given-"
#: Fields with columns of their own, and what a phone leaves out.
_PLACED = ("name", "released_at", "previous_owner_id", "pool_id", "owner_id")


@dataclass(frozen=True, slots=True)
class State:
    """Everything the page shows, read at once. ``rows``: of the box that is open, as it is drawn · ``asked``: who has asked for a customer, by its id ·
    ``ruled``: pools given out here that have rules of allotting · ``given``: pools the user looks after, as the boxes of what was given out of them ·
    ``gives``: whether he gives out of the pool that is open · ``uncounted``: it counts looks, and this one was not counted yet.
    """

    pools: Sequence[Record]
    home: Mapping[str, str]
    box: str
    rows: Sequence[Any]
    total: str
    more: bool
    fields: Sequence[Field]
    names: Mapping[str, Mapping[str, str]]
    asked: Mapping[str, str]
    due: int
    waiting: int
    ruled: frozenset[str] = frozenset()
    given: Mapping[str, str] = field(default_factory=dict)
    gives: bool = False
    uncounted: bool = False


async def pool_page(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen; ?box= says which list."""
    await _Pools(session, parameters.get("box", "")).build()


class _Pools:
    """One open page."""

    def __init__(self, session: Session, box: str) -> None:
        self.session, self.box, self.search, self.shown = session, box, "", PORTION
        self.state: State | None = None
        self.rows: list[ui.element] = []
        self.at = 0
        self.drawn: tuple[str, list[tuple[str, str, int]]] | None = None  # the boxes as they stand
        self.ticked = dict[str, str]()  # names of the customers that are ticked, by id
        self.looked, self.refused, self.left = (
            "",
            "",
            "",
        )  # for which box and day a look was counted; what was said instead; how many are left

    async def build(self) -> None:
        """Boxes above, the list below."""
        with page_frame(self.session, title=_("Customer pools"), active="pools"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            outcome = await run_service(self.session, self._may_give)
            actions = self._actions(gives=bool(outcome.ok and outcome.value))
            with page_head(_("Customer pools")):
                self.find = (
                    ui.input(placeholder=_("Search in this list"), on_change=self._searched)
                    .classes("lc-find")
                    .mark("list-search")
                    .props("data-act=list-search")
                )
                self.find.props("outlined dense clearable debounce=200 data-find")
                with self.find.add_slot("prepend"):
                    ui.icon("search").props("size=18px")
                self.total = ui.label().classes("lc-total").mark("total").props("data-act=total")
                self.looks = ui.label().classes("lc-muted").mark("looks").props("data-act=looks")
                self.boxes = ui.element("div").classes("lc-quick").mark("boxes").props("data-act=boxes")
                ui.space()
                self.by_rules = ui.button(_("Give out by rules…"), on_click=self._allot).props("unelevated no-caps data-act=allot")
                self.by_rules.classes("lc-btn").mark("allot")
            self.bar = ui.element("div").classes("lc-row").style("flex:none;flex-wrap:wrap;gap:8px").mark("ticked").props("data-act=ticked")
            with ui.element("div").classes("lc-card lc-scroll lc-fill"):
                self.list = ui.element("div").mark("pool-list").props("data-act=pool-list")
                context_menu(actions)
            action_keys([*actions, *self._moves()])
        await self.draw()
        self.session.subscribe({"pool", "allot_rule", "claim_answer", "pool_claim", *reclaim.SOURCES}, lambda _changes: self.draw())

    # reading ---------------------------------------------------------------------------------------------------------------

    def _read(self) -> State:
        session, now = self.session, present(self.session)
        with session.store.read() as connection:
            mine = pools.pools_for(connection, session.actor)
            known = {pool["id"]: pool for pool in mine}
            given = {f"{GIVEN}{pool['id']}": str(pool["name"]) for pool in mine if pool_admins.looks_after(session.actor, pool)}
            box = self.box if self.box in {*known, *given, DUE, CLAIMS} else next(iter(known), DUE)
            pool = known.get(box)
            counted = pool is not None and pool["looks_per_day"] is not None and not pool_admins.looks_after(session.actor, pool)
            uncounted = counted and self.looked != f"{box} {now.astimezone().date()}"
            user = session.actor.user_id
            dues = reclaim.due_of_owner(connection, now, user) if user else []
            near = [due for due in dues if due.is_near]
            claims = pools.my_claims(connection, session.actor, now)
            home = {
                pool["id"]: pool_limits.home_name(connection, pool) for pool in mine if not pool_limits.is_home(session.store.node, pool)
            }
            rows: Sequence[Any] = claims
            total, more, fields, names = f"{len(claims):,}", False, list[Field](), dict[str, dict[str, str]]()
            asked = dict[str, str]()
            if box == DUE:
                rows, more = self._dues(connection, dues)
                total = f"{len(rows):,}"
            elif box in given:
                rows = pool_admins.given_out(connection, session.actor, known[box.removeprefix(GIVEN)], search=self.search)
                total = f"{len(rows):,}"
            elif uncounted:
                rows, total = [], "0"
            elif box != CLAIMS:
                page = pools.pool_page(connection, session.actor, box, now=now, search=self.search, limit=self.shown)
                rows, more = page.rows, page.total > len(page.rows)
                total = f"{TOTAL_CAP:,}+" if page.capped else f"{page.total:,}"
                view = pools.pool_view(session.actor, known[box])
                fields = [one for one in CUSTOMER.readable if one.key not in view.hidden and one.key not in _PLACED]
                names = ref_titles(connection, CUSTOMER, page.rows)
                asked = pools.asked_for(connection, [row["id"] for row in page.rows], now) if box in home else {}
            waiting = sum(claim["outcome"] is None for claim in claims)
            ruled = connection.all("SELECT DISTINCT pool_id FROM allot_rule WHERE deleted = 0 AND active = 1")
            here = frozenset(pool.hex() for (pool,) in ruled) & known.keys() - home.keys()
            gives = pool is not None and pool_admins.gives_out(session.actor, pool)
            return State(mine, home, box, rows, total, more, fields, names, asked, len(near), waiting, here, given, gives, uncounted)

    def _dues(self, connection: Any, dues: Sequence[reclaim.Due]) -> tuple[list[dict[str, Any]], bool]:
        """One's own customers that a rule will take; the next first."""
        return reclaim.told(connection, self.session.actor, dues[: self.shown]), len(dues) > self.shown

    async def draw(self) -> None:
        """Read and show; the chosen line stays chosen."""
        outcome = await run_service(self.session, self._read)
        if not outcome.ok:
            return
        chosen = self.chosen["id"] if self.chosen else None
        state: State = outcome.value
        if state.uncounted and not self.refused and await self._count_look(state.box):
            await self.draw()
            return
        self.state, self.box = state, state.box
        self._draw_boxes(state)
        self.looks.set_text(self.left if state.box in {pool["id"] for pool in state.pools} else "")
        self.find.set_visibility(state.box not in {DUE, CLAIMS})
        self.by_rules.set_visibility(state.gives and state.box in state.ruled)
        self.total.set_text(records_in_words(state.total))
        self.at = place_of([row.get("id") for row in state.rows], chosen, self.at)
        here = {row["id"] for row in state.rows} - state.asked.keys() if not self._is_aside(state) else set()
        self.ticked = {one: name for one, name in self.ticked.items() if one in here}
        self._draw_bar()
        self.list.clear()
        self.rows = []
        with self.list:
            draw: Callable[[State], None] = {DUE: self._draw_due, CLAIMS: self._draw_claims}.get(state.box, self._draw_pool)
            (self._draw_given if state.box in state.given else draw)(state)
            if state.more:
                with ui.element("div").classes("lc-row").style("justify-content:center;padding:12px"):
                    ui.button(_("Show more"), on_click=self._more).props("unelevated no-caps").classes("lc-btn").mark("more").props(
                        "data-act=more"
                    )

    async def _count_look(self, pool: str) -> bool:
        """Say that the pool is looked into; whether it may be."""

        def refuse(error: AppError) -> bool:
            self.refused = error.message
            return True

        outcome = await run_verb(self.session, "crm.look_into_pool", {"pool_id": pool}, on_error=refuse)
        if outcome.ok:
            self.looked = f"{pool} {present(self.session).astimezone().date()}"
            left = outcome.value["left"]
            self.left = "" if left is None else _("{count} more looks today").format(count=left)
        return outcome.ok

    def _is_aside(self, state: State) -> bool:
        """Whether another list is open than the customers in a pool."""
        return state.box in {DUE, CLAIMS, *state.given}

    def _draw_boxes(self, state: State) -> None:
        found = [(pool["id"], str(pool["name"]), 0) for pool in state.pools]
        found += [(box, _("Given out of “{pool}”").format(pool=name), 0) for box, name in state.given.items()]
        found += [(DUE, _("My customers to be reclaimed"), state.due), (CLAIMS, _("My requests"), state.waiting)]
        if (state.box, found) == self.drawn:  # they stay as they stand: a click in the moment of drawing would be lost
            return
        self.drawn = (state.box, found)
        self.boxes.clear()
        with self.boxes:
            for box, label, count in found:
                chip = ui.button(on_click=partial(self._choose, box)).props("flat dense no-caps")
                with chip.classes("lc-chip lc-acc" if box == state.box else "lc-chip").mark(f"box-{box}").props(f"data-act=box-{box}"):
                    ui.label(label)
                    if count:
                        ui.label(str(count)).classes("lc-count")

    def _draw_bar(self) -> None:
        """What can be done with the customers that are ticked; nothing while none is."""
        self.bar.clear()
        self.bar.set_visibility(bool(self.ticked))
        if not self.ticked:
            return
        with self.bar:
            count = f"{len(self.ticked):,}"
            pick = ui.button(_("Pick {count}").format(count=count), on_click=self.pick).props("unelevated no-caps data-act=pick-ticked")
            pick.classes("lc-pri").mark("pick-ticked")
            if self.state is not None and self.state.gives:
                assign = ui.button(_("Assign {count}…").format(count=count), on_click=self.assign)
                assign.props("unelevated no-caps data-act=assign-ticked").classes("lc-btn").mark("assign-ticked")
                if len(self.state.pools) > 1:
                    move = ui.button(_("Move {count}…").format(count=count), on_click=self.move)
                    move.props("unelevated no-caps data-act=move-ticked").classes("lc-btn").mark("move-ticked")
            ui.button(_("Untick"), on_click=self._untick).props("flat no-caps").classes("lc-btn")

    async def _untick(self) -> None:
        self.ticked.clear()
        await self.draw()

    def _tick(self, row: Record, event: events.ValueChangeEventArguments[Any]) -> None:
        self.ticked.pop(row["id"], None)
        if event.value:
            self.ticked[row["id"]] = str(row["name"])
        self._draw_bar()

    # the lists ---------------------------------------------------------------------------------------------------------------

    def _draw_pool(self, state: State) -> None:
        if state.box in state.home:
            with ui.element("div").classes("lc-notice lc-info").style("margin:10px 14px").mark("elsewhere").props("data-act=elsewhere"):
                ui.label(
                    _("{place} gives these out. What you pick here is a request; the answer comes with an exchange.").format(
                        place=state.home[state.box]
                    )
                )
        if not state.rows:
            with ui.element("div").classes("lc-empty"):
                empty = _("No customers match.") if self.search else _("The pool is empty.")
                ui.label(self.refused if state.uncounted else empty).mark("nothing")
            return
        with ui.element("table").classes("lc-table"):
            columns = [(field.label, "lc-hide-phone" if field.key != "phone" else "") for field in state.fields]
            heads(
                "",
                CUSTOMER.fields["name"].label,
                *columns,
                (_("Days in the pool"), "lc-num lc-hide-phone"),
                (_("Former salesperson"), "lc-hide-phone"),
                "",
            )
            for place, row in enumerate(state.rows):
                self._draw_customer(place, row, state)

    def _draw_customer(self, place: int, row: Record, state: State) -> None:
        with self._row(place):
            with ui.element("td").style("width:34px"):
                if row["id"] not in state.asked:
                    box = ui.checkbox(value=row["id"] in self.ticked, on_change=partial(self._tick, row))
                    box.props(f'dense aria-label="{_("Choose")}" data-act=tick-{place}').mark(f"tick-{place}")
            cell(str(row["name"]), "lc-strong")
            for field in state.fields:
                text = show(field, row[field.key], state.names.get(field.key)) or "—"
                cell(text, "" if field.key == "phone" else "lc-hide-phone")
            at = row.get("released_at")
            days = str((present(self.session).astimezone().date() - at.astimezone().date()).days) if at else ""
            cell(days, "lc-num lc-hide-phone", tip=exact(at) if at else None)
            cell(state.names.get("previous_owner_id", {}).get(str(row.get("previous_owner_id")), "—"), "lc-muted lc-hide-phone")
            with ui.element("td").classes("lc-num"):
                if row["id"] in state.asked:
                    ui.label(_("asked for by {name}").format(name=state.asked[row["id"]])).classes("lc-chip").props("data-tone=warn")
                    return
                ui.button(_("Pick"), on_click=partial(self._at, place, self._pick_one)).props("flat dense no-caps").mark(
                    f"pick-{place}"
                ).props(f"data-act=pick-{place}")

    def _draw_given(self, state: State) -> None:
        """What was given out of a pool that the user looks after, and can be taken back into it."""
        if not state.rows:
            with ui.element("div").classes("lc-empty"):
                ui.label(_("No customers match.") if self.search else _("Nothing that was given out of this pool is with anybody now."))
            return
        with ui.element("table").classes("lc-table"):
            heads(CUSTOMER.fields["name"].label, _("Salesperson"), (_("How"), "lc-hide-phone"), (_("Since"), "lc-hide-phone"), "")
            for place, row in enumerate(state.rows):
                with self._row(place):
                    cell(row["name"], "lc-strong")
                    cell(row["owner"])
                    cell(gettext(ChangeKind(row["kind"]).label), "lc-muted lc-hide-phone")
                    cell(near_moment(row["at"]), "lc-muted lc-hide-phone", tip=exact(row["at"]))
                    with ui.element("td").classes("lc-num"):
                        back = ui.button(_("Take back…"), on_click=partial(self._take_back, row, state.box.removeprefix(GIVEN)))
                        back.props(f"flat dense no-caps data-act=back-{place}").mark(f"back-{place}")

    def _draw_due(self, state: State) -> None:
        if not state.rows:
            with ui.element("div").classes("lc-empty"):
                ui.label(_("No rule takes any of your customers."))
            return
        with ui.element("table").classes("lc-table"):
            heads(
                CUSTOMER.fields["name"].label,
                _("Days left"),
                (_("Goes on"), "lc-hide-phone"),
                _("Pool"),
                (_("Reclaim rule"), "lc-hide-phone"),
            )
            for place, row in enumerate(state.rows):
                with self._row(place).on("dblclick", partial(self._open, row["customer"])):
                    with ui.element("td"), ui.element("a").props(f'href="/customers?open={row["customer"]}"'):
                        ui.label(row["name"]).classes("lc-strong")
                    with ui.element("td"):
                        tone = "bad" if row["days"] <= 0 else "warn" if place < state.due else "plain"
                        ui.label(str(max(0, row["days"]))).classes("lc-chip").props(f"data-tone={tone}")
                    cell(near_day(date.fromisoformat(row["day"])), "lc-muted lc-hide-phone")
                    cell(row["pool"])
                    cell(row["rule"], "lc-muted lc-hide-phone")

    def _draw_claims(self, state: State) -> None:
        if not state.rows:
            with ui.element("div").classes("lc-empty"):
                ui.label(_("You have asked for no customer. Where another place gives a pool out, what you pick is listed here."))
            return
        with ui.element("table").classes("lc-table"):
            heads(CUSTOMER.fields["name"].label, _("Outcome"), (_("Pool"), "lc-hide-phone"), _("Time"), (_("Lapses at"), "lc-hide-phone"))
            for place, claim in enumerate(state.rows):
                with self._row(place):
                    with ui.element("td"):
                        if claim["is_yours"]:
                            with ui.element("a").props(f'href="/customers?open={claim["wanted"]}&tab=overview"').mark("to-customer"):
                                ui.label(claim["into"] or claim["title"]).classes("lc-strong")
                        else:
                            ui.label(claim["title"]).classes("lc-strong")
                    with ui.element("td"):
                        outcome = claim["outcome"]
                        tone = "warn" if outcome is None else "good" if outcome == ClaimOutcome.GRANTED else "bad"
                        ui.label(pools.outcome_words(outcome)).classes("lc-chip").props(f"data-tone={tone}")
                        if said := pools.told_outcome(claim):
                            ui.label(said).classes("lc-small-text lc-muted lc-wrap").mark("outcome")
                    cell(claim["pool"], "lc-hide-phone")
                    cell(near_moment(claim["at"]), "lc-muted", tip=exact(claim["at"]))
                    cell(near_moment(claim["expires_at"]) if outcome is None else "", "lc-muted lc-hide-phone")

    def _row(self, place: int) -> ui.element:
        row = (
            ui.element("tr")
            .classes("lc-hover" + (" lc-on" if place == self.at else ""))
            .mark(f"row-{place}")
            .props(f"data-act=row-{place}")
        )
        row.on("click", partial(self._mark, place)).on("contextmenu", partial(self._mark, place))
        self.rows.append(row)
        return row

    # which line ----------------------------------------------------------------------------------------------------------------

    @property
    def chosen(self) -> Record | None:
        """The chosen customer of a pool; None in the other boxes."""
        state = self.state
        if state is None or self._is_aside(state) or not 0 <= self.at < len(state.rows):
            return None
        return state.rows[self.at]  # type: ignore[no-any-return]

    def _mark(self, place: int) -> None:
        self.at = place
        for number, row in enumerate(self.rows):
            row.classes(add="lc-on" if number == place else "", remove="" if number == place else "lc-on")

    async def _at(self, place: int, act: Callable[[], Any]) -> None:
        self._mark(place)
        await act()

    def _step(self, way: int) -> None:
        if self.rows:
            self._mark((self.at + way) % len(self.rows))

    def _moves(self) -> list[Action]:
        return [
            Action("down", "", lambda: self._step(1), "arrowdown", listed=False),
            Action("up", "", lambda: self._step(-1), "arrowup", listed=False),
        ]

    async def _choose(self, box: str) -> None:
        self.box, self.at, self.shown = box, 0, PORTION
        self.looked = self.refused = self.left = ""
        self.ticked.clear()
        await self.draw()

    async def _more(self) -> None:
        self.shown += PORTION
        await self.draw()

    async def _searched(self, event: events.ValueChangeEventArguments[Any]) -> None:
        self.search, self.at, self.shown = str(event.value or ""), 0, PORTION
        await self.draw()

    # what is done ----------------------------------------------------------------------------------------------------------------

    def _may_give(self) -> bool:
        """Whether the user gives out of any pool."""
        with self.session.store.read() as connection:
            return any(pool_admins.gives_out(self.session.actor, pool) for pool in pools.pools_for(connection, self.session.actor))

    def _actions(self, *, gives: bool) -> list[Action]:
        actions = [Action("pick", _("Pick"), self.pick, "p")]
        if gives:
            actions += [Action("assign", _("Assign…"), self.assign), Action("move", _("Move to another pool…"), self.move)]
        return actions

    def _meant(self) -> dict[str, str]:
        """Names of the customers that are ticked, by id; without ticks the chosen one."""
        chosen = self.chosen
        return dict(self.ticked) or ({chosen["id"]: str(chosen["name"])} if chosen else {})

    async def _pick_one(self) -> None:
        self.ticked.clear()
        await self.pick()

    async def pick(self) -> None:
        """Take the customers that are meant, or ask for them where another place gives the pool out."""
        meant = self._meant()
        if not meant:
            return
        outcome = await run_verb(self.session, "crm.pick", {"customers": list(meant)})
        if not outcome.ok:
            await self.draw()
            return
        one = len(meant) == 1
        if outcome.value["granted"]:
            text = _("“{name}” is yours") if one else _("{count} customers are yours")
        else:
            wait = _("You have asked for “{name}”; the answer comes with an exchange")
            text = wait if one else _("You have asked for {count} customers; the answer comes with an exchange")
        self.ticked.clear()
        await self.draw()
        with self.list:  # the button that was pressed is gone
            toast(text.format(name=next(iter(meant.values()))[:60], count=f"{len(meant):,}"))

    async def assign(self) -> None:
        """Give the customers that are meant to somebody."""
        if meant := self._meant():
            name = next(iter(meant.values()))[:60] if len(meant) == 1 else _("{count} customers").format(count=f"{len(meant):,}")
            with self.list:
                await assign_dialog(self.session, list(meant), name)

    async def move(self) -> None:
        """Put the customers that are meant into another pool."""
        if (meant := self._meant()) and self.state is not None:
            name = next(iter(meant.values()))[:60] if len(meant) == 1 else _("{count} customers").format(count=f"{len(meant):,}")
            with self.list:
                await release_dialog(self.session, list(meant), name, out_of=self.state.box)

    async def _take_back(self, row: Mapping[str, Any], pool: str) -> None:
        """Put a customer that was given out back into the pool."""
        with self.list:
            await release_dialog(self.session, [row["id"]], row["name"][:60], into=pool)

    async def _allot(self) -> None:
        """First who would be given what, then the deed, and what came of it."""
        outcome = await run_verb(self.session, "crm.allot_preview", {"pool_id": self.box})
        if not outcome.ok:
            return
        rows, left = outcome.value["rows"], outcome.value["left"]
        if not rows:
            toast(_("No rule gives a customer of this pool to anybody now."))
            return
        with page_dialog() as dialog, ui.card().classes("lc-dialog").mark("allot-dialog").props("data-act=allot-dialog"):
            ui.label(_("{count} customers are given out").format(count=f"{len(rows):,}")).classes("lc-dialog-title")
            each = Counter(row["to_name"] for row in rows)
            ui.label(_(", ").join(f"{name} {count:,}" for name, count in each.most_common())).classes("lc-muted")
            with ui.element("div").classes("lc-scroll"), ui.element("table").classes("lc-table"):
                heads(_("Customer"), _("New salesperson"), (_("Rule"), "lc-hide-phone"))
                for row in rows:
                    with ui.element("tr"):
                        cell(row["name"], "lc-strong")
                        cell(row["to_name"])
                        cell(row["rule"], "lc-muted lc-hide-phone")
            if left:
                ui.label(_("{count} stay: no rule fits them, or nobody has room.").format(count=f"{left:,}")).classes("lc-muted")
            with ui.element("div").classes("lc-dialog-buttons"):
                ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
                yes = ui.button(_("Give out"), on_click=lambda: dialog.submit(True)).props("unelevated no-caps data-act=yes")
                yes.classes("lc-pri").mark("yes")
        if await answer_of(dialog):
            done = await run_verb(self.session, "crm.allot", {"pool_id": self.box})
            if done.ok:
                toast(_("{count} customers given out").format(count=done.value["moved"]), undo=way_back(self.session, done))

    def _open(self, customer: str) -> None:
        ui.navigate.to(f"/customers?open={customer}")


def _near(session: Session) -> int:
    """How many of one's own customers will go to a pool soon."""
    user = session.actor.user_id
    with session.store.read() as connection:
        return sum(due.is_near for due in reclaim.due_of_owner(connection, present(session), user)) if user else 0


register(
    Screen(
        "pools",
        "/pools",
        N_("Pools"),
        "waves",
        "customer.pick",
        pool_page,
        "customers",
        60,
        badge=Badge(_near, reclaim.SOURCES, N_("{count} of your customers will go to a pool soon")),
    )
)
