"""Customers that are likely one: pair by pair, to merge or to tell apart; and what was told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.crm.alike import MOST_PAIRS, Pair, kinds_compared, likely_pairs, told_apart
from localcrm.domain.crm.entities import Customer
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.query import Record, ref_titles
from localcrm.ui.customer import alike as _advice  # noqa: F401 -- on the form of a customer
from localcrm.ui.customer.merge import CUSTOMER, merge_dialog
from localcrm.ui.endpoints import record_path
from localcrm.ui.frame import page_frame, page_head
from localcrm.ui.kit.look import in_a_sentence
from localcrm.ui.kit.menu import Action, action_button, action_keys, context_menu
from localcrm.ui.kit.places import place_of
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import show
from localcrm.ui.operations import Undo, run_service, run_verb
from localcrm.ui.registry import Badge, Screen, register

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

BOXES = {"likely": N_("Likely the same"), "apart": N_("Told apart")}
EMPTY = {"likely": N_("No two customers look like one."), "apart": N_("No two customers were told apart yet.")}
#: What is shown of each customer below its name.
_SHOWN = ("phone", "tax_no", "address", "owner_id", "branch_id")


async def duplicates(session: Session, parameters: Mapping[str, str]) -> None:
    """Build the screen; ?box= says which list."""
    await Duplicates(session, parameters.get("box", "")).build()


class Duplicates:
    """One open page."""

    def __init__(self, session: Session, box: str) -> None:
        self.session = session
        self.box = box if box in BOXES else "likely"
        self.pairs: list[Pair] = []
        self.cards: list[ui.element] = []
        self.at = 0
        self.shown: object = None  # box, and what was read for it

    async def build(self) -> None:
        """Boxes above, pairs below."""
        with page_frame(self.session, title=_("Duplicates"), active="duplicates"):
            ui.add_head_html(f'<link rel="stylesheet" href="{asset("pages.css")}">')
            actions = self._actions()
            with page_head(_("Duplicates")):
                self.boxes = ui.element("div").classes("lc-quick").mark("boxes")
                ui.space()
                action_button(actions)
            with ui.element("div").classes("lc-scroll lc-fill") as self.room:
                self.list = ui.element("div").classes("lc-pairs").mark("pairs")
                context_menu(actions)
            action_keys([*actions, *self._moves()])
        await self.draw()
        self.session.subscribe({kind.key for kind in kinds_compared()}, lambda _changes: self.draw())

    def _read(self) -> tuple[list[Pair], dict[str, Record], dict[str, dict[str, str]], int]:
        with self.session.store.read() as connection:
            likely = likely_pairs(connection, self.session.actor)
            pairs = likely[:MOST_PAIRS] if self.box == "likely" else told_apart(connection, self.session.actor)
            known = {one: record for pair in pairs for one, record in pair.records.items()}
            return pairs, known, ref_titles(connection, CUSTOMER, list(known.values())), len(likely)

    async def draw(self) -> None:
        """Read and show; the chosen pair stays chosen."""
        outcome = await run_service(self.session, self._read)
        if not outcome.ok or (self.box, outcome.value) == self.shown:  # a button that is just being clicked stays where it is
            return
        self.shown = (self.box, outcome.value)
        chosen = frozenset(self.pair.records) if self.pair else None
        self.pairs, known, names, count = outcome.value
        self.at = place_of([frozenset(pair.records) for pair in self.pairs], chosen, self.at)
        self._draw_boxes(count)
        self.list.clear()
        self.cards = []
        with self.list:
            if not self.pairs:
                with ui.element("div").classes("lc-empty"):
                    ui.label(_(EMPTY[self.box]))
            for place, pair in enumerate(self.pairs):
                self._draw_pair(place, pair, [known[pair.one], known[pair.other]], names)

    def _draw_boxes(self, count: int) -> None:
        self.boxes.clear()
        with self.boxes:
            for box, label in BOXES.items():
                chip = ui.button(on_click=partial(self._choose, box)).props(f"flat dense no-caps data-act=box-{box}").classes("lc-chip")
                chip.classes("lc-acc" if box == self.box else "")
                with chip:
                    ui.label(_(label))
                    if box == "likely" and count:
                        ui.label(f"{MOST_PAIRS}+" if count > MOST_PAIRS else str(count)).classes("lc-count").mark("likely-count")

    def _draw_pair(self, place: int, pair: Pair, records: Sequence[Record], names: Mapping[str, Mapping[str, str]]) -> None:
        card = ui.element("div").classes("lc-card lc-pair" + (" lc-on" if place == self.at else "")).props(f"data-pair={place}")
        card.on("click", partial(self._mark, place)).on("contextmenu", partial(self._mark, place))
        self.cards.append(card)
        with card:
            with ui.element("div").classes("lc-row lc-wrap-row"):
                for key in pair.reasons:
                    ui.label(_("same: {field}").format(field=in_a_sentence(CUSTOMER.fields[key].label))).classes("lc-chip").props(
                        "data-tone=warn"
                    )
                if pair.apart:
                    ui.label(_("entered at two branches")).classes("lc-chip").props("data-tone=acc data-apart")
                if pair.note:
                    ui.label(pair.note).classes("lc-small-text lc-muted")
                ui.space()
                self._buttons(place)
            with ui.element("div").classes("lc-values"):
                for record in records:
                    _side(record, names, pair.reasons)

    def _buttons(self, place: int) -> None:
        if self.box == "apart":
            again = ui.button(_("Look at them again"), on_click=partial(self._on, place, "again"))
            again.props("flat dense no-caps data-act=again")
            return
        ui.button(_("Not the same"), on_click=partial(self._on, place, "apart")).props("flat dense no-caps data-act=apart")
        ui.button(_("Merge…"), on_click=partial(self._on, place, "merge")).props("unelevated dense no-caps data-act=merge").classes(
            "lc-btn"
        )

    # which pair ------------------------------------------------------------------------------------------------------

    @property
    def pair(self) -> Pair | None:
        """The chosen one."""
        return self.pairs[self.at] if 0 <= self.at < len(self.pairs) else None

    def _mark(self, place: int) -> None:
        self.at = place
        for number, card in enumerate(self.cards):
            card.classes(add="lc-on" if number == place else "", remove="" if number == place else "lc-on")

    def _step(self, way: int) -> None:
        if self.cards:
            self._mark((self.at + way) % len(self.cards))
            ui.run_javascript(f"getHtmlElement({self.cards[self.at].id})?.scrollIntoView({{block: 'nearest'}})")

    def _moves(self) -> list[Action]:
        return [
            Action("down", "", lambda: self._step(1), "arrowdown", listed=False),
            Action("up", "", lambda: self._step(-1), "arrowup", listed=False),
        ]

    async def _choose(self, box: str) -> None:
        self.box, self.at = box, 0
        await self.draw()

    async def _on(self, place: int, what: str) -> None:
        self._mark(place)
        await {"merge": self.merge, "apart": self.tell_apart, "again": self.look_again}[what]()

    # what is done ----------------------------------------------------------------------------------------------------

    def _actions(self) -> list[Action]:
        return [Action("merge", _("Merge…"), self.merge, "m"), Action("apart", _("Not the same"), self.tell_apart, "x")]

    async def merge(self) -> None:
        """Make one of the chosen pair."""
        if self.pair:
            await merge_dialog(self.session, self.pair.one, self.pair.other)

    async def tell_apart(self) -> None:
        """They are two; everywhere, from now on."""
        if self.pair and self.box == "likely":
            wish = {"one": self.pair.one, "other": self.pair.other}
            undo = Undo("crm.look_again", wish, _("They are a likely pair again"))
            await run_verb(self.session, "crm.tell_apart", wish, done=_("Told apart; nobody is asked about these two again"), undo=undo)

    async def look_again(self) -> None:
        """They may be one after all."""
        if self.pair and self.box == "apart":
            wish = {"one": self.pair.one, "other": self.pair.other}
            await run_verb(self.session, "crm.look_again", wish, done=_("They are a likely pair again"))


def _side(record: Record, names: Mapping[str, Mapping[str, str]], alike: Sequence[str]) -> None:
    with ui.element("div").classes("lc-value"):
        title = " · ".join(str(record[key]) for key in ("number", "name") if record.get(key))
        ui.link(title or CUSTOMER.label, record_path("customer", record["id"])).classes("lc-strong")
        for key in _SHOWN:
            field = CUSTOMER.fields[key]
            if text := show(field, record.get(key), names.get(key)):
                with ui.element("div").classes("lc-pair-fact"):
                    ui.label(field.label).classes("lc-muted")
                    ui.label(text).classes("lc-warn-text" if key in alike else "")


def _count(session: Session) -> int:
    if not policy.may(session.actor, f"{Customer.entity_type.key}.merge"):
        return 0
    with session.store.read() as connection:
        return len(likely_pairs(connection, session.actor))


register(
    Screen(
        "duplicates",
        "/duplicates",
        N_("Duplicates"),
        "join_inner",
        "customer.merge",
        duplicates,
        "customers",
        70,
        badge=Badge(_count, frozenset(kind.key for kind in kinds_compared()), N_("{count} pairs of customers are likely one")),
    )
)
