"""Who this data folder is: company, branch, role and epoch; written once at set-up and enrolment."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from localcrm.kernel.errors import StoreError
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, root_of
from localcrm.store import changelog
from localcrm.store.migrate import get_meta, set_meta

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcrm.store.connection import Connection

Role = Literal["office", "branch"]
#: Number of the head office in every company; branches count from 2.
OFFICE_NO = 1
#: Letters and digits of a branch's code, which numbers of documents bear.
LONGEST_CODE = 12
#: Meta key of a restored node: it has not got back yet what it did itself after its backup. At head office: {"for": [branches that have not
#: come yet], "until": milliseconds until which work is taken back, or None}.
CATCHING_UP = "catching_up"
#: Meta key of a folder that was moved: a random text that its file carries too. Its origin is taken away, so nothing can be saved in it.
MOVED = "moved"
#: How many letters a later epoch puts behind the code of a branch; numbers printed before there were so many have one.
EPOCH_LETTERS = 4
#: Those that are told from digits.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
#: File in a folder that goes on from a moved one, with the same text.
CONTINUES = "continues"


@dataclass(frozen=True, slots=True)
class Node:
    """One installation. ``node_no`` is 0 for a branch that head office has not approved yet."""

    company_id: bytes
    code: str
    name: str
    role: Role
    node_no: int
    epoch: bytes
    epoch_index: int

    @property
    def is_office(self) -> bool:
        """Whether this is head office (an office without branches is its own)."""
        return self.role == "office"

    @property
    def enrolled(self) -> bool:
        """Whether this node may write: head office has given it a number."""
        return self.node_no != 0

    @property
    def branch_id(self) -> str:
        """Id of this node's ``branch`` record."""
        return branch_id(self.company_id, self.code)

    @property
    def number_code(self) -> str:
        """Code printed in document numbers; a later epoch adds its letters, so no printed number is ever given twice.

        The first says how often the folder was restored; the others tell apart two that were restored from one backup, of which none knows.
        """
        if not self.epoch_index:
            return self.code
        drawn = int.from_bytes(self.epoch)
        apart = (_LETTERS[drawn // len(_LETTERS) ** place % len(_LETTERS)] for place in range(EPOCH_LETTERS - 1))
        return self.code + chr(ord("A") + self.epoch_index % 26) + "".join(apart)


def branch_id(company_id: bytes, code: str) -> str:
    """A branch's id follows from its code, so every node knows it without asking (UUIDv5)."""
    return uuid.uuid5(uuid.UUID(bytes=company_id), f"branch:{code}").hex


def moved_away() -> StoreError:
    """What is said wherever somebody wants to go on in a folder that was moved."""
    return StoreError(
        "moved_away",
        N_(
            "This branch was moved to another computer and goes on there; in this folder nothing can be saved or exchanged any more. If its file was never used there, take it back with “localcrm move --take-back”."
        ),
    )


def require_here(connection: Connection) -> None:
    """Raise StoreError("moved_away") where the branch goes on on another computer."""
    if get_meta(connection, MOVED):
        raise moved_away()


def is_catching_up(connection: Connection, now_ms: int) -> bool:
    """Whether this node was restored and what it did itself after its backup may still come back: at a branch until it has heard head office,
    there until every branch that is not closed has given back, or work is not taken back any more.
    """
    told = get_meta(connection, CATCHING_UP)
    if not isinstance(told, str):
        return bool(told)
    waits = json.loads(told)
    return (waits["until"] is None or waits["until"] > now_ms) and any(
        connection.one("SELECT 1 FROM sync_peer WHERE node_no = ? AND state = 'active'", (node_no,)) for node_no in waits["for"]
    )


def load_node(connection: Connection) -> Node:
    """Read the identity; raises StoreError when set-up was never finished."""
    values = {key: get_meta(connection, f"node.{key}") for key in ("company_id", "code", "name", "role", "node_no", "epoch", "epoch_index")}
    if values["role"] is None:
        raise StoreError("not_set_up", N_("This data folder was never set up completely. Remove it and run “localcrm init” again."))
    return Node(**values)  # type: ignore[arg-type]


def only_code(connection: Connection) -> str | None:
    """The code of this branch where it holds of orders, stock and money, or of customers too, only its own; None for a node that holds everything."""
    own = connection.one("SELECT code FROM branch WHERE holds <> 'all' AND node_no = ?", (get_meta(connection, "node.node_no"),))
    return str(own[0]) if own else None


def leaves_out(holds: str, entity: EntityType) -> bool:
    """Whether a branch that holds so much (``Branch.holds``) may lack records of a kind."""
    return holds == "own_customers" if root_of(entity) else holds != "all" and bool(entity.scope)


def may_lack(connection: Connection) -> Callable[[EntityType], bool]:
    """Says of a kind whether this node may lack records of it that exist elsewhere."""
    holds = connection.value("SELECT holds FROM branch WHERE node_no = ?", (get_meta(connection, "node.node_no"),))
    return partial(leaves_out, str(holds or "all"))


def is_of(printed: str, code: str) -> bool:
    """Whether a code printed in a number is a branch's own, which a later epoch follows with its letters (see ``Node.number_code``)."""
    letters = printed.removeprefix(code)
    return printed == code or (printed == code + letters and letters.isalpha() and len(letters) in {1, EPOCH_LETTERS})


def save_node(connection: Connection, node: Node) -> None:
    """Write the identity and, once the node may write, the origin its changes carry."""
    for key in ("company_id", "code", "name", "role", "node_no", "epoch", "epoch_index"):
        set_meta(connection, f"node.{key}", getattr(node, key))
    if node.enrolled:
        origin = origin_of(connection, node.node_no, node.epoch, node.code, node.epoch_index)
        connection.execute(
            "UPDATE sync_ctx SET origin = ?, next_oseq = (SELECT have_oseq + 1 FROM sync_origin WHERE origin = ?)", (origin, origin)
        )


def origin_of(connection: Connection, node_no: int, epoch: bytes, code: str, epoch_index: int = 0) -> int:
    """Local number of a node in one of its epochs, made when first met."""
    found = connection.value("SELECT origin FROM sync_origin WHERE node_no = ? AND epoch = ?", (node_no, epoch))
    if found is None:
        found = connection.execute(
            "INSERT INTO sync_origin(node_no, epoch, epoch_index, code) VALUES (?, ?, ?, ?)", (node_no, epoch, epoch_index, code)
        ).lastrowid
    return int(found)


def stamp_of(connection: Connection, origin: int, oseq: int) -> int | None:
    """The stamp that its author gave to the transaction of a change that is here; two nodes that share an identity differ in it."""
    tx = changelog.transaction_of(connection, origin, oseq)
    return tx.hlc if tx else None
