"""What a search is narrowed to: whose the records are, which branch's, when they last changed. It becomes part of the views of whoever asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from localcrm.domain import policy
from localcrm.domain.people.rights import departments_of
from localcrm.domain.policy import Actor
from localcrm.kernel.schema import EntityType, entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.view import Among, Both, Part, View, With


class Whose(StrEnum):
    """Whose records are looked for."""

    ANYBODY = ""
    MINE = "mine"
    DEPARTMENT = "department"


@dataclass(frozen=True, slots=True)
class Narrowing:
    """whose: of which users · branch: id of the only branch, "" for all · days: changed in so many days, 0 for whenever."""

    whose: Whose = Whose.ANYBODY
    branch: str = ""
    days: int = 0


def narrowed(connection: Connection, actor: Actor, narrowing: Narrowing) -> list[View]:
    """What is looked through, kind by kind: what the actor sees of it, as far as it belongs to whom he asks for.

    A kind that belongs to nobody, or whose owner he may not read, is left out where somebody is asked for.
    """
    wanted: list[tuple[str, frozenset[str]]] = []
    if narrowing.whose is not Whose.ANYBODY:
        people = {actor.user_id} if narrowing.whose is Whose.MINE else colleagues(connection, actor)
        wanted.append(("owner", frozenset(one for one in people if one)))
    if narrowing.branch:
        wanted.append(("branch", frozenset({narrowing.branch})))
    found = policy.views(actor)
    for by, ids in wanted:
        found = [one for view in found if (one := _only(connection, actor, view, by, ids)) is not None]
    return found


def _only(connection: Connection, actor: Actor, view: View, by: str, ids: frozenset[str]) -> View | None:
    part = _belongs(actor, view.entity, by, ids)
    if part is None:
        return None
    rows: tuple[Part, ...] = (part,)
    condition, params = View(view.entity, rows).condition(f'"{view.entity.key}"', finds=True)
    if connection.one(f'SELECT 1 FROM "{view.entity.key}" WHERE deleted = 0 AND {condition} LIMIT 1', params) is None:
        return None  # else every hit of everybody would be looked at in vain
    return replace(view, rows=rows if view.rows is None else (Both((View(view.entity, view.rows), View(view.entity, rows))),))


def _belongs(actor: Actor, kind: EntityType, by: str, ids: frozenset[str]) -> Part | None:
    """Rows of a kind that belong to users or branches themselves, or with what they are seen under."""
    field = kind.owner if by == "owner" else "branch_id" if "branch_id" in kind.fields else None
    if field is not None:
        readable = field == "id" or policy.view(actor, kind).shows(field)
        return Among(field, ids) if readable else None
    if kind.under is None:
        return None
    above = entity_type(kind.fields[kind.under].f.ref or "")
    part = _belongs(actor, above, by, ids) if policy.may(actor, f"{above.key}.read") else None
    return None if part is None else With(kind.under, View(above, (part,)))


def colleagues(connection: Connection, actor: Actor) -> set[str]:
    """Users of the departments the actor works in and of those below them, himself included."""
    users = {
        identity.hex(): {"department_id": department.hex() if department else None, "departments": others}
        for identity, department, others in connection.all('SELECT id, department_id, departments FROM "user" WHERE deleted = 0')
    }
    own = users.get(actor.user_id or "")
    homes = departments_of(own) if own else set()
    above = connection.all("SELECT id, parent_id FROM department WHERE deleted = 0 AND parent_id IS NOT NULL")
    while more := {one.hex() for one, parent in above if parent.hex() in homes} - homes:
        homes |= more
    return {identity for identity, user in users.items() if departments_of(user) & homes} | {actor.user_id or ""}
