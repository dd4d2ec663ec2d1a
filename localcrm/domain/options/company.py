"""What holds here of the company's options: head office's value, or the branch's own where head office leaves it to branches.

A row says a value and, where one is planned, what holds instead from a day on. Which of the two it is follows from the calendar each
time it is asked: nothing has to run on that day, and a branch without a network obeys it as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from localcrm.domain.options.table import YES, Option, option
from localcrm.kernel.errors import InvalidInput
from localcrm.store.connection import Connection
from localcrm.store.node import Node


@dataclass(frozen=True, slots=True)
class Kept:
    """What a row says. value: None for what holds without it · next_from: the day (ISO) from which ``next_value`` holds, None for never ·
    set_at: of a branch's row, in ms.
    """

    id: bytes
    value: str | None
    fixed: bool
    next_value: str | None
    next_from: str | None
    set_at: int = 0

    def on(self, day: date) -> str | None:
        """The value that holds on a day."""
        return self.value if self.next_from is None or day.isoformat() < self.next_from else self.next_value

    def planned(self, day: date) -> tuple[str | None, str] | None:
        """Value and first day of what has not begun yet."""
        return None if self.next_from is None or self.next_from <= day.isoformat() else (self.next_value, self.next_from)


def today() -> date:
    """The business day: that of the calendar on the wall here."""
    return date.today()


def company_value(connection: Connection, node: Node, key: str) -> str:
    """The value that holds on this node today, in the option's spelling."""
    one, office = option(key), office_row(connection, key)
    own = None if node.is_office or (office and office.fixed) else branch_row(connection, node, key)
    return (own and usable(one, own.on(today()))) or office_value(connection, one)


def company_number(connection: Connection, node: Node, key: str) -> int:
    """The same for a whole number."""
    return int(company_value(connection, node, key))


def company_days(connection: Connection, node: Node, key: str) -> list[int]:
    """The same for numbers of days in their order; none for never."""
    return [days for part in company_value(connection, node, key).split(", ") if (days := int(part))]


def company_share(connection: Connection, node: Node, key: str) -> Decimal:
    """The same for a share, 0.13 for 13%."""
    return Decimal(company_value(connection, node, key))


def company_yes(connection: Connection, node: Node, key: str) -> bool:
    """The same for yes or no."""
    return company_value(connection, node, key) == YES


def office_value(connection: Connection, one: Option) -> str:
    """What head office has set for today, or the default."""
    row = office_row(connection, one.key)
    return (row and usable(one, row.on(today()))) or one.default


def office_row(connection: Connection, key: str) -> Kept | None:
    """What head office has set; the newest, should there be two: ids follow time."""
    row = connection.one(
        "SELECT id, value, fixed, next_value, next_from FROM company_option WHERE key = ? AND deleted = 0 ORDER BY id DESC LIMIT 1", (key,)
    )
    return Kept(row[0], row[1], bool(row[2]), row[3], row[4]) if row else None


def branch_row(connection: Connection, node: Node, key: str) -> Kept | None:
    """What this branch has set itself last."""
    return next(iter(branch_rows(connection, node, key, most=1)), None)


def branch_rows(connection: Connection, node: Node, key: str, *, most: int = -1) -> list[Kept]:
    """All that this branch has set itself, the last first; ``most`` -1: every one."""
    rows = connection.all(
        """SELECT id, value, next_value, next_from, set_at FROM branch_option WHERE key = ? AND branch_id = ? AND deleted = 0
           ORDER BY set_at DESC, id DESC LIMIT ?""",
        (key, bytes.fromhex(node.branch_id), most),
    )
    return [Kept(row, value, False, *planned) for row, value, *planned in rows]


def usable(one: Option, value: str | None) -> str | None:
    """A kept value, None where there is none or where this program cannot do anything with it: another version may have written it."""
    try:
        return None if value is None else one.clean(value)
    except InvalidInput:
        return None
