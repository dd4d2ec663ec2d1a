"""In the form of a contract: what it carries on and what carries it on, with dates and amounts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain import policy
from localcrm.domain.sales.contracts import chain_of
from localcrm.domain.sales.entities import Contract
from localcrm.kernel.i18n import gettext as _
from localcrm.store.query import ref_titles
from localcrm.ui.customer.tables import column_cell, column_heads
from localcrm.ui.kit.columns import columns as shown_columns, row_json
from localcrm.ui.kit.form import ADVISERS, Form
from localcrm.ui.operations import run_service

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CONTRACT = Contract.entity_type
_COLUMNS = ("number", "title", "amount", "status", "starts_on", "ends_on")


class Chain:
    """Draws the chain below the fields of an open form, once it is read; of a contract that stands alone nothing."""

    def __init__(self, session: Session, form: Form, identity: str) -> None:
        self.session, self.identity = session, identity
        with form.box:
            self.place = ui.element("div").style("grid-column:1/-1").mark("renewals")
        ui.timer(0, self._look, once=True)

    async def may_save(self) -> bool:
        """Nothing speaks against it."""
        return True

    async def _look(self) -> None:
        with self.place:
            outcome = await run_service(self.session, partial(_read, self.session, self.identity))
        if outcome.ok and len(outcome.value) > 1 and not self.place.is_deleted:
            with self.place:
                _draw(self.session, self.identity, outcome.value)


def _read(session: Session, identity: str) -> list[dict[str, Any]]:
    with session.store.read() as connection:
        rows = chain_of(connection, session.actor, identity)
        return row_json(connection, session.actor, CONTRACT, rows, ref_titles(connection, CONTRACT, rows))


def _draw(session: Session, identity: str, rows: list[dict[str, Any]]) -> None:
    known = {column.key: column for column in shown_columns(policy.view(session.actor, CONTRACT))}
    shown = [known[key] for key in _COLUMNS if key in known]
    ui.label(_("Renewals")).classes("lc-section")
    with ui.element("div").style("overflow-x:auto"), ui.element("table").classes("lc-table lc-rows"):
        with ui.element("tr"):
            column_heads(shown)
            ui.element("th")  # on a phone the last one stays
        for row in rows:
            with ui.element("tr").style("font-weight:650" if row["id"] == identity else ""):
                for column in shown:
                    column_cell(column, row, span=2 if column is shown[-1] else 1)


def advise(session: Session, form: Form, identity: str | None) -> Chain | None:
    """For a contract that is there already."""
    return Chain(session, form, identity) if identity else None


ADVISERS[CONTRACT.key] = advise
