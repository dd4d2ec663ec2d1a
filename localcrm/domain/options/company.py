"""What holds here of the company's options: head office's value, or the branch's own where head office leaves it to branches."""

from __future__ import annotations

from decimal import Decimal

from localcrm.domain.options.table import YES, Option, option
from localcrm.kernel.errors import InvalidInput
from localcrm.store.connection import Connection
from localcrm.store.node import Node


def company_value(connection: Connection, node: Node, key: str) -> str:
    """The value that holds on this node, in the option's spelling."""
    one, office = option(key), office_row(connection, key)
    own = None if node.is_office or (office and office[2]) else branch_row(connection, node, key)
    return (own and usable(one, own[1])) or office_value(connection, one)


def company_number(connection: Connection, node: Node, key: str) -> int:
    """The same for a whole number."""
    return int(company_value(connection, node, key))


def company_share(connection: Connection, node: Node, key: str) -> Decimal:
    """The same for a share, 0.13 for 13%."""
    return Decimal(company_value(connection, node, key))


def company_yes(connection: Connection, node: Node, key: str) -> bool:
    """The same for yes or no."""
    return company_value(connection, node, key) == YES


def office_value(connection: Connection, one: Option) -> str:
    """What head office has set, or the default."""
    row = office_row(connection, one.key)
    return (row and usable(one, row[1])) or one.default


def office_row(connection: Connection, key: str) -> tuple[bytes, str | None, bool] | None:
    """Id, value and whether it is fixed of what head office has set; the newest, should there be two: ids follow time."""
    row = connection.one("SELECT id, value, fixed FROM company_option WHERE key = ? AND deleted = 0 ORDER BY id DESC LIMIT 1", (key,))
    return (row[0], row[1], bool(row[2])) if row else None


def branch_row(connection: Connection, node: Node, key: str) -> tuple[bytes, str | None, int] | None:
    """Id, value and moment (ms) of what this branch has set itself last."""
    row: tuple[bytes, str | None, int] | None = connection.one(
        "SELECT id, value, set_at FROM branch_option WHERE key = ? AND branch_id = ? AND deleted = 0 ORDER BY set_at DESC, id DESC LIMIT 1",
        (key, bytes.fromhex(node.branch_id)),
    )
    return row


def usable(one: Option, value: str | None) -> str | None:
    """A kept value, None where there is none or where this program cannot do anything with it: another version may have written it."""
    try:
        return None if value is None else one.clean(value)
    except InvalidInput:
        return None
