"""Which stages opportunities go through: those of their salesperson's department, of the one above it, or of the company.

A department without stages of its own in a phase goes through those of the department above, in the end through the company's. An opportunity
follows its salesperson: handed to another department it waits there without a stage until somebody moves it on.
"""

from __future__ import annotations

from collections.abc import Mapping

from localcrm.domain.crm.entities import Phase, Stage
from localcrm.domain.policy import Actor
from localcrm.domain.records import require_here
from localcrm.domain.verbs import RecordId, Verb
from localcrm.kernel.errors import InvalidInput, Refused
from localcrm.kernel.i18n import N_
from localcrm.kernel.ids import is_id
from localcrm.kernel.schema import entity as entity_type
from localcrm.store.connection import Connection
from localcrm.store.query import Condition, ListQuery, Record, select
from localcrm.store.uow import UnitOfWork

STAGE = Stage.entity_type


def stages_of(connection: Connection, phase: Phase, department: str | None = None) -> list[Record]:
    """The stages of a phase in their order: a department's own, or the company's."""
    whose = Condition("department_id", "=", department) if department else Condition("department_id", "blank")
    where = (Condition("phase", "=", phase.value), whose)
    return select(connection, ListQuery(STAGE, where=where, sort="position", limit=100), count=False).rows


def with_own(connection: Connection, phase: Phase) -> dict[str, str]:
    """Departments with stages of their own in a phase, and what they are called, in their order."""
    rows = connection.all(
        """SELECT d.id, d.name FROM department d WHERE d.deleted = 0 AND d.id IN
           (SELECT department_id FROM stage WHERE deleted = 0 AND phase = ?) ORDER BY d.position, d.name""",
        (phase.value,),
    )
    return {pk.hex(): name for pk, name in rows}


def set_of(connection: Connection, phase: Phase, user: str | None) -> str | None:
    """The department whose stages somebody's opportunities go through; None for the company's."""
    own = with_own(connection, phase) if user and is_id(user) else {}
    found = connection.value('SELECT department_id FROM "user" WHERE id = ?', (bytes.fromhex(user),)) if user and own else None
    return _nearest(found.hex() if found else None, own, _above(connection)) if found else None


def owners_by_set(connection: Connection, phase: Phase) -> dict[str, list[str]]:
    """Users whose opportunities do not go through the company's stages, by the department whose stages those are."""
    own = with_own(connection, phase)
    if not own:
        return {}
    above, found = _above(connection), dict[str, list[str]]()
    for user, department in connection.all('SELECT id, department_id FROM "user" WHERE department_id IS NOT NULL'):
        if (nearest := _nearest(department.hex(), own, above)) is not None:
            found.setdefault(nearest, []).append(user.hex())
    return found


def _above(connection: Connection) -> dict[str, str]:
    return {pk.hex(): parent.hex() for pk, parent in connection.all("SELECT id, parent_id FROM department WHERE parent_id IS NOT NULL")}


def _nearest(department: str | None, own: Mapping[str, str], above: Mapping[str, str]) -> str | None:
    """The first department from here upwards that has stages of its own."""
    seen = set[str]()
    while department is not None and department not in seen:
        if department in own:
            return department
        seen.add(department)
        department = above.get(department)
    return None


def copy_stages(uow: UnitOfWork, actor: Actor, *, department: RecordId, phase: str) -> dict[str, int]:  # noqa: ARG001 -- the verb asks for its right
    """Give a department stages of its own in a phase, beginning with the company's, checklists included; returns {added}."""
    require_here(uow, STAGE)
    if phase not in {one.value for one in Phase}:
        raise InvalidInput("bad_phase", N_("Choose a phase."), field="phase")
    name = uow.get(entity_type("department"), department)["name"]
    if stages_of(uow.connection, Phase(phase), department):
        raise Refused("own_already", N_("“{department}” has stages of its own already."), department=name)
    theirs = stages_of(uow.connection, Phase(phase))
    if not theirs:
        raise Refused("nothing_to_copy", N_("The company has no stages in this phase yet."))
    for stage in theirs:
        values = {key: stage[key] for key in ("name", "phase", "position", "probability", "stuck_days", "checklist")}
        uow.insert(STAGE, STAGE.validate({**values, "department_id": department}))
    return {"added": len(theirs)}


VERBS = (Verb(copy_stages, N_("Give a department stages of its own"), "stage.create"),)
