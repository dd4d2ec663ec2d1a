"""The list of all contacts: the generic one, with dialling, writing and relations by right-click."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from localcrm.domain.crm.entities import Contact
from localcrm.kernel.i18n import N_
from localcrm.ui.customer.ties import ties_dialog
from localcrm.ui.kit.reaching import EMAIL, PHONE, reach
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import Further, list_screen

if TYPE_CHECKING:
    from localcrm.ui.sessions import Session

CONTACT = Contact.entity_type


async def _reach(by: str, session: Session, contact: str) -> None:
    await reach(session, CONTACT, contact, by)


async def _relations(session: Session, contact: str) -> None:
    await ties_dialog(session, contact)


FURTHER = (
    Further("call", N_("Call…"), "contact.read", partial(_reach, PHONE)),
    Further("write", N_("Write an e-mail…"), "contact.read", partial(_reach, EMAIL)),
    Further("relations", N_("Relations…"), "contact.read", _relations),
)
register(
    Screen(
        "contact",
        "/records/contact",
        N_("Contacts"),
        "contacts",
        "contact.read",
        list_screen("contact", "contact", FURTHER),
        "customers",
        20,
        lists="contact",
    )
)
