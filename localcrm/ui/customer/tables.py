"""Short lists inside a tab: the records of one kind that belong to the chosen customer, or to another record of a list above."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from nicegui import ui

from localcrm.domain import policy
from localcrm.kernel.i18n import gettext
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, ref_titles, select
from localcrm.ui.customer.tabs import Tab
from localcrm.ui.kit.columns import Column, columns as shown_columns, row_json
from localcrm.ui.kit.links import link_pieces
from localcrm.ui.kit.menu import Action, context_menu
from localcrm.ui.kit.props import quoted

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

#: Rows that a tab shows; more are in the list of that kind.
TAB_ROWS = 200


#: On a telephone there is no double click.
_TAPPED = "() => window.matchMedia('(max-width: 700px)').matches && emit()"


class Page(Protocol):
    """A page with such tabs."""

    session: Session


def _query(session: Session, kind: EntityType, by: str, identity: str, limit: int, sort: str = "") -> ListQuery:
    return ListQuery(kind, where=(Condition(by, "=", identity),), limit=limit, sort=sort, restrict=policy.view(session.actor, kind))


def counting(kind: EntityType, by: str = "customer_id") -> Callable[[Session, Connection, str], int]:
    """Counts the records of a kind that name a customer, or another record in ``by``."""
    return lambda session, connection, identity: select(connection, _query(session, kind, by, identity, 0)).total


def reading(
    kind: EntityType, by: str = "customer_id", *, sort: str = "", most: int = TAB_ROWS
) -> Callable[[Session, Connection, str], list[dict[str, Any]]]:
    """Reads the first of them, as the list endpoint would give them; the newest first unless ``sort`` names a field."""

    def read(session: Session, connection: Connection, identity: str) -> list[dict[str, Any]]:
        rows = select(connection, _query(session, kind, by, identity, most, sort), count=False).rows
        return row_json(connection, session.actor, kind, rows, ref_titles(connection, kind, rows))

    return read


def record_table(
    page: Page,
    kind: EntityType,
    keys: Sequence[str],
    rows: Sequence[dict[str, Any]],
    *,
    new: Callable[[], Awaitable[None]] | None = None,
    new_label: str = "",
    empty: str,
    open_row: Callable[[str], Awaitable[None]],
    also: tuple[str, Callable[[str], Any]] | None = None,
    actions: Callable[[str], list[Action]] | None = None,
) -> None:
    """Columns ``keys`` of the rows, on a phone a card for each, with a button in each where one is given in ``also`` as text and what it does.

    A double click, a tap or Enter opens one, ``new`` adds one where the user may, a right-click offers ``actions``.
    """
    known = {column.key: column for column in shown_columns(policy.view(page.session.actor, kind))}
    shown = [known[key] for key in keys if key in known]
    may_add = new is not None and page.session.may(f"{kind.key}.create")
    if not rows:
        with ui.element("div").classes("lc-empty"):
            ui.label(empty)
            if may_add:
                ui.button(new_label, on_click=new).props("unelevated no-caps").classes("lc-btn").mark(f"new-{kind.key}")
        return
    under_cursor = {"id": rows[0]["id"]}  # one menu for all rows, about that one
    with ui.element("table").classes("lc-table lc-rows").mark(f"table-{kind.key}"):
        with ui.element("tr"):
            column_heads(shown)
            with ui.element("th").classes("lc-num"):
                if may_add:
                    ui.button(new_label, on_click=new).props("flat dense no-caps size=sm").mark(f"new-{kind.key}")
        for row in rows:
            line = ui.element("tr").props("tabindex=0").style("cursor:default")
            opens = partial(open_row, row["id"])
            if actions:
                line.on("contextmenu", partial(_point, under_cursor, row["id"]))
            line.on("dblclick", opens).on("keydown.enter", opens).on("click", opens, js_handler=_TAPPED)
            with line:
                for column in shown:
                    column_cell(column, row, span=2 if column is shown[-1] and not also else 1)
                if also:
                    with ui.element("td").classes("lc-num"):
                        button = ui.button(also[0]).props("flat dense no-caps size=sm").mark("also")
                        button.on("click.stop", partial(also[1], row["id"])).on("keydown.enter.stop", js_handler="() => {}")  # not the row
        if actions:
            context_menu([replace(one, run=_again(actions, under_cursor, one.id)) for one in actions(rows[0]["id"])])


def _point(under_cursor: dict[str, str], identity: str) -> None:
    under_cursor["id"] = identity


def _again(actions: Callable[[str], list[Action]], under_cursor: Mapping[str, str], which: str) -> Callable[[], Any]:
    """The action of that name, for the row that was clicked."""
    return lambda: next(one for one in actions(under_cursor["id"]) if one.id == which).run()


def column_heads(shown: Sequence[Column]) -> None:
    """The names of columns, inside a row of a table."""
    for column in shown:
        with ui.element("th").classes("lc-num" if column.number else ""):
            ui.label(column.label)


def column_cell(column: Column, row: dict[str, Any], *, span: int, path: str = "") -> None:
    """What a row holds in a column, inside a row of a table; with ``path`` it leads there and needs no name on a phone."""
    text, is_title = row.get(column.key), bool(path) or column.key in row["_tone"]
    place = ui.element("td").classes("lc-num" if column.number else "").props(f"colspan={span}")
    if text in {None, ""} or (column.kind == "boolean" and text == gettext("No")):
        place.classes("lc-none-cell" if not path else "")
    elif not is_title:
        place.props["data-label"] = column.label
    if column.kind == "longtext":
        place.classes("lc-long-cell")
    with place:
        if found := row["_links"].get(column.key):
            link_pieces(found)
            return
        with ui.element("a").props(f"href={quoted(path)}") if path else nullcontext():
            label = ui.label(text if text not in {None, ""} else "—").classes("" if text or path else "lc-muted")
        if text and column.key in row["_tone"]:
            label.classes("lc-chip").props(f"data-tone={row['_tone'][column.key]}").style("width:fit-content")
        if column.key in row["_tip"]:
            label.tooltip(row["_tip"][column.key])


def record_tab(
    kind: EntityType,
    columns: Sequence[str],
    *,
    id: str,
    label: str,
    new: str,
    empty: str,
    sort: str = "",
    shows: frozenset[str] = frozenset(),
    start: Callable[[Workbench], Awaitable[None]] | None = None,
    open_row: Callable[[Workbench, str], Awaitable[None]] | None = None,
    also: tuple[str, Callable[[str], Any]] | None = None,
    actions: Callable[[Workbench, str], list[Action]] | None = None,
) -> Tab:
    """A tab with the records of one kind: ``new`` and ``empty`` are msgids, and so is the text in ``also``, a button in each row for
    whoever may enter such records. ``start`` and ``open_row`` where the usual form does not do.

    shows: further kinds whose changes draw it anew.
    """

    def draw(bench: Workbench, rows: list[dict[str, Any]]) -> None:
        record_table(
            bench,
            kind,
            columns,
            rows,
            new=partial(start, bench) if start else bench.adding(kind),
            new_label=gettext(new),
            empty=gettext(empty),
            open_row=partial(open_row, bench) if open_row else bench.opening(kind),
            also=(gettext(also[0]), also[1]) if also and bench.session.may(f"{kind.key}.create") else None,
            actions=partial(actions, bench) if actions else None,
        )

    return Tab(
        id=id,
        label_msgid=label,
        permission=f"{kind.key}.read",
        count=counting(kind),
        read=reading(kind, sort=sort),
        draw=draw,
        shows=shows | {kind.key},
    )
