"""Where the account of a user is at home: who may say with which login and password somebody signs in, and whether he may at all.

Users travel, and sign in anywhere with what any place has written. So a branch writes that only of its own people: those that head office
has put into it, and those it added itself as long as head office says nothing else. Of others it writes one password where head office has answered
that they forgot theirs there. Nobody but head office writes any of this of an administrator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcrm.domain.people.entities import User
from localcrm.domain.roles import BasicRole
from localcrm.kernel.errors import Refused
from localcrm.kernel.i18n import N_
from localcrm.store import changelog
from localcrm.store.ddl import INSERT
from localcrm.store.migrate import set_meta

if TYPE_CHECKING:
    from localcrm.kernel.schema import Stored
    from localcrm.store.connection import Connection
    from localcrm.store.query import Record
    from localcrm.store.uow import UnitOfWork

_USER = User.entity_type
#: Fields of an account, besides the register of deleted users.
ACCOUNT = ("login", "password", "active")


def belongs(*, role: Stored, home: Stored, branch: bytes, is_maker: bool) -> bool:
    """Whether the account of a user is a branch's to write; ``home`` is the branch that head office says, empty for none."""
    if role == BasicRole.ADMIN.value:
        return False
    return home == branch if home else is_maker


def is_maker(connection: Connection, user: bytes, node_no: int) -> bool:
    """Whether a node added this user, in whichever of its epochs."""
    first = next(changelog.changes_of(connection, _USER, [user]), None)
    return bool(
        first and first.op == INSERT and connection.value("SELECT node_no FROM sync_origin WHERE origin = ?", (first.tx.origin,)) == node_no
    )


def expect_password(connection: Connection, user: str, node_no: int, *, until_ms: int) -> None:
    """Head office has answered that a user forgot his password at a branch: one new password of his may come from there until then."""
    set_meta(connection, _expected(bytes.fromhex(user), node_no), until_ms)


def take_expected(connection: Connection, user: bytes, node_no: int) -> bool:
    """Whether a new password of a user is expected from a branch; it is expected once."""
    now_ms = int(connection.value("SELECT last_hlc FROM sync_ctx")) >> 16
    taken = connection.execute("DELETE FROM meta WHERE key = ? AND value >= ?", (_expected(user, node_no), now_ms))
    return bool(taken.rowcount)


def _expected(user: bytes, node_no: int) -> str:
    return f"password_expected:{node_no}:{user.hex()}"


def require_at_home(uow: UnitOfWork, user: Record) -> None:
    """Raise Refused(account_elsewhere) where head office would not take over a change of this account."""
    node, identity = uow.node, bytes.fromhex(user["id"])
    if node.is_office:
        return
    home = bytes.fromhex(user["branch_id"]) if user["branch_id"] else None
    made_here = is_maker(uow.connection, identity, node.node_no)
    if not belongs(role=user["role"], home=home, branch=bytes.fromhex(node.branch_id), is_maker=made_here):
        raise Refused(
            "account_elsewhere",
            N_(
                "The account of {name} belongs to head office or to another branch. Have login, password or access changed there; if {name} works at this branch, head office enters it in the record of the user first. Nothing was changed."
            ),
            name=user["name"],
        )


def is_changed(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether two states of a user differ in his account."""
    return any(new[key] != old[key] for key in ACCOUNT)
