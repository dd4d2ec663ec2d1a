"""Who is who in the data file, as the rules of approvals need it."""

from __future__ import annotations

from collections import defaultdict

from localcrm.domain.approvals.rules import Company, Person
from localcrm.domain.people import signing
from localcrm.domain.people.rights import rights_of
from localcrm.domain.roles import BasicRole
from localcrm.kernel.schema import EntityType
from localcrm.store.connection import Connection
from localcrm.store.node import OFFICE_NO
from localcrm.store.store import Store


def load_company(connection: Connection) -> Company:
    """Users, departments and roles of the moment."""
    today = connection.today.isoformat()
    people = {
        user.hex(): Person(_hex(superior), _hex(department), _hex(branch), role == BasicRole.ADMIN, bool(active and not gone))
        for user, superior, department, branch, role, active, gone in connection.all(
            """SELECT id, superior_id, department_id, branch_id, role, active, deleted = 1 OR coalesce(left_on <= ?, 0) FROM "user" """,
            (today,),
        )
    }
    departments = {
        row[0].hex(): (_hex(row[1]), _hex(row[2]))
        for row in connection.all("SELECT id, manager_id, parent_id FROM department WHERE deleted = 0")
    }
    roles: dict[str, set[str]] = defaultdict(set)
    for role, user in connection.all(
        "SELECT role_id, user_id FROM user_role WHERE deleted = 0 AND role_id IN (SELECT id FROM role WHERE deleted = 0)"
    ):
        roles[role.hex()].add(user.hex())
    office = connection.value("SELECT id FROM branch WHERE node_no = ? AND deleted = 0", (OFFICE_NO,))
    return Company(people, departments, roles, _hex(office))


def company_for(store: Store, connection: Connection, kind: EntityType) -> Company:
    """The same, where only those can decide who may look at such documents at all."""
    company, granted = load_company(connection), signing.granted(store, connection)

    def able(user: str) -> bool:
        is_admin = granted.user(user)["role"] == BasicRole.ADMIN
        return is_admin or f"{kind.key}.read" in rights_of(connection, store.node, granted, user).reaches

    return Company(company.people, company.departments, company.roles, company.office, able)


def _hex(key: bytes | None) -> str | None:
    return key.hex() if key else None
