"""Tab: the people there, how to reach them, and what they are to each other and to people elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from localcrm.domain.crm.entities import Contact
from localcrm.domain.crm.ties import Told, ties_of
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.store.connection import Connection
from localcrm.ui.customer.tables import record_tab
from localcrm.ui.customer.ties import tie_rows, ties_dialog
from localcrm.ui.kit.menu import Action
from localcrm.ui.kit.reaching import EMAIL, PHONE, reach

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench
    from localcrm.ui.sessions import Session

CONTACT = Contact.entity_type


def _actions(bench: Workbench, contact: str) -> list[Action]:
    """What a right-click on somebody offers."""
    session = bench.session

    async def relations() -> None:
        await ties_dialog(session, contact)
        await bench.look_again()

    return [
        Action("open", _("Open record"), partial(bench.opening(CONTACT), contact)),
        Action("call", _("Call…"), partial(reach, session, CONTACT, contact, PHONE), divided=True),
        Action("write", _("Write an e-mail…"), partial(reach, session, CONTACT, contact, EMAIL)),
        Action("relations", _("Relations…"), relations, divided=True),
    ]


_PEOPLE = record_tab(
    CONTACT,
    ("name", "title", "part", "phone", "email", "wechat", "is_main", "has_left"),
    id="contact",
    label=N_("Contacts"),
    new=N_("＋ New contact"),
    empty=N_("No contact person yet."),
    shows=frozenset({"contact_tie"}),
    actions=_actions,
)


@dataclass(frozen=True, slots=True)
class _Content:
    """The people, and their relations."""

    people: Any
    ties: tuple[Told, ...]


def _read(session: Session, connection: Connection, identity: str) -> _Content:
    return _Content(_PEOPLE.read(session, connection, identity), tuple(ties_of(connection, session.actor, customer=identity)))


def _draw(bench: Workbench, content: _Content) -> None:
    _PEOPLE.draw(bench, content.people)
    if content.ties:
        ui.label(_("Relations between people")).classes("lc-sub").style("padding:12px 14px 4px")
        tie_rows(bench.session, content.ties, named=True, changed=bench.look_again)


CONTACTS = replace(_PEOPLE, read=_read, draw=_draw)
