"""How numbers and the length of calls are told."""

from __future__ import annotations

from localcrm.kernel.i18n import gettext as _
from localcrm.kernel.phones import read_phone


def shown_number(number: str | None) -> str:
    """A number as people write it."""
    phone = read_phone(number or "")
    return phone.shown if phone else number or _("Number withheld")


def shown_length(seconds: int | None) -> str:
    """1:05, or 1:02:03; "" where nobody talked."""
    if seconds is None:
        return ""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
