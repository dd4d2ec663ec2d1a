"""The left column of the customer workbench: queries to choose from, below them groupings with live counts and sums.

What is chosen here narrows the list, and stands above it as a chip that is taken away with a click. A row of the list that is
dragged onto a group gets that group's value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import context, events, ui

from localcrm.domain import policy
from localcrm.domain.conditions import MEASURES, PRESETS, Asking, is_askable
from localcrm.domain.crm.entities import Customer, ShownTo
from localcrm.domain.crm.groups import AGE, AGE_LABEL, AGES, Block, Group, age_tree, blocks, dimensions, groups
from localcrm.domain.crm.queries import Kept, askable_presets, changeable_fields, kept_queries
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import N_, gettext, gettext as _
from localcrm.kernel.schema import Field, entity as entity_type
from localcrm.store.query import TOTAL_CAP, ListQuery, select, titles
from localcrm.ui.customer.builder import query_dialog
from localcrm.ui.kit.dialogs import answer_of, page_dialog
from localcrm.ui.kit.grid import RecordGrid
from localcrm.ui.kit.look import in_a_sentence
from localcrm.ui.kit.menu import afterwards
from localcrm.ui.kit.props import quoted
from localcrm.ui.kit.theme import asset
from localcrm.ui.kit.values import show_kind, tags_of, tone
from localcrm.ui.operations import run_service, run_verb
from localcrm.ui.search_centre.coverage import Coverage, coverage, in_short, words as until_when

if TYPE_CHECKING:
    from localcrm.store.connection import Connection
    from localcrm.ui.sessions import Session

_CUSTOMER = Customer.entity_type
#: Presets that stand in the column; the others are one click away.
AT_HAND = ("mine", "to_contact", "overdue", "dormant")
#: What counts and sums are made of.
SHOWN_IN_GROUPS = frozenset({"customer", "activity", "sales_order", "receipt", "saved_query", "grouping"})
#: Groups of one block, and groups within one of them.
MOST_SHOWN = 12
#: Colours of values that have one, by what a chip calls it.
_SHADES = {"good": "good", "acc": "accent", "warn": "warn", "bad": "bad"}
_SELECT = "outlined dense options-dense hide-bottom-space"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The query that narrows the list: a preset or a saved one by key, or conditions just put together."""

    key: str
    name: str
    tree: Mapping[str, Any]
    columns: tuple[str, ...] = ()


def preset_of(session: Session, key: str, *, mine: bool) -> Chosen | None:
    """A preset that a link leads to, of one's own customers only (``mine``) or of all; None for one that this user may not ask."""
    found = PRESETS[_CUSTOMER.key].get(key)
    if found is None or not is_askable(_CUSTOMER, found.tree, Asking(session.actor)):
        return None
    name = gettext(found.label)
    if mine:
        return Chosen(f"mine:{key}", _("Mine · {name}").format(name=name), {"all": [{"ask": "mine"}, found.tree]})
    return Chosen(f"preset:{key}", name, found.tree)


@dataclass(slots=True)
class _Read:
    """What the column shows."""

    total: str
    blocks: list[tuple[Block, list[Group]]] = field(default_factory=list)
    words: dict[str, dict[Any, str]] = field(default_factory=dict)
    saved: list[Kept] = field(default_factory=list)
    presets: list[tuple[str, str]] = field(default_factory=list)
    targets: frozenset[str] = frozenset()
    coverage: Coverage | None = None


