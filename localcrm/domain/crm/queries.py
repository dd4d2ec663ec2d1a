"""Queries that people keep: for themselves, for everybody, and as templates of head office; and what is done with all they find."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from localcrm.domain import conditions, policy, records
from localcrm.domain.conditions import Asking, is_askable, tree_query
from localcrm.domain.crm.entities import Customer, SavedQuery, ShownTo
from localcrm.domain.crm.tags import retagged
from localcrm.domain.policy import Actor
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.schema import EntityType, Field
from localcrm.store.connection import Connection
from localcrm.store.node import Node
from localcrm.store.query import ListQuery, Record, check, every, load_record, record_columns, select
from localcrm.store.uow import UnitOfWork

_KIND, _CUSTOMER = SavedQuery.entity_type, Customer.entity_type
#: One person keeps at most so many queries, and a list has at most so many columns.
MOST_KEPT, MOST_COLUMNS = 200, 100
#: So many records are changed at once at most: all in one transaction, while others wait.
MOST_CHANGED = 2000
#: Fields that are not changed for many at once: whose they are has verbs of its own, the others tell a customer from others.
_ONE_BY_ONE = frozenset({"number", "name", "short_name", "owner_id", "branch_id"})


@dataclass(frozen=True, slots=True)
class Kept:
    """A saved query as one person has it. ``usable``: he sees all it is about · ``own``: he may change it."""

    id: str
    name: str
    tree: Any
    columns: tuple[str, ...]
    pinned: bool
    shown_to: str
    usable: bool
    own: bool


def kept_queries(connection: Connection, actor: Actor, node: Node) -> list[Kept]:
    """The queries of customers that somebody has: his own first, then everybody's, then templates; by name."""
    order = [ShownTo.PRIVATE, ShownTo.EVERYBODY, ShownTo.TEMPLATE]
    asking = Asking(actor)
    found = [_kept(row, asking, node) for row in shown_rows(connection, actor, _KIND)]
    return sorted(found, key=lambda one: (not one.own, order.index(ShownTo(one.shown_to)), one.name))


def shown_rows(connection: Connection, actor: Actor, kind: EntityType) -> Iterator[Record]:
    """The saved queries or groupings of customers that somebody has: his own, and those shown to everybody."""
    own = bytes.fromhex(actor.user_id) if actor.user_id else b""
    rows = connection.all(
        f"SELECT {record_columns(kind)} FROM {kind.key} WHERE deleted = 0 AND entity = ? AND (owner_id = ? OR shown_to != ?) ORDER BY rid",
        (_CUSTOMER.key, own, ShownTo.PRIVATE.value),
    )
    return (load_record(kind, row) for row in rows)


def _kept(row: Record, asking: Asking, node: Node) -> Kept:
    tree = read_json(row["tree"])
    columns = tuple(key for key in (row["columns"] or "").split() if key)
    usable = is_askable(_CUSTOMER, tree, asking)
    return Kept(row["id"], row["name"], tree, columns, row["pinned"], row["shown_to"], usable, is_changeable(row, asking.actor, node))


def read_json(text: str) -> Any:
    """What was saved; None for what is no JSON, as another version may have written it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def is_changeable(row: Record, actor: Actor, node: Node) -> bool:
    """Whether somebody may change or delete a saved query or grouping: his own, and as an administrator everybody's; templates at head office."""
    if row["shown_to"] == ShownTo.TEMPLATE:
        return actor.is_admin and node.is_office
    return row["owner_id"] == actor.user_id or (actor.is_admin and row["shown_to"] == ShownTo.EVERYBODY)


def save_query(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    tree: dict[str, Any],
    columns: list[str] | None = None,
    pinned: bool = False,
    shown_to: str = ShownTo.PRIVATE.value,
    query_id: RecordId | None = None,
) -> dict[str, Any]:
    """Keep conditions under a name, or change what is kept; returns the saved query. Templates are head office's."""
    require_somebody(actor)
    if not name.strip():
        raise InvalidInput("required", N_("{label} is required."), label=_KIND.fields["name"].label, field="name")
    conditions.read_tree(_CUSTOMER, tree, Asking(actor))
    _check_asked(actor, tree)
    if len(columns or ()) > MOST_COLUMNS or not all(column.isidentifier() for column in columns or ()):
        raise InvalidInput("bad_columns", N_("These columns cannot be kept."))
    values = {
        "name": name,
        "entity": _CUSTOMER.key,
        "tree": json.dumps(tree, ensure_ascii=False),
        "columns": " ".join(columns or ()) or None,
    }
    return save_shown(uow, actor, _KIND, {**values, "pinned": pinned, "shown_to": shown_to}, query_id)


def save_shown(uow: UnitOfWork, actor: Actor, kind: EntityType, values: dict[str, Any], identity: str | None) -> dict[str, Any]:
    """Write a saved query or grouping where its author may; returns it in JSON form."""
    if values["shown_to"] == ShownTo.TEMPLATE:
        policy.require_admin(actor)
        if not uow.node.is_office:
            raise Refused("office_only", N_("{label} is set by head office. Nothing was changed."), label=ShownTo.TEMPLATE.label)
    if identity is None:
        own = uow.where(kind, owner_id=actor.user_id)
        if len(own) >= MOST_KEPT:
            raise Refused("too_many", N_("You have {count} of these already. Delete one first."), count=len(own))
        identity = uow.insert(kind, kind.validate({**values, "owner_id": actor.user_id}))
    else:
        row = changeable(uow, actor, kind, identity)
        checked = kind.validate({**{key: row[key] for key in kind.fields}, **values})
        uow.update(kind, identity, {key: checked[key] for key in values})
    row = uow.get(kind, identity)
    return {"id": identity, **{key: field.to_json(row[key]) for key, field in kind.fields.items()}}


