"""Tab: the people there."""

from __future__ import annotations

from localcrm.domain.crm.entities import Contact
from localcrm.kernel.i18n import N_
from localcrm.ui.customer.tables import record_tab

CONTACTS = record_tab(
    Contact.entity_type,
    ("name", "title", "part", "phone", "email", "wechat", "is_main", "has_left"),
    id="contact",
    label=N_("Contacts"),
    new=N_("＋ New contact"),
    empty=N_("No contact person yet."),
)
