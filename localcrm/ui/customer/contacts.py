"""Tab: the people there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcrm.domain.crm.entities import Contact
from localcrm.kernel.i18n import N_, gettext as _
from localcrm.ui.customer.tables import counting, reading, record_table
from localcrm.ui.customer.tabs import Tab

if TYPE_CHECKING:
    from localcrm.ui.screens.customers import Workbench

CONTACT = Contact.entity_type
_COLUMNS = ("name", "title", "phone", "email", "wechat", "is_main")


def _draw(bench: Workbench, rows: list[dict[str, Any]]) -> None:
    record_table(
        bench,
        CONTACT,
        _COLUMNS,
        rows,
        new=bench.new_contact,
        new_label=_("＋ New contact"),
        empty=_("No contact person yet."),
        open_row=bench.opening(CONTACT),
    )


CONTACTS = Tab(
    id="contact",
    label_msgid=N_("Contacts"),
    permission="contact.read",
    count=counting(CONTACT),
    read=reading(CONTACT),
    draw=_draw,
    shows=frozenset({"contact"}),
)