def changeable(uow: UnitOfWork, actor: Actor, kind: EntityType, identity: str) -> Record:
    """A saved query or grouping that the actor may change; raises NotFound for one he does not even have."""
    row = uow.get(kind, identity)
    if not is_changeable(row, actor, uow.node):
        if row["shown_to"] == ShownTo.PRIVATE:
            raise records.no_such_record(kind)
        raise Refused("not_yours", N_("“{name}” is not yours. Save it under another name to have your own."), name=row[kind.title_field])
    return row


def delete_query(uow: UnitOfWork, actor: Actor, *, query_id: RecordId) -> dict[str, str]:
    """Throw a saved query away; it can be taken back like any deletion."""
    require_somebody(actor)
    changeable(uow, actor, _KIND, query_id)
    uow.set_deleted(_KIND, query_id, deleted=True)
    return {"id": query_id}


def queries(uow: UnitOfWork, actor: Actor) -> dict[str, Any]:
    """What lists of customers can be asked by name: {"presets": [{key, label, tree}], "saved": [{id, name, tree, …}]}."""
    found = [{"key": one.key, "label": one.label, "tree": one.tree} for one in askable_presets(Asking(actor))]
    return {"presets": found, "saved": kept_queries(uow.connection, actor, uow.node)}


def askable_presets(asking: Asking) -> list[conditions.Preset]:
    """The presets that somebody may ask."""
    return [one for one in conditions.PRESETS[_CUSTOMER.key].values() if is_askable(_CUSTOMER, one.tree, asking)]


def require_somebody(actor: Actor) -> None:
    """Only a user who may look at customers keeps something about them for himself."""
    policy.require(actor, "customer.read")
    if actor.user_id is None:
        raise Refused("no_user", N_("Only somebody who is signed in can keep this."))


def _check_asked(actor: Actor, tree: Any) -> None:
    """Nobody keeps what he may not ask; raises InvalidInput."""
    check(tree_query(_CUSTOMER, tree, Asking(actor)))


# for many at once --------------------------------------------------------------------------------------------------------


def changeable_fields(actor: Actor) -> list[Field]:
    """Fields of customers that may be given one value for many."""
    if not policy.may(actor, "customer.update"):
        return []
    return [field for field in _CUSTOMER.readable if _is_for_many(field) and policy.may_write(actor, _CUSTOMER, field)]


def _is_for_many(field: Field) -> bool:
    listed = (
        bool(field.options) or field.f.widget in {"area", "tags"} or field.key == "source" or field.kind in {"boolean", "date", "integer"}
    )
    distinct = field.custom is not None and field.custom.unique
    return listed and field.f.editable and field.is_used and not distinct and field.key not in _ONE_BY_ONE


def found_query(actor: Actor, tree: Any, search: str, where: Sequence[Sequence[Any]] = (), action: str = "read") -> ListQuery:
    """What a list shows, as far as the actor may do something with it."""
    parts = tuple(conditions.plain_condition(one) for one in where)
    more = {"restrict": policy.view(actor, _CUSTOMER, action), "exact": True, "search": search, "where": parts}
    return tree_query(_CUSTOMER, tree or {"all": []}, Asking(actor), **more)


def count_found(connection: Connection, actor: Actor, tree: Any, *, search: str = "", where: Sequence[Sequence[Any]] = ()) -> int:
    """How many customers of a list somebody may change."""
    return select(connection, replace(found_query(actor, tree, search, where, "update"), limit=0)).total


def change_found(
    uow: UnitOfWork,
    actor: Actor,
    *,
    field: str,
    value: str | None,
    count: int,
    tree: dict[str, Any] | None = None,
    search: str = "",
    where: list[list[Any]] | None = None,
    how: Literal["set", "add", "remove"] = "set",
) -> dict[str, int]:
    """Give one field of every customer that a list shows, and the actor may change, the same value; returns {changed}.

    ``how``: of tags, whether these are added to or taken from those each has.
    ``count`` is how many he was told; the list must still be that long, so that nothing is changed that he did not mean.
    """
    column = next((one for one in changeable_fields(actor) if one.key == field), None)
    if column is None:
        label = _CUSTOMER.fields[field].label if field in _CUSTOMER.fields else field[:60]
        raise InvalidInput("one_by_one", N_("“{label}” is not changed for many at once."), label=label, field=field[:60])
    found = [row for page in every(uow.connection, found_query(actor, tree, search, where or (), "update")) for row in page.rows]
    if len(found) != count:
        raise Refused(
            "list_changed", N_("The list has changed: it is {found} now, not {count}. Nothing was changed."), found=len(found), count=count
        )
    if count > MOST_CHANGED:
        raise Refused("too_many", N_("At most {most} are changed at once. Narrow the list first; nothing was changed."), most=MOST_CHANGED)
    changed = 0
    for row in found:
        wanted = value
        if column.f.widget == "tags":
            held = row[field] if how != "set" else None
            wanted = (retagged(held, remove=value or "") if how == "remove" else retagged(held, add=value or "")) or None
        if column.to_json(row[field]) != wanted:
            records.update_record(uow, actor, entity=_CUSTOMER.key, id=row["id"], values={field: wanted or ""})
            changed += 1
    return {"changed": changed}


VERBS = (
    Verb(queries, N_("Queries of customers by name"), "customer.read"),
    Verb(save_query, N_("Keep a query")),
    Verb(delete_query, N_("Delete a kept query")),
    Verb(change_found, N_("Change a field of all customers found"), "customer.update"),
)
