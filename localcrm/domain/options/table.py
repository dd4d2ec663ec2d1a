"""Every option there is, as data: what it is called, what it does, which values it takes, who sets it.

The options screen, the check of what is typed, the verbs and the search among settings are made from this table. A new
option is one line here and the place that obeys it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any
from unicodedata import normalize

from localcrm.domain.options.shortcuts import write_shortcuts
from localcrm.kernel.errors import InvalidInput, NotFound
from localcrm.kernel.i18n import LANGUAGES, N_, gettext
from localcrm.kernel.money import parse_decimal
from localcrm.kernel.schema import clean_text, plain_decimal

#: Longest value that is kept; the columns of a wide list need some thousand characters.
LONGEST = 50_000
#: Of a list of numbers of days: how many, and the greatest.
_MOST_DAYS, _LONGEST_SPAN = 6, 3650


class Level(StrEnum):
    """Who sets an option: everybody for himself, or head office for the company."""

    PERSONAL = "personal"
    COMPANY = "company"


class OptionKind(StrEnum):
    """What a value is."""

    YES_NO = "yes_no"  # "yes" or "no"
    CHOICE = "choice"  # one of ``choices``
    NUMBER = "number"  # whole, from ``low`` to ``high``
    PERCENT = "percent"  # a share from 0 to 1, typed as 13%
    TEXT = "text"  # whatever ``read`` makes of it


YES, NO = "yes", "no"


def _as_typed(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Option:
    """One option. Values are kept as text in one spelling; ``default`` is in that spelling too.

    effect: one sentence on what it does · arithmetic: changes what amounts mean, so it is locked by the first posting ·
    read: brings a text into its spelling, raises ValueError or an error of ours.
    """

    key: str
    kind: OptionKind
    default: str
    label_msgid: str
    effect_msgid: str
    section: str
    level: Level
    choices: Mapping[str, str] = field(default_factory=dict)
    low: int = 0
    high: int = 0
    arithmetic: bool = False
    read: Callable[[str], str] = _as_typed

    @property
    def label(self) -> str:
        """Name in the language of the moment."""
        return gettext(self.label_msgid)

    @property
    def effect(self) -> str:
        """What it does, in the language of the moment."""
        return gettext(self.effect_msgid)

    def show(self, value: str) -> str:
        """A kept value in words."""
        match self.kind:
            case OptionKind.YES_NO:
                return gettext(_YES_NO[value])
            case OptionKind.CHOICE:
                return gettext(self.choices[value])
            case OptionKind.PERCENT:
                return f"{plain_decimal(Decimal(value) * 100)}%"
        return value

    def clean(self, text: str) -> str:
        """What was typed, in the spelling that is kept; raises InvalidInput."""
        try:
            return self._clean(clean_text(text.strip()))
        except ValueError:
            raise self._bad_value(text) from None

    def _clean(self, text: str) -> str:
        match self.kind:
            case OptionKind.YES_NO | OptionKind.CHOICE:
                if text not in (self.choices or _YES_NO):
                    raise ValueError
                return text
            case OptionKind.NUMBER:
                if not (text.isascii() and text.isdecimal() and len(text) < 10 and self.low <= int(text) <= self.high):
                    raise InvalidInput(
                        "bad_option_value",
                        N_("“{label}” must be a whole number from {low} to {high}. Nothing was changed."),
                        label=self.label,
                        low=self.low,
                        high=self.high,
                        field=self.key,
                    )
                return str(int(text))
            case OptionKind.PERCENT:
                return _share(text)
        if len(text) > LONGEST:
            raise ValueError
        return self.read(text)

    def _bad_value(self, text: str) -> InvalidInput:
        shown = text[:40].encode("utf-8", "replace").decode()
        return InvalidInput(
            "bad_option_value", N_("“{value}” does not fit “{label}”. Nothing was changed."), value=shown, label=self.label, field=self.key
        )


def _share(text: str) -> str:
    """13% or 0.13 as "0.13"."""
    try:
        share = parse_decimal(text)
    except InvalidInput:
        raise ValueError from None
    if not 0 <= share <= 1 or share != round(share, 4):
        raise ValueError
    return plain_decimal(share)


def read_days(text: str) -> str:
    """Numbers of days, each once and in their order ("7, 15, 30"); "0" for never. Raises ValueError."""
    days = sorted({int(part) for part in re.split(r"[\s,;/\u3001]+", normalize("NFKC", text)) if part})
    if not days or len(days) > _MOST_DAYS or days[0] < 0 or days[-1] > _LONGEST_SPAN:
        raise ValueError
    return ", ".join(str(day) for day in days if day) or "0"


def read_names(text: str) -> str:
    """Names of screens, each once, in their order."""
    names = list(dict.fromkeys(text.split()))
    if any(len(name) > 60 or not name.replace("-", "").replace("_", "").isalnum() for name in names):
        raise ValueError
    return " ".join(names)


_YES_NO = {YES: N_("Yes"), NO: N_("No")}
#: Headings of the options screen, in their order.
SECTIONS: Mapping[str, str] = {
    "look": N_("Look"),
    "lists": N_("Lists"),
    "start": N_("Start and navigation"),
    "keys": N_("Keyboard"),
    "trade": N_("Stock and sales"),
    "customers": N_("Customers"),
    "numbers": N_("Numbers"),
    "safety": N_("Signing in"),
    "exchange": N_("Exchange of data"),
}
_PERSONAL, _COMPANY = Level.PERSONAL, Level.COMPANY
_SWITCH, _CHOICE, _NUMBER, _PERCENT, _TEXT = OptionKind

#: Minutes without use; "0" never locks.
_LOCKS = {
    "5": N_("after 5 minutes"),
    "15": N_("after 15 minutes"),
    "30": N_("after 30 minutes"),
    "60": N_("after an hour"),
    "0": N_("never"),
}

OPTIONS: tuple[Option, ...] = (
    Option(
        "language",
        _CHOICE,
        "zh_CN",
        N_("Language"),
        N_("The language of every screen; the page is loaded anew."),
        "look",
        _PERSONAL,
        LANGUAGES,
    ),
    Option(
        "theme",
        _CHOICE,
        "light",
        N_("Light or dark"),
        N_("Colours of the screens; “like the system” follows this computer, also at nightfall."),
        "look",
        _PERSONAL,
        {"light": N_("Light"), "dark": N_("Dark"), "system": N_("Like the system")},
    ),
    Option(
        "font",
        _CHOICE,
        "normal",
        N_("Size of letters"),
        N_("Large letters are 16 points high instead of 14; forms and lists grow with them."),
        "look",
        _PERSONAL,
        {"normal": N_("Normal"), "large": N_("Large")},
    ),
    Option(
        "density",
        _CHOICE,
        "compact",
        N_("Spacing"),
        N_("Comfortable gives each row of lists and tables more room; compact shows more of them."),
        "look",
        _PERSONAL,
        {"compact": N_("Compact"), "comfortable": N_("Comfortable")},
    ),
    Option(
        "dates",
        _CHOICE,
        "relative",
        N_("Dates"),
        N_("Near days by their names (today 15:00, 11-23), or every date whole (2026-11-23 15:00)."),
        "look",
        _PERSONAL,
        {"relative": N_("By name when near"), "exact": N_("Always whole")},
    ),
    Option(
        "rows",
        _CHOICE,
        "100",
        N_("Rows fetched at a time"),
        N_("How many rows a list fetches while you scroll; fewer on a slow connection, more for quick scrolling."),
        "lists",
        _PERSONAL,
        {"50": "50", "100": "100", "200": "200", "500": "500"},
    ),
    Option(
        "landing",
        _TEXT,
        "",
        N_("First page"),
        N_("What you see after signing in, and when you click the name of the company."),
        "start",
        _PERSONAL,
        read=read_names,
    ),
    Option(
        "reopen",
        _SWITCH,
        NO,
        N_("Go on where I stopped"),
        N_("After signing in, the page you last had open on this computer comes up instead of the first page."),
        "start",
        _PERSONAL,
    ),
    Option(
        "menu_pinned",
        _TEXT,
        "",
        N_("Favourites"),
        N_("These pages stand at the very top of the navigation."),
        "start",
        _PERSONAL,
        read=read_names,
    ),
    Option(
        "menu_hidden",
        _TEXT,
        "",
        N_("Hidden pages"),
        N_("These pages leave the navigation; Ctrl K and links still open them."),
        "start",
        _PERSONAL,
        read=read_names,
    ),
    Option(
        "menu_order",
        _TEXT,
        "",
        N_("Order of the navigation"),
        N_("The order of pages within their group."),
        "start",
        _PERSONAL,
        read=read_names,
    ),
    Option(
        "keys",
        _TEXT,
        "",
        N_("Keys"),
        N_("Keys that press buttons while nothing is being typed. Click one and press another key to change it; “?” shows them anywhere."),
        "keys",
        _PERSONAL,
        read=write_shortcuts,
    ),
    Option(
        "idle_minutes",
        _CHOICE,
        "30",
        N_("Lock an unused screen"),
        N_("After so long without use the screen asks for your password; what you typed is kept. The company may have a shorter time."),
        "safety",
        _PERSONAL,
        _LOCKS,
    ),
    Option(
        "negative_stock",
        _CHOICE,
        "warn",
        N_("Stock below zero"),
        N_(
            "What happens when more goes out than is there: refuse it, post it with a warning, or post it silently. Stock may still fall below zero when branches that sold apart are merged."
        ),
        "trade",
        _COMPANY,
        {"block": N_("Refuse"), "warn": N_("Warn"), "allow": N_("Allow")},
    ),
    Option(
        "prices_include_tax",
        _SWITCH,
        YES,
        N_("Prices include tax"),
        N_("Whether a new order begins with prices that include tax. It says what list prices mean, so it stays once something is posted."),
        "trade",
        _COMPANY,
        arithmetic=True,
    ),
    Option(
        "tax_rate",
        _PERCENT,
        "0.13",
        N_("Tax rate of new products"),
        N_("A new product begins with this rate; products and orders that are there keep theirs."),
        "trade",
        _COMPANY,
    ),
    Option(
        "over_delivery",
        _PERCENT,
        "0",
        N_("Sent beyond the order"),
        N_("A delivery may take so much more of a product than was ordered. Beyond that it asks for the reason."),
        "trade",
        _COMPANY,
    ),
    Option(
        "certificate_days",
        _NUMBER,
        "30",
        N_("Ends of certificates ahead"),
        N_("So many days before a certificate of a supplier runs out its buyer is reminded of it. 0: never."),
        "trade",
        _COMPANY,
        high=365,
    ),
    Option(
        "activity_hours",
        _NUMBER,
        "48",
        N_("Hours to correct a record"),
        N_(
            "So many hours after it was entered an activity record can be changed; then only those with the right to it change it. 0: always."
        ),
        "customers",
        _COMPANY,
        high=8760,
    ),
    Option(
        "birthday_days",
        _NUMBER,
        "3",
        N_("Birthdays ahead"),
        N_("So many days before the birthday of a contact the salesperson is reminded of it."),
        "customers",
        _COMPANY,
        high=30,
    ),
    Option(
        "dormant_days",
        _TEXT,
        "30",
        N_("Days without contact"),
        N_(
            "A salesperson is reminded of a customer after so many days without an activity record and without a plan; several numbers, such as 7, 15, 30, for several reminders. 0: never."
        ),
        "customers",
        _COMPANY,
        read=read_days,
    ),
    Option(
        "warranty_days",
        _TEXT,
        "7, 15, 30",
        N_("Ends of warranties ahead"),
        N_(
            "So many days before the warranty of a product in use ends the salesperson is reminded of it; several numbers, such as 7, 15, 30, for several reminders. 0: never."
        ),
        "customers",
        _COMPANY,
        read=read_days,
    ),
    Option(
        "consumable_days",
        _NUMBER,
        "7",
        N_("Consumables due ahead"),
        N_("So many days before a product in use needs its next consumable the salesperson is reminded of it. 0: never."),
        "customers",
        _COMPANY,
        high=365,
    ),
    Option(
        "quote_days",
        _NUMBER,
        "7",
        N_("Ends of quotes ahead"),
        N_("So many days before a quote that was sent expires the salesperson is reminded of it. 0: never."),
        "customers",
        _COMPANY,
        high=365,
    ),
    Option(
        "contract_days",
        _TEXT,
        "7, 15, 30",
        N_("Ends of contracts ahead"),
        N_(
            "So many days before a signed contract ends the salesperson is reminded of it; several numbers, such as 7, 15, 30, for several reminders. 0: never."
        ),
        "customers",
        _COMPANY,
        read=read_days,
    ),
    Option(
        "registration_days",
        _NUMBER,
        "90",
        N_("Days a registration protects"),
        N_("So many days a company that a channel partner registers is protected for him, also when the registration is extended."),
        "customers",
        _COMPANY,
        low=1,
        high=3650,
    ),
    Option(
        "registration_ahead",
        _NUMBER,
        "7",
        N_("Ends of registrations ahead"),
        N_("So many days before a partner's registration runs out the salesperson is reminded of it. 0: never."),
        "customers",
        _COMPANY,
        high=365,
    ),
    Option(
        "revisit_days",
        _NUMBER,
        "7",
        N_("Days until a customer is asked again"),
        N_("So many days after a ticket was closed the customer is asked whether it is well, on a day on which somebody works. 0: never."),
        "customers",
        _COMPANY,
        high=365,
    ),
    Option(
        "locked_most",
        _NUMBER,
        "0",
        N_("Locked customers per person"),
        N_("So many customers a salesperson may have locked against reclaiming; deal customers do not count. 0: any number."),
        "customers",
        _COMPANY,
        high=100_000,
    ),
    Option(
        "quantity_places",
        _NUMBER,
        "0",
        N_("Decimals of quantities"),
        N_("So many decimals are always shown; further ones still show where they are not zero. Nothing is rounded."),
        "numbers",
        _COMPANY,
        high=4,
    ),
    Option(
        "price_places",
        _NUMBER,
        "2",
        N_("Decimals of prices"),
        N_("So many decimals are always shown; further ones still show where they are not zero. Nothing is rounded."),
        "numbers",
        _COMPANY,
        high=6,
    ),
    Option(
        "password_length",
        _NUMBER,
        "8",
        N_("Shortest password"),
        N_("A new password needs at least so many characters; passwords that are set already stay as they are."),
        "safety",
        _COMPANY,
        low=8,
        high=64,
    ),
    Option(
        "free_tries",
        _NUMBER,
        "3",
        N_("Wrong passwords without waiting"),
        N_("After so many wrong passwords in a quarter of an hour every further try has to wait, longer each time, up to a minute."),
        "safety",
        _COMPANY,
        low=1,
        high=10,
    ),
    Option(
        "longest_idle",
        _CHOICE,
        "60",
        N_("Unused screens lock"),
        N_("No screen stays open longer than this without being used, whatever its user has chosen for himself."),
        "safety",
        _COMPANY,
        {**_LOCKS, "0": N_("as each user likes, also never")},
    ),
    Option(
        "session_days",
        _NUMBER,
        "14",
        N_("Days signed in"),
        N_("So many days after signing in a browser asks for the password again; it counts from the next sign-in on."),
        "safety",
        _COMPANY,
        low=1,
        high=90,
    ),
    Option(
        "exchange_days",
        _NUMBER,
        "3",
        N_("Reminder to merge"),
        N_("After so many days without an exchange the merge state at the top turns orange."),
        "exchange",
        _COMPANY,
        low=1,
        high=60,
    ),
    Option(
        "silent_days",
        _NUMBER,
        "180",
        N_("Patience with silent branches"),
        N_(
            "So many days the change log waits for a branch that is not heard of before it is condensed without it; nothing is lost by that."
        ),
        "exchange",
        _COMPANY,
        low=60,
        high=3650,
    ),
)
_BY_KEY = {option.key: option for option in OPTIONS}
#: What roams with a user besides options, as the list itself writes it: the columns of each.
FREE = "columns:"


def option(key: str) -> Option:
    """An option by key; raises NotFound."""
    try:
        return _BY_KEY[key]
    except KeyError:
        raise NotFound("unknown_option", N_("There is no option “{key}”."), key=key[:60]) from None


def options(level: Level) -> list[Option]:
    """The options of one level, in the order of the sections."""
    order = list(SECTIONS)
    return sorted((one for one in OPTIONS if one.level is level), key=lambda one: order.index(one.section))


def roams(key: str) -> bool:
    """Whether a setting of a user's own follows him to every node; the rest, such as drafts, stays on one."""
    known = _BY_KEY.get(key)
    return key.startswith(FREE) if known is None else known.level is Level.PERSONAL


def described(one: Option) -> dict[str, Any]:
    """An option for scripts and screens that know nothing else of it."""
    return {
        "key": one.key,
        "label": one.label,
        "effect": one.effect,
        "kind": one.kind.value,
        "section": gettext(SECTIONS[one.section]),
        "level": one.level.value,
        "default": one.default,
        "choices": {value: gettext(label) for value, label in one.choices.items()},
    }
