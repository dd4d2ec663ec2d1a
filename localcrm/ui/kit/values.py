"""How a value is shown: numbers grouped, days short when near, choices in words. Plain text only, never markup."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zlib import crc32

from localcrm.domain.crm.birthdays import lunar_in_words
from localcrm.domain.typed import in_words
from localcrm.kernel.i18n import N_, current_language, gettext, gettext as _
from localcrm.kernel.schema import Field, plain_decimal, split_choices
from localcrm.store.view import Masked
from localcrm.ui.calls.words import shown_length
from localcrm.ui.kit.look import look

#: Kinds that stand at the right of their column.
NUMBERS = frozenset({"integer", "money", "quantity", "price", "rate"})
#: Colour of a chip by the value it shows; other values are grey.
TONES: Mapping[str, str] = {
    "deal": "good",
    "developing": "acc",
    "posted": "good",
    "draft": "warn",
    "reversed": "bad",
    "reversal": "bad",
    "all": "good",
    "part": "warn",
    "open": "bad",
    "resolved": "good",
    "admin": "acc",
    "negotiating": "acc",
    "won": "good",
    "lost": "bad",
    "urgent": "bad",
    "high": "warn",
    "working": "acc",
    "sent": "acc",
    "accepted": "good",
    "rejected": "bad",
    "signed": "good",
    "shipped": "acc",
    "received": "good",
    "returned": "bad",
    "protected": "good",
    "outrun": "bad",
    "expired": "warn",
    "ringing": "acc",
    "talking": "acc",
    "answered": "good",
    "missed": "bad",
    "needed": "warn",
    "waiting": "warn",
    "approved": "good",
    "more": "warn",
}


def show(field: Field, value: Any, titles: Mapping[str, str] | None = None) -> str | None:
    """A record's value (typed, as ``store.query`` gives it) in words; None when there is nothing to show."""
    if value is None or value == "":
        return None
    if field.secret:
        return "••••••"
    if isinstance(value, Masked):
        return str(value)
    if field.f.widget == "picture":
        return _("picture of {size}").format(size=file_size(len(value) * 3 // 4))
    if field.kind == "ref":
        return (titles or {}).get(value) or "…"
    if field.f.refs:
        return _(", ").join((titles or {}).get(one) or "…" for one in str(value).split())
    if field.f.widget == "lunar":
        return lunar_in_words(str(value))
    if field.f.widget == "length":
        return shown_length(value) or None
    if field.options or field.kind == "files":
        return in_words(field, str(value))
    return show_kind("percent" if field.f.widget == "percent" else field.kind, value)


def show_kind(kind: str, value: Any) -> str | None:
    """The same for a value without declaration, by its kind."""
    if value is None or value == "":
        return None
    match kind:
        case "money":
            return f"{Decimal(value):,.2f}"
        case "quantity" | "price":
            return grouped(Decimal(value), kind)
        case "percent":
            return f"{plain_decimal(Decimal(value) * 100)}%"
        case "rate":
            return plain_decimal(Decimal(value))
        case "boolean":
            return _("Yes") if value else _("No")
        case "date":
            return near_day(value)
        case "datetime":
            return near_moment(value)
    return str(value)


def grouped(value: Decimal, kind: str = "quantity") -> str:
    """A quantity or price with thousands grouped, and no more zeros behind the point than the company wants."""
    whole, _point, places = plain_decimal(value, minimum=look().places[kind]).partition(".")
    text = f"{int(whole):,}" if whole not in {"-0", ""} else whole
    return f"{text}.{places}" if places else text


def near_day(day: date) -> str:
    """today, tomorrow, yesterday; else month and day; else the whole date, which some users always want."""
    if look().dates == "exact":
        return day.isoformat()
    today = datetime.now().astimezone().date()
    distance = (day - today).days
    if distance in _NEAR:
        return gettext(_NEAR[distance])
    return day.strftime("%m-%d") if day.year == today.year else day.isoformat()


def near_moment(moment: datetime) -> str:
    """The same with the time of day, on the clock on the wall."""
    local = moment.astimezone()
    return f"{near_day(local.date())} {local:%H:%M}"


def exact(value: Any) -> str | None:
    """What a shortened day or moment stands for; None for other values."""
    if isinstance(value, datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
    return value.isoformat() if isinstance(value, date) else None


def tone(field: Field, value: Any) -> str | None:
    """Colour of a value shown as a chip; None for values that are not."""
    return TONES.get(str(value), "plain") if field.options and value not in {None, ""} else None


def tags_of(field: Field, value: Any) -> list[tuple[str, int]]:
    """The tags that a value holds, each with the hue in degrees it always has; none for other values."""
    if field.f.widget != "tags" or not isinstance(value, str) or isinstance(value, Masked):
        return []
    return [(tag, crc32(tag.casefold().encode()) * 47 % 12 * 30) for tag in split_choices(value)]


def ago(moment: datetime, now: datetime) -> str:
    """How long ago, in the largest whole unit."""
    seconds = max(0, int((now - moment).total_seconds()))
    if seconds < 60:
        return _("just now")
    for size, one, text in _UNITS:
        if seconds >= size:
            count = seconds // size
            return (gettext(one) if count == 1 else gettext(text)).format(count=count)
    return _("just now")


def in_two_lines(fingerprint: str) -> str:
    """The groups of digits that people compare by telephone, half of them in each line."""
    groups = fingerprint.split()
    half = len(groups) // 2
    return "\n".join(" ".join(part) for part in (groups[:half], groups[half:]))


def file_size(count: int) -> str:
    """Bytes in the unit that a file manager would choose."""
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{-(-count // 1024):,} KB"


def in_chinese() -> bool:
    """Whether the reader reads Chinese: full-width signs, no spaces between words."""
    return current_language().startswith("zh")


_NEAR = {-1: N_("yesterday"), 0: N_("today"), 1: N_("tomorrow")}
_UNITS = (
    (86400, N_("1 day ago"), N_("{count} days ago")),
    (3600, N_("1 hour ago"), N_("{count} hours ago")),
    (60, N_("1 minute ago"), N_("{count} minutes ago")),
)
