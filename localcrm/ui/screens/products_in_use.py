"""List of all products in use, with what is done with one beyond changing it."""

from __future__ import annotations

from localcrm.kernel.i18n import N_
from localcrm.ui.customer.piece import DEEDS
from localcrm.ui.registry import Screen, register
from localcrm.ui.screens.records import Further, list_screen

_KIND = "installed_product"
#: The list itself has a way to change one, and what not every product needs is offered with everything about one.
_FURTHER = [Further(deed.id, deed.label_msgid, deed.permission, deed.run) for deed in DEEDS if deed.id != "edit" and not deed.needs]

register(
    Screen(
        _KIND,
        f"/records/{_KIND}",
        N_("Products in use"),
        "devices",
        f"{_KIND}.read",
        list_screen(_KIND, _KIND, _FURTHER),
        "service",
        20,
        lists=_KIND,
    )
)
