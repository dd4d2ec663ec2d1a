"""While a ticket is typed: whose machine a serial number is, and until when we answer for it. Customer and product are filled in where they are empty."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from nicegui import background_tasks, ui

from localcrm.domain.sales.entities import InstalledProduct
from localcrm.domain.service.rules import is_covered
from localcrm.domain.service.tickets import TICKET, products_by_serial
from localcrm.kernel.clock import now_utc
from localcrm.kernel.i18n import gettext as _
from localcrm.store.query import Record, ref_titles
from localcrm.ui.kit.form import ADVISERS, Form
from localcrm.ui.operations import run_service

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

#: Nobody is asked while somebody types on.
_PAUSE = 0.4
#: Products in use that are named.
_MOST = 3
_INSTALLED = InstalledProduct.entity_type


class Adviser:
    """Watches the serial number of one open form."""

    def __init__(self, session: Session, form: Form) -> None:
        self.session, self.form = session, form
        self.serial = form.inputs["serial"]
        self.asked = self.serial.value
        self._waiting: asyncio.Task[None] | None = None
        with self.serial.box:
            self.place = ui.element("div").classes("lc-alike").props('role="status" data-serial')
        self.serial.changed.append(self._changed)

    async def may_save(self) -> bool:
        """Nothing speaks against it."""
        return True

    def _changed(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = background_tasks.create(self._later(), name="look for a serial number")

    async def _later(self) -> None:
        await asyncio.sleep(_PAUSE)
        if self.form.box.is_deleted or self.serial.value == self.asked:
            return
        self.asked = typed = self.serial.value
        with self.form.box:
            outcome = await run_service(self.session, lambda: self._read(str(typed or "")), on_error=lambda _error: True)
        if not outcome.ok or typed != self.asked or self.form.box.is_deleted:
            return
        rows, names = outcome.value
        self.place.clear()
        with self.place:
            for row in rows[:_MOST]:
                _draw(row, names)
            if typed and not rows:
                ui.label(_("No product in use with this number is known here.")).classes("lc-small-text lc-muted")
        if len(rows) == 1:
            self._fill(rows[0], names)

    def _read(self, serial: str) -> tuple[list[Record], dict[str, dict[str, str]]]:
        with self.session.store.read() as connection:
            rows = products_by_serial(connection, self.session.actor, serial.strip()) if serial.strip() else []
            return rows, ref_titles(connection, _INSTALLED, rows)

    def _fill(self, row: Record, names: dict[str, dict[str, str]]) -> None:
        for key in ("customer_id", "product_id"):
            one, value = self.form.inputs.get(key), row.get(key)
            if one is not None and one.value is None and isinstance(value, str):
                one.set_value(value, names.get(key, {}).get(value))


def _draw(row: Record, names: dict[str, dict[str, str]]) -> None:
    """Product, customer, and whether we answer for it."""
    until: Any = row.get("warranty_until")
    told = [names.get(key, {}).get(str(row.get(key))) for key in ("product_id", "customer_id")]
    with ui.element("div").classes("lc-alike-row").props("data-hit"):
        ui.label(" · ".join(filter(None, told)))
        if until is None:
            ui.label(_("warranty not known")).classes("lc-chip")
        elif hasattr(until, "year"):  # it may be covered
            covered = is_covered(until, now_utc().astimezone().date())
            text = _("warranty until {day}") if covered else _("warranty ended {day}")
            ui.label(text.format(day=f"{until:%Y-%m-%d}")).classes("lc-chip").props(f"data-tone={'good' if covered else 'bad'}")


def advise(session: Session, form: Form, _identity: str | None) -> Adviser | None:
    """An adviser for a form that asks for the serial number of products the user may see."""
    return Adviser(session, form) if "serial" in form.inputs and session.may("installed_product.read") else None


ADVISERS[TICKET.key] = advise
