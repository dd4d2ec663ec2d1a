"""Roles: the floor of the rights, known to declarations and checks alike."""

from __future__ import annotations

from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import Choice


class Role(Choice):
    """What a user may do until the rights windows exist; no role, no sign-in."""

    NONE = "none", N_("No rights yet")
    STAFF = "staff", N_("Staff")
    ADMIN = "admin", N_("Administrator")