class Left:
    """The column of one open page: ``box`` holds it, ``chips`` what narrows the list."""

    def __init__(self, session: Session, grid: RecordGrid, box: ui.element, chips: ui.element, query: Chosen | None = None) -> None:
        self.session, self.grid, self.box, self.chips = session, grid, box, chips
        self.query = query
        self.aged: list[tuple[str, str, Any]] = []  # by how long ago the customers were last in contact, where the list is narrowed by that
        self.words: dict[tuple[str, Any], str] = {}
        self.places: list[list[tuple[str, Any, str]]] = []
        self.before: list[str] | None = None
        self.known: _Read | None = None
        self.is_reading = self.is_stale = False
        # What a handler does after the column was drawn anew must not stand in the element that was clicked: it is gone.
        self.page = context.client.content
        ui.add_head_html(f'<link rel="stylesheet" href="{asset("queries.css")}"><script src="{asset("grouping.js")}"></script>')
        ui.on("group-drop", self._dropped)

    # reading ---------------------------------------------------------------------------------------------------------------

    async def draw(self) -> None:
        """Queries, groups and chips as they are now; what has not changed stays as it stands, an open menu too."""
        self.is_stale = True
        if self.is_reading:  # whoever reads now reads once more
            return
        self.is_reading = True
        try:
            while self.is_stale:
                self.is_stale = False
                with self.page:
                    outcome = await run_service(self.session, self._read)
                if outcome.ok and outcome.value != self.known and not self.box.is_deleted:
                    self.known = outcome.value
                    self.show()
        finally:
            self.is_reading = False

    def show(self) -> None:
        """The column as it was read last, with what narrows the list now."""
        if self.known is not None:
            self._draw(self.known)

    def _read(self) -> _Read:
        session, actor = self.session, self.session.actor
        with session.store.read() as connection:
            page = select(connection, ListQuery(_CUSTOMER, limit=0, restrict=policy.view(actor, _CUSTOMER)))
            found = _Read(f"{TOTAL_CAP:,}+" if page.capped else f"{page.total:,}")
            for block in blocks(connection, actor, session.store.node):
                inside = groups(connection, actor, block)
                found.blocks.append((block, inside))
                self._name(connection, found.words, block, inside)
            found.saved = kept_queries(connection, actor, session.store.node)
        found.coverage = coverage(session.store)
        found.presets = [(one.key, gettext(one.label)) for one in askable_presets(Asking(actor))]
        found.targets = frozenset(one.key for one in changeable_fields(actor))
        return found

    def _name(self, connection: Connection, words: dict[str, dict[Any, str]], block: Block, inside: Sequence[Group]) -> None:
        values = {block.first: [one.value for one in inside]}
        if block.second:
            values[block.second] = [one.value for group in inside for one in group.within]
        for key, held in values.items():
            if key == AGE:
                words[AGE] = {age: gettext(label) for age, (label, _days) in AGES.items()}
                continue
            column = _CUSTOMER.fields[key]
            named = titles(connection, entity_type(column.f.ref), [one for one in held if one]) if column.f.ref else {}
            labels = {value: gettext(label) for value, label in column.options.items()}
            plain = {one: _short(column, one) for one in held if one is not None}
            words.setdefault(key, {}).update({**plain, **labels, **named, None: _("(none)")})

    # drawing ---------------------------------------------------------------------------------------------------------------

    def _draw(self, found: _Read) -> None:
        self.places = []
        self.box.clear()
        with self.box:
            self._row(_("All"), found.total, on=not self.narrowed and self.query is None, mark="group-all-", run=self.show_all)
            self._draw_queries(found)
            for block, inside in found.blocks:
                if len(inside) > 1 or block.first == "level" or block.id:
                    self._draw_block(found, block, inside)
            with ui.element("button").classes("lc-group").props('type="button" data-act=new-grouping').mark("new-grouping") as more:
                ui.label(_("＋ New grouping"))
            more.on("click", partial(self.edit_grouping, None))
        self._draw_chips()

    def _draw_queries(self, found: _Read) -> None:
        with ui.element("div").classes("lc-group-head lc-with-menu"):
            ui.label(_("Queries"))
        at_hand = [(f"preset:{key}", label) for key, label in found.presets if key in AT_HAND]
        at_hand += [(one.id, one.name) for one in found.saved if one.pinned and one.usable]
        key = self.query.key if self.query else ""
        if self.query and key and key not in dict(at_hand):
            at_hand.append((key, self.query.name))
        for one, label in at_hand:
            self._row(label, "", on=one == key, mark=f"query-{one.removeprefix('preset:')}", run=partial(self._ask_known, found, one))
        with (
            ui.element("button").classes("lc-group").props('type="button" aria-haspopup="menu" data-act=more-queries').mark("more-queries")
        ):
            ui.label(_("More queries…"))
            with ui.menu().classes("lc-menu").props("auto-close"):
                afterwards(partial(self._menu, found))

    def _menu(self, found: _Read) -> None:
        for key, label in found.presets:
            ui.menu_item(label, on_click=partial(self._ask_known, found, f"preset:{key}")).props(f"data-act=pick-{key}").mark(f"pick-{key}")
        for shown_to in ShownTo:
            part = [one for one in found.saved if one.shown_to == shown_to]
            if part:
                ui.separator()
                ui.label(gettext(SAVED[shown_to])).classes("lc-group-head")
            for one in part:
                with ui.menu_item(on_click=partial(self._ask_known, found, one.id)).mark(f"pick-{one.name}") as item:
                    ui.label(one.name).classes("grow lc-cut")
                    if one.own:
                        self._pen(one)
                if not one.usable:
                    item.props("disable").tooltip(_("It is about fields or records that you may not see"))
        ui.separator()
        ui.menu_item(_("＋ New query…"), on_click=partial(self.build, None)).props("data-act=new-query").mark("new-query")
        if self.query is not None:
            ui.menu_item(_("Change this query…"), on_click=partial(self.build, None, self.query.tree)).props("data-act=change-query").mark(
                "change-query"
            )

    def _pen(self, one: Kept) -> None:
        pen = ui.button(icon="edit").props(f'flat dense round size=sm aria-label="{_("Edit")}"').mark(f"edit-{one.name}")
        pen.on("click.stop", partial(self.build, one))

    def _draw_block(self, found: _Read, block: Block, inside: Sequence[Group]) -> None:
        fields = [in_a_sentence(_label(key)) for key in (block.first, block.second) if key]
        with ui.element("div").classes("lc-group-head lc-with-menu"):
            ui.label(_("By {field}").format(field=" · ".join(fields))).classes("lc-cut")
            if block.own:
                pen = ui.button(icon="edit", on_click=partial(self.edit_grouping, block)).props(
                    f'flat dense round size=xs aria-label="{_("Edit")}"'
                )
                pen.mark(f"edit-grouping-{block.first}")
        for group in inside[:MOST_SHOWN]:
            place = [self._part(found, block.first, group)]
            self._group(found, place, group)
            if block.second and self._is_on(place):
                for one in group.within[:MOST_SHOWN]:
                    self._group(found, [*place, self._part(found, block.second, one)], one)
        if len(inside) > MOST_SHOWN:
            ui.label(_("and {count} more").format(count=len(inside) - MOST_SHOWN)).classes("lc-muted lc-small-text").style(
                "padding:2px 8px"
            )

    @staticmethod
    def _part(found: _Read, key: str, group: Group) -> tuple[str, Any, str]:
        return key, group.value, found.words[key].get(group.value, str(group.value))

    def _group(self, found: _Read, place: list[tuple[str, Any, str]], group: Group) -> None:
        key, value, word = place[-1]
        row = self._row(
            word,
            f"{group.count:,}",
            on=self._is_on(place) and (len(place) > 1 or not any(self._is_on([*place, (k, v, "")]) for k, v in self._others(key))),
            mark=f"group-{key}-{'' if value is None else value}",
            run=partial(self.narrow, place),
            total=None if group.total is None else show_kind("money", group.total),
            colour="" if key == AGE else _colour(_CUSTOMER.fields[key], value),
        )
        if len(place) > 1:
            row.classes("lc-nested")
        if all(part[0] in found.targets for part in place) and (len(place) == 1 or not any(map(_is_tag, place))):
            row.props(f"data-drop={len(self.places)}")
            self.places.append(place)

    def _others(self, key: str) -> list[tuple[str, Any]]:
        return [(part[0], _value(part[2])) for part in self.narrowed if part[0] != key]

    def _is_on(self, place: Sequence[tuple[str, Any, str]]) -> bool:
        return all(_condition(key, value) in self.narrowed for key, value, _word in place)

    @property
    def narrowed(self) -> list[tuple[str, str, Any]]:
        """The groups that the list is narrowed to."""
        return [*self.grid.where, *self.aged]

    @staticmethod
    def _row(word: str, count: str, *, on: bool, mark: str, run: Any, total: str | None = None, colour: str = "") -> ui.element:
        row = ui.element("button").classes("lc-group lc-on" if on else "lc-group").props('type="button"').mark(mark)
        with row:
            name = ui.label(word)
            if colour:
                name.classes("lc-dotted").style(f"--dot:{colour}")
            if count:
                ui.label(count)
            if total is not None:
                ui.label(total).classes("lc-group-sum")
                row.classes("lc-summed")
        row.on("click", run)
        return row

    def _draw_chips(self) -> None:
        self.chips.clear()
        with self.chips:
            if self.query is not None:
                self._chip(self.query.name, "chip-query", self.forget)
            for key, _operator, value in self.narrowed:
                words = {"field": _label(key), "value": self.words.get((key, _value(value)), "")}
                self._chip(_("{field} = {value}").format(**words), f"chip-{key}", partial(self._widen, key))

            if (self.query is not None or self.narrowed) and self.known is not None and self.known.coverage is not None:
                known_until = ui.label(in_short(self.known.coverage, now_utc())).classes("lc-small-text lc-muted").mark("as-of")
                if told := until_when(self.known.coverage)[1:]:
                    known_until.tooltip(" · ".join(told))

    @staticmethod
    def _chip(text: str, mark: str, run: Any) -> None:
        with ui.element("button").classes("lc-chip lc-acc").props('type="button"').mark(mark) as chip:
            ui.label(f"{text} ✕")
        chip.on("click", run)

    # narrowing -------------------------------------------------------------------------------------------------------------

    async def show_all(self) -> None:
        """Every customer again."""
        self.grid.where, self.aged = [], []
        await self.forget()

    async def forget(self) -> None:
        """The list without its query."""
        await self._ask(None)

    def narrow(self, place: Sequence[tuple[str, Any, str]]) -> None:
        """Only the customers of a group; the same group again: of the one around it."""
        keys = {key for key, _value, _word in place}
        kept = place[:-1] if self._is_on(place) else place
        self.words.update({(key, value): word for key, value, word in kept})
        now = [part for part in self.narrowed if part[0] not in keys] + [_condition(key, value) for key, value, _word in kept]
        self.grid.where, self.aged = [part for part in now if part[0] != AGE], [part for part in now if part[0] == AGE]
        self.grid.tree = self._tree()
        self.grid.requery()
        self.show()

    def _widen(self, key: str) -> None:
        self.aged = [part for part in self.aged if part[0] != key]
        self.grid.tree = self._tree()
        self.grid.narrow(key, None)
        self.show()

    def _tree(self) -> Mapping[str, Any] | None:
        """The conditions of the query, and of the group by days since contact."""
        query = [self.query.tree] if self.query else []
        trees = [*query, *(age_tree(value) for _key, _operator, value in self.aged)]
        return {"all": trees} if len(trees) > 1 else next(iter(trees), None)

    async def _ask_known(self, found: _Read, key: str) -> None:
        if self.query is not None and self.query.key == key:
            await self.forget()
        elif key.startswith("preset:"):
            one = PRESETS[_CUSTOMER.key][key.removeprefix("preset:")]
            await self._ask(Chosen(key, gettext(one.label), one.tree))
        else:
            kept = next(one for one in found.saved if one.id == key)
            await self._ask(Chosen(key, kept.name, kept.tree, kept.columns))

    async def _ask(self, query: Chosen | None) -> None:
        self.query = query
        self.grid.tree = self._tree()
        self.grid.requery()
        self.show()
        with self.page:
            await self._arrange(query.columns if query else ())

    async def _arrange(self, columns: Sequence[str]) -> None:
        """The columns that go with a query; those from before come back when it goes."""
        if columns and self.before is None:
            self.before = await self.grid.shown_columns()
        wanted = list(columns) or self.before
        if wanted:
            self.grid.show_columns(wanted, own=not columns)
        if not columns:
            self.before = None

    async def build(self, kept: Kept | None, tree: Mapping[str, Any] | None = None) -> None:
        """Put a query together, or change one."""
        with self.page:
            answer = await query_dialog(self.session, kept, tree, columns=await self.grid.shown_columns())
        if answer is None:
            return
        if answer.tree is None:  # thrown away
            await self._ask(None)
        else:
            await self._ask(Chosen(answer.id, answer.name or _("Own conditions"), answer.tree, answer.columns))
        await self.draw()

    # groupings -------------------------------------------------------------------------------------------------------------

    async def edit_grouping(self, block: Block | None) -> None:
        """Make a grouping, change one or throw it away."""
        session = self.session
        fields = dimensions(session.actor)
        measures = {"": _("no sum"), **{one.key: gettext(one.label) for one in MEASURES[_CUSTOMER.key].values()}}
        with self.page, page_dialog() as dialog, ui.card().classes("lc-dialog lc-narrow").mark("grouping-dialog"):
            ui.label(_("Grouping")).classes("lc-dialog-title")
            first = _choice(_("Grouped by"), fields, block.first if block else next(iter(fields), None), "first")
            second = _choice(_("Then by"), {"": _("nothing more"), **fields}, (block.second if block else None) or "", "second")
            measure = _choice(_("Sum shown"), measures, (block.measure if block else None) or "", "measure")
            shown_to = _choice(_("Shown to"), shown_to_choices(session), block.shown_to if block else ShownTo.PRIVATE.value, "shown-to")
            with ui.element("div").classes("lc-dialog-buttons"):
                if block:
                    ui.button(_("Delete"), on_click=lambda: dialog.submit("delete")).props("flat no-caps color=negative").mark(
                        "delete-grouping"
                    )
                ui.button(_("Cancel"), on_click=dialog.close).props("flat no-caps").classes("lc-btn")
                ui.button(_("Save"), on_click=lambda: dialog.submit("save")).props("unelevated no-caps data-commit").classes("lc-pri").mark(
                    "save"
                )
        with self.page:
            answer = await answer_of(dialog)
            if answer == "delete" and block:
                await run_verb(session, "crm.delete_grouping", {"grouping_id": block.id}, done=_("Grouping deleted"))
            elif answer == "save":
                given = {"first": first.value, "second": second.value or None, "measure": measure.value or None, "shown_to": shown_to.value}
                await run_verb(
                    session, "crm.save_grouping", {**given, "grouping_id": block.id if block else None}, done=_("Grouping saved")
                )
        if answer:
            await self.draw()

    async def _dropped(self, event: events.GenericEventArguments) -> None:
        """A row was let go over a group: it gets the group's values."""
        place = event.args.get("place")
        if not str(place).isdecimal() or int(place) >= len(self.places):
            return
        parts = self.places[int(place)]
        if _is_tag(parts[0]):  # beside those it has
            tagged = {"customer": str(event.args.get("id")), "add": parts[0][1]}
            await run_verb(self.session, "crm.tag_customer", tagged, done=_("Tagged: {tag}").format(tag=parts[0][1]))
            return
        values = {key: "" if value is None else _CUSTOMER.fields[key].to_json(value) for key, value, _word in parts}
        words = " · ".join(f"{_CUSTOMER.fields[key].label} = {word}" for key, _value, word in parts)
        given = {"entity": _CUSTOMER.key, "id": str(event.args.get("id")), "values": values}
        await run_verb(self.session, "records.update_record", given, done=_("Changed: {what}").format(what=words))


