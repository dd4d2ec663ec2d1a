"""In the form of a new opportunity: the main contact of its customer is there by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nicegui import background_tasks, ui

from localcrm.domain.crm.contacts import main_contact
from localcrm.domain.crm.entities import Opportunity
from localcrm.store.query import Record
from localcrm.ui.kit.form import ADVISERS, Form
from localcrm.ui.operations import run_service

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

OPPORTUNITY = Opportunity.entity_type


class MainContact:
    """Watches the customer of one open form: while no contact is chosen, it is the main one of whoever that is."""

    def __init__(self, session: Session, form: Form) -> None:
        self.session, self.form = session, form
        self.customer, self.contact = form.inputs["customer_id"], form.inputs["contact_id"]
        self.put: str | None = None  # whom nobody has chosen
        self.asked: str | None = None
        self.customer.changed.append(self._changed)
        with form.box:
            ui.timer(0, self._look, once=True)

    async def may_save(self) -> bool:
        """Nothing speaks against it."""
        return True

    def _changed(self) -> None:
        background_tasks.create(self._look(), name="main contact")

    async def _look(self) -> None:
        wanted = self.customer.value or self.form.fixed.get("customer_id")
        if not wanted or wanted == self.asked or self.contact.value not in {None, self.put}:
            return
        self.asked = wanted
        with self.form.box:
            outcome = await run_service(self.session, partial(self._read, str(wanted)), on_error=lambda _error: True)
        if not outcome.ok or self.form.box.is_deleted or self.asked != wanted or self.contact.value not in {None, self.put}:
            return
        main: Record | None = outcome.value
        self.put = self.form.loaded["contact_id"] = main["id"] if main else None  # nothing that somebody typed would be lost
        self.contact.set_value(self.put, main["name"] if main else None)

    def _read(self, customer: str) -> Record | None:
        with self.session.store.read() as connection:
            return main_contact(connection, self.session.actor, customer)


def advise(session: Session, form: Form, identity: str | None) -> MainContact | None:
    """For a new one, where both are asked for."""
    return MainContact(session, form) if identity is None and {"customer_id", "contact_id"} <= form.inputs.keys() else None


ADVISERS[OPPORTUNITY.key] = advise