def _label(key: str) -> str:
    """What customers are grouped by, in words."""
    return gettext(AGE_LABEL) if key == AGE else _CUSTOMER.fields[key].label


def _is_tag(part: tuple[str, Any, str]) -> bool:
    key, value, _word = part
    return key != AGE and _CUSTOMER.fields[key].f.widget == "tags" and value is not None


def _condition(key: str, value: Any) -> tuple[str, str, Any]:
    """That a customer is in the group of a value: of tags he may have others too."""
    return (key, "any", [value]) if _is_tag((key, value, "")) else (key, "=", value)


def _value(held: Any) -> Any:
    """The value of the group that a condition stands for."""
    return held[0] if isinstance(held, list) else held


def _colour(column: Field, value: Any) -> str:
    """The colour that the chips of a value have; "" for values without one of their own."""
    if held := tags_of(column, value):
        return f"hsl({held[0][1]} 62% 52%)"
    shade = tone(column, value) if value else None
    return f"var(--{_SHADES[shade]})" if shade in _SHADES else ""


def _short(column: Field, value: Any) -> str:
    """A value in a narrow column: of an area its last two parts."""
    text = show_kind(column.kind, value) or str(value)
    return "/".join(text.split("/")[-2:]) if column.f.widget == "area" else text


#: Headings of saved queries.
SAVED: Mapping[ShownTo, str] = {
    ShownTo.PRIVATE: N_("My queries"),
    ShownTo.EVERYBODY: N_("Shared queries"),
    ShownTo.TEMPLATE: N_("Templates of head office"),
}


def shown_to_choices(session: Session) -> dict[str, str]:
    """To whom this user may show a query or grouping."""
    templates = session.actor.is_admin and session.store.node.is_office
    return {one.value: gettext(one.label) for one in ShownTo if templates or one is not ShownTo.TEMPLATE}


def _choice(label: str, options: Mapping[str, str], value: str | None, mark: str) -> ui.select:
    with ui.element("div").classes("lc-field"):
        ui.label(label).classes("lc-label")
        return ui.select(dict(options), value=value).props(f"{_SELECT} aria-label={quoted(label)}").mark(mark)
